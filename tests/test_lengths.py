"""Recordings are read whole or refused, whatever their headers say."""

from __future__ import annotations

import struct
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from audio_helpers import Ogg, cut, speechlike, write

from pipeline.audio.decode import AudioError, decode, probe
from pipeline.utterance import Reason

RATE = 48000
LENGTHLESS = {"PAF", "PVF", "IRCAM", "MPC2K"}
UNSEEKABLE = [("WAV", "GSM610"), ("WAV", "G721_32"), ("WAV", "NMS_ADPCM_16"), ("W64", "GSM610")]
OLDER = [
    *(("AU", "PCM_16"), ("AU", "FLOAT"), ("AU", "ULAW"), ("W64", "PCM_16"), ("W64", "MS_ADPCM")),
    *(("NIST", "PCM_16"), ("NIST", "ULAW"), ("VOC", "PCM_16"), ("VOC", "ALAW"), ("SVX", "PCM_16")),
    *(("AVR", "PCM_16"), ("MAT4", "PCM_16"), ("MAT5", "PCM_16"), ("WVE", "ALAW"), ("CAF", "PCM_16")),
    *(("SDS", "PCM_16"), ("AIFF", "PCM_16"), ("RF64", "PCM_16"), ("MAT4", "DOUBLE"), ("AVR", "PCM_U8")),
]
WRITTEN = [
    (form, subtype, endian)
    for form, subtype in OLDER
    for endian in ("FILE", "LITTLE", "BIG")
    if soundfile.check_format(form, subtype, endian)
]


def seconds(path: Path) -> float:
    waveform, rate = decode(path, max_seconds=40.0, deadline_seconds=60.0)
    return len(waveform) / rate


def refusal(path: Path) -> tuple[Reason, str]:
    with pytest.raises(AudioError) as caught:
        seconds(path)
    return caught.value.reason, caught.value.detail


@pytest.mark.parametrize(("form", "subtype", "endian"), WRITTEN)
def test_an_older_form_is_read_whole_and_refused_when_it_is_cut(tmp_path, form, subtype, endian):
    path, voice = tmp_path / "a", speechlike(2.5, 8000)
    soundfile.write(path, voice, 8000, format=form, subtype=subtype, endian=endian)
    assert seconds(path) == pytest.approx(2.5, abs=0.1)
    for share in (0.3, 0.6, 0.99):
        soundfile.write(path, voice, 8000, format=form, subtype=subtype, endian=endian)
        assert refusal(cut(path, share))[0] is Reason.TRUNCATED


@pytest.mark.parametrize("form", sorted(LENGTHLESS))
def test_a_form_that_states_no_length_is_refused_with_what_to_do(tmp_path, form):
    soundfile.write(tmp_path / "a", speechlike(1.0, 8000), 8000, format=form)
    reason, detail = refusal(tmp_path / "a")
    assert reason is Reason.DECODE_FAILED
    assert "convert it" in detail


@pytest.mark.parametrize(("form", "subtype"), UNSEEKABLE)
def test_a_form_that_can_only_be_read_from_its_start_is_read_and_cut(tmp_path, form, subtype):
    soundfile.write(tmp_path / "a", speechlike(2.5, 8000), 8000, format=form, subtype=subtype)
    whole, _ = decode(tmp_path / "a", max_seconds=40.0, deadline_seconds=60.0)
    part, _ = decode(tmp_path / "a", start=1.0, end=2.0, max_seconds=40.0, deadline_seconds=60.0)
    assert len(whole) / 8000 == pytest.approx(2.5, abs=0.1)
    assert part.tolist() == whole[8000:16000].tolist()


@pytest.mark.parametrize("name", ["a.flac", "a.mp3", "a.ogg", "a.opus"])
@pytest.mark.parametrize("lengths", [(2.0, 3.5), (2.0, 2.0), (0.5, 0.5, 4.0)])
def test_recordings_that_were_joined_are_read_to_the_end_of_the_last(tmp_path, name, lengths):
    parts = [write(tmp_path / name, speechlike(length)).read_bytes() for length in lengths]
    (tmp_path / name).write_bytes(b"".join(parts))
    assert seconds(tmp_path / name) == pytest.approx(sum(lengths), abs=0.06 * len(lengths))


@pytest.mark.parametrize("name", ["s16.wav", "rf64.wav", "a.aiff"])
def test_waves_that_were_joined_are_refused(tmp_path, name):
    content = write(tmp_path / name, speechlike(2.0)).read_bytes()
    (tmp_path / name).write_bytes(content * 2)
    assert refusal(tmp_path / name) == (
        Reason.DECODE_FAILED,
        "a second file is joined to it: take them apart",
    )


def test_a_wave_whose_header_states_less_than_follows_is_refused_and_tags_are_no_audio(tmp_path):
    content = write(tmp_path / "s16.wav", speechlike(2.0)).read_bytes()
    (tmp_path / "s16.wav").write_bytes(content[:40] + struct.pack("<I", 90_000) + content[44:])
    assert refusal(tmp_path / "s16.wav")[0] is Reason.DECODE_FAILED
    for tail in (b"TAG" + bytes(125), bytes(100_000), b"LIST\x04\0\0\0INFO", b"junk"):
        (tmp_path / "s16.wav").write_bytes(content + tail)
        assert seconds(tmp_path / "s16.wav") == 2.0


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_flac_total_that_lies_does_not_cut_the_recording(tmp_path, share):
    content = bytearray(write(tmp_path / "a.flac", speechlike(4.0)).read_bytes())
    content[22:26] = struct.pack(">I", int(share * 4 * RATE))
    (tmp_path / "a.flac").write_bytes(content)
    assert seconds(tmp_path / "a.flac") == 4.0


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_an_mp3_frame_count_that_lies_does_not_cut_the_recording(tmp_path, share):
    content = bytearray(write(tmp_path / "a.mp3", speechlike(4.0)).read_bytes())
    at = max(content.find(b"Info"), content.find(b"Xing")) + 8
    content[at : at + 4] = struct.pack(">I", int(share * int.from_bytes(content[at : at + 4], "big")))
    (tmp_path / "a.mp3").write_bytes(content)
    assert seconds(tmp_path / "a.mp3") == pytest.approx(4.0, abs=0.06)


@pytest.mark.parametrize("name", ["a.ogg", "a.opus"])
@pytest.mark.parametrize("share", [0.3, 0.8, 0.95, 1.5])
def test_an_ogg_position_that_lies_never_costs_audio_unseen(tmp_path, name, share):
    ogg = Ogg(write(tmp_path / name, speechlike(4.0)).read_bytes())
    ogg.set_position(-1, int(share * ogg.position(-1)))
    (tmp_path / name).write_bytes(ogg.content())
    try:
        assert seconds(tmp_path / name) == pytest.approx(4.0, abs=0.01)
    except AudioError as error:
        assert error.reason is Reason.TRUNCATED  # noqa: PT017
    assert probe(tmp_path / name).sample_rate == RATE


def test_all_ogg_positions_may_lie_alike(tmp_path):
    ogg = Ogg(write(tmp_path / "a.ogg", speechlike(4.0)).read_bytes())
    for page in range(len(ogg.pages)):
        ogg.set_position(page, ogg.position(page) // 2)
    (tmp_path / "a.ogg").write_bytes(ogg.content())
    assert seconds(tmp_path / "a.ogg") == pytest.approx(4.0, abs=0.01)


def test_an_opus_header_that_discards_speech_is_refused(tmp_path):
    ogg = Ogg(write(tmp_path / "a.opus", speechlike(4.0)).read_bytes())
    at = ogg.pages[0].index(b"OpusHead") + 10
    ogg.pages[0][at : at + 2] = struct.pack("<H", 60_000)
    (tmp_path / "a.opus").write_bytes(ogg.content())
    assert refusal(tmp_path / "a.opus") == (Reason.DECODE_FAILED, "its header discards its first 1.25 s")


@pytest.mark.parametrize("share", [0.5, 2])
def test_an_mp4_duration_that_lies_does_not_change_what_is_read(tmp_path, share):
    content = bytearray(write(tmp_path / "a.m4a", speechlike(4.0)).read_bytes())
    at = content.index(b"mdhd") + 20  # duration, in units of the sample rate: ISO/IEC 14496-12 section 8.4.2
    content[at : at + 4] = struct.pack(">I", int(share * int.from_bytes(content[at : at + 4], "big")))
    edits = content.index(b"elst")
    content[edits : edits + 4] = b"free"
    (tmp_path / "a.m4a").write_bytes(content)
    assert seconds(tmp_path / "a.m4a") == pytest.approx(4.0, abs=0.1)


@pytest.mark.parametrize(("scale", "expected"), [(1e2, Reason.OUT_OF_RANGE), (1e6, Reason.OUT_OF_RANGE)])
@pytest.mark.parametrize("name", ["float.wav", "double.wav"])
def test_samples_far_out_of_range_are_refused_and_an_overshoot_is_not(tmp_path, name, scale, expected):
    voice = speechlike(1.0).astype(np.float64)
    write(tmp_path / name, voice * 8)
    assert seconds(tmp_path / name) == 1.0
    write(tmp_path / name, voice * scale)
    assert refusal(tmp_path / name)[0] is expected


def test_channels_whose_sum_is_beyond_float32_are_not_finite_and_nobody_is_warned(tmp_path):
    voice = speechlike(1.0).astype(np.float64)[:, None].repeat(4, axis=1)
    write(tmp_path / "double.wav", voice * 1e38)
    assert refusal(tmp_path / "double.wav")[0] in (Reason.NOT_FINITE, Reason.OUT_OF_RANGE)
    write(tmp_path / "double.wav", voice * 1e300)
    assert refusal(tmp_path / "double.wav")[0] is Reason.NOT_FINITE


def test_planar_audio_of_sixteen_channels_is_the_mean_of_them_all(tmp_path):
    """More planes than a frame's fixed array holds: what reads past its end crashes or reads noise."""
    voice, layout = speechlike(1.0, 16000), "hexadecagonal"
    levels = (np.arange(16, dtype=np.float32) / 16)[None]
    packed = np.ascontiguousarray((voice[:, None] * levels).reshape(1, -1))
    with av.open(str(tmp_path / "a.wv"), "w", format="wv") as container:
        stream = container.add_stream("wavpack", rate=16000, layout=layout)
        stream.codec_context.format = "fltp"
        frame = av.AudioFrame.from_ndarray(packed, format="flt", layout=layout)
        frame.sample_rate = 16000
        resampler = av.AudioResampler("fltp", layout, 16000, 4000)
        for each in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(each))
        container.mux(stream.encode(None))
    assert probe(tmp_path / "a.wv").channels == 16
    waveform, _ = decode(tmp_path / "a.wv", max_seconds=40.0, deadline_seconds=60.0)
    np.testing.assert_allclose(waveform.numpy(), voice * 7.5 / 16, atol=1e-3)


def test_a_wave_of_255_channels_is_the_mean_of_them_all_and_one_of_none_is_refused(tmp_path):
    voice = speechlike(0.5, 8000)
    levels = np.arange(255, dtype=np.float32)[None] / 255
    write(tmp_path / "s24.wav", voice[:, None] * levels, 8000)
    waveform, _ = decode(tmp_path / "s24.wav", max_seconds=40.0, deadline_seconds=60.0)
    np.testing.assert_allclose(waveform.numpy(), voice * 127 / 255, atol=1e-5)
    content = bytearray((tmp_path / "s24.wav").read_bytes())
    content[22:24] = bytes(2)
    (tmp_path / "s24.wav").write_bytes(content)
    assert refusal(tmp_path / "s24.wav")[0] in (Reason.DECODE_FAILED, Reason.NOT_AUDIO)
