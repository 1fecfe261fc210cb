from __future__ import annotations

import io
import math
import os
import struct
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from audio_helpers import AV_FORMS, FORMS, LOSSLESS, cut, speechlike, write
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.audio.decode import AudioError, decode, open_audio, probe, resample
from pipeline.audio.source import FolderSource
from pipeline.utterance import Reason

RATE = 48000
# G.722 states no length; half of the last MP3 frame is the encoder's padding, so no audio is missing there.
CUTS = [(name, share) for name in FORMS for share in (0.3, 0.7, 0.995) if name != "a.g722"]
CUTS.remove(("a.mp3", 0.995))


def decoded(file, **options):
    return decode(file, **{"max_seconds": 40.0, "deadline_seconds": 60.0} | options)


def reason(file, **options) -> Reason:
    with pytest.raises(AudioError) as caught:
        decoded(file, **options)
    assert caught.value.detail
    return caught.value.reason


def similarity(one: np.ndarray, other: np.ndarray) -> float:
    """Cosine, at the best shift of up to 3,000 samples (codecs delay), over the middle second."""
    middle = one[len(one) // 2 - 12000 :][:24000]
    around = other[max(0, len(one) // 2 - 15000) :][:30000]
    windows = np.lib.stride_tricks.sliding_window_view(around, len(middle))[::2]
    norms = np.linalg.norm(windows, axis=1) * np.linalg.norm(middle)
    return float((windows @ middle / norms).max())


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    """One recording of 2.5 s in two channels, the second at half the level, in every form."""
    folder = tmp_path_factory.mktemp("forms")
    left = speechlike(2.5)
    for name in FORMS:
        write(folder / name, np.stack([left, left / 2], axis=1))
    return folder


@pytest.mark.parametrize("name", FORMS)
def test_every_form_is_probed_and_decoded_to_the_mean_of_its_channels(files, name):
    rate = 16000 if name in AV_FORMS and name.endswith("g722") else RATE
    stated = probe(files / name)
    waveform, decoded_rate = decoded(files / name)
    assert waveform.dtype == torch.float32
    assert waveform.ndim == 1
    assert decoded_rate == stated.sample_rate == rate
    assert stated.channels == (1 if rate == 16000 else 2)
    assert len(waveform) / rate == pytest.approx(2.5, abs=0.1)
    assert stated.duration == pytest.approx(len(waveform) / rate, abs=0.05)
    original = resample(torch.from_numpy(speechlike(2.5)), RATE, rate).numpy() * 0.75
    assert similarity(original, waveform.numpy()) > 0.95


@pytest.mark.parametrize("name", LOSSLESS)
def test_lossless_forms_give_the_written_samples(files, name):
    waveform, _ = decoded(files / name)
    np.testing.assert_allclose(waveform.numpy(), speechlike(2.5) * 0.75, atol=2**-15)


@pytest.mark.parametrize("name", FORMS)
def test_an_open_file_gives_the_same_samples_as_its_path_and_stays_open(files, name):
    file = io.BytesIO((files / name).read_bytes())
    file.name = name
    assert torch.equal(decoded(file)[0], decoded(files / name)[0])
    assert probe(file) == probe(files / name)
    assert not file.closed


@pytest.mark.parametrize("name", FORMS)
def test_a_part_of_a_recording_equals_the_same_part_of_the_whole(files, name):
    whole, rate = decoded(files / name)
    part, _ = decoded(files / name, start=1.25, end=2.0)
    assert len(part) == round(0.75 * rate)
    if name in LOSSLESS:
        assert torch.equal(part, whole[round(1.25 * rate) : round(2.0 * rate)])
    else:  # a lossy decoder's output depends a little on its past, and WebM and WMA keep time in ms
        shifts = range(-rate // 1000, rate // 1000 + 1)
        shifted = torch.stack([whole[round(1.25 * rate) + shift :][: len(part)] for shift in shifts])
        assert torch.cosine_similarity(part[None], shifted).max() > 0.98


@pytest.mark.parametrize("name", ["a.flac", "a.m4a"])
def test_a_part_may_end_slightly_past_its_recording_but_not_far(files, name):
    assert len(decoded(files / name, start=2.0, end=2.7)[0]) > 0
    assert reason(files / name, start=2.0, end=4.0) is Reason.TRUNCATED
    assert reason(files / name, start=9.0, end=9.2) is Reason.TRUNCATED
    assert reason(files / name, start=1.0, end=1.0) is Reason.TOO_SHORT


def test_a_part_is_found_without_decoding_what_lies_before_it(tmp_path):
    long = write(tmp_path / "a.flac", np.tile(speechlike(30.0), 40))
    began = time.perf_counter()
    decoded(long, max_seconds=2000)
    whole = time.perf_counter() - began
    began = time.perf_counter()
    decoded(long, start=1190.0, end=1191.0)
    assert time.perf_counter() - began < whole / 5


@pytest.mark.parametrize(("name", "share"), CUTS)
def test_a_file_cut_short_is_truncated(files, tmp_path, name, share):
    path = tmp_path / name
    path.write_bytes((files / name).read_bytes())
    assert reason(cut(path, share)) is Reason.TRUNCATED


@pytest.mark.parametrize("content", [b"", b"RIFF", b"id:text\n" * 500, b"\x89PNG\r\n\x1a\n" + bytes(4000)])
def test_what_is_not_audio_is_told_from_what_is_empty(tmp_path, content):
    path = tmp_path / "clip.wav"
    path.write_bytes(content)
    expected = {b"": [Reason.EMPTY_FILE], b"RIFF": [Reason.TRUNCATED]}.get(content, [Reason.NOT_AUDIO])
    assert reason(path) in expected
    assert reason(io.BytesIO(content)) in expected


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    assert reason(tmp_path / "none.wav") is Reason.MISSING_AUDIO
    assert reason(tmp_path) is Reason.DECODE_FAILED


def test_a_pipe_or_a_device_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.wav")
    (tmp_path / "zero.wav").symlink_to("/dev/zero")
    for name in ("pipe.wav", "zero.wav"):
        assert reason(tmp_path / name) is Reason.DECODE_FAILED
        with pytest.raises(AudioError, match="not a regular file"), open_audio(FolderSource(tmp_path), name):
            pass


def test_a_video_without_sound_and_a_playlist_are_not_audio(tmp_path):
    import av

    with av.open(str(tmp_path / "mute.mp4"), "w") as container:
        stream = container.add_stream("mpeg4", rate=10, width=64, height=64, pix_fmt="yuv420p")
        container.mux(stream.encode(av.VideoFrame(64, 64, "yuv420p")))
        container.mux(stream.encode(None))
    (tmp_path / "list.m4a").write_text(f"ffconcat version 1.0\nfile '{tmp_path}/mute.mp4'\n")
    assert reason(tmp_path / "mute.mp4") is Reason.NOT_AUDIO
    assert reason(tmp_path / "list.m4a") is Reason.NOT_AUDIO


def test_tags_that_are_not_utf_8_are_no_obstacle(tmp_path):
    import av

    plain = write(tmp_path / "a.m4a", speechlike(1.0))
    with av.open(str(plain)) as given, av.open(str(tmp_path / "tagged.m4a"), "w") as container:
        container.metadata["title"] = "cafe"
        stream = container.add_stream_from_template(given.streams.audio[0])
        for packet in given.demux(audio=0):
            if packet.size:
                packet.stream = stream
                container.mux(packet)
    tagged = tmp_path / "tagged.m4a"
    content = tagged.read_bytes()
    assert content.count(b"cafe") == 1
    tagged.write_bytes(content.replace(b"cafe", "café".encode("latin-1")))
    assert torch.equal(decoded(tagged)[0], decoded(plain)[0])


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_samples_that_are_not_finite_are_rejected(tmp_path, bad):
    waveform = speechlike(1.0)
    waveform[20000] = bad
    assert reason(write(tmp_path / "float.wav", waveform)) is Reason.NOT_FINITE


def test_silence_is_rejected_with_an_offset_with_dither_and_by_cancelling_channels(tmp_path):
    zeros, voice = np.zeros(RATE, np.float32), speechlike(1.0)
    dither = np.random.default_rng(0).integers(-2, 3, RATE).astype(np.float32) / 32768
    for silent in (zeros, zeros + 0.25, dither, np.stack([voice, -voice], axis=1)):
        assert reason(write(tmp_path / "s16.wav", silent)) is Reason.SILENT
    faint = voice * np.float32(1e-3)
    assert len(decoded(write(tmp_path / "s16.wav", faint))[0]) == RATE


def test_zero_samples_are_too_short_and_probe_as_zero_seconds(tmp_path):
    empty = write(tmp_path / "s16.wav", np.zeros(0, np.float32))
    assert reason(empty) is Reason.TOO_SHORT
    assert probe(empty).duration == 0


def test_a_clip_past_the_limit_is_too_long_whether_or_not_its_header_says_so(files, tmp_path):
    for name in FORMS:
        assert reason(files / name, max_seconds=2.0) is Reason.TOO_LONG
    assert reason(files / "a.flac", start=0.0, end=2.2, max_seconds=2.0) is Reason.TOO_LONG
    unknown = set_flac_total(tmp_path / "a.flac", files / "a.flac", 0)
    assert reason(unknown, max_seconds=2.0) is Reason.TOO_LONG


def set_flac_total(path: Path, original: Path, total: int) -> Path:
    """Patch the 36-bit number of samples in STREAMINFO (RFC 9639 section 8.2)."""
    content = bytearray(original.read_bytes())
    content[21] = content[21] & 0xF0 | total >> 32
    content[22:26] = struct.pack(">I", total & 0xFFFFFFFF)
    path.write_bytes(content)
    return path


def test_an_absurd_declared_length_costs_no_time_and_no_memory(files, tmp_path):
    absurd = set_flac_total(tmp_path / "a.flac", files / "a.flac", 2**36 - 1)
    began = time.perf_counter()
    assert reason(absurd) is Reason.TOO_LONG
    content = bytearray((files / "s16.wav").read_bytes())
    content[40:44] = struct.pack("<I", 0xFFFFFFF0)
    (tmp_path / "s16.wav").write_bytes(content)
    assert reason(tmp_path / "s16.wav") is Reason.TRUNCATED
    assert time.perf_counter() - began < 1


def test_hours_of_zeros_in_a_small_file_are_given_up_at_the_limit(tmp_path):
    with soundfile.SoundFile(tmp_path / "a.flac", "w", 8000, 1, "PCM_16", format="FLAC") as file:
        for _ in range(10):
            file.write(np.zeros(8000 * 60, np.int16))
    lying = set_flac_total(tmp_path / "lying.flac", tmp_path / "a.flac", 8000)
    assert reason(lying, max_seconds=5) in (Reason.SILENT, Reason.TOO_LONG)


@pytest.mark.parametrize("size", [0xFFFFFFFF, 0x7FFFF000])
def test_a_wav_written_to_a_pipe_is_read_to_its_end(files, tmp_path, size):
    content = bytearray((files / "s16.wav").read_bytes())
    content[40:44] = struct.pack("<I", size)
    (tmp_path / "piped.wav").write_bytes(content)
    assert torch.equal(decoded(tmp_path / "piped.wav")[0], decoded(files / "s16.wav")[0])


def test_a_flac_of_unstated_length_is_decoded_and_probed_whole(files, tmp_path):
    unknown = set_flac_total(tmp_path / "a.flac", files / "a.flac", 0)
    assert torch.equal(decoded(unknown)[0], decoded(files / "a.flac")[0])
    assert probe(unknown).duration == pytest.approx(2.5, abs=0.1)


def test_an_mp3_without_a_frame_count_is_not_cut_where_a_guess_says(tmp_path):
    loud_then_quiet = np.concatenate([speechlike(1.0), speechlike(9.0) * 1e-2])
    with soundfile.SoundFile(tmp_path / "a.mp3", "w", RATE, 1, format="MP3", bitrate_mode="VARIABLE") as file:
        file.write(loud_then_quiet)
    content = (tmp_path / "a.mp3").read_bytes()
    second_frame = content.index(content[:2], 4)
    assert b"Xing" in content[:second_frame] or b"Info" in content[:second_frame]
    (tmp_path / "bare.mp3").write_bytes(content[second_frame:])
    assert len(decoded(tmp_path / "bare.mp3")[0]) / RATE == pytest.approx(10.0, abs=0.1)
    assert probe(tmp_path / "bare.mp3").duration == pytest.approx(10.0, abs=0.1)


def test_damage_in_the_middle_is_a_failed_decode(tmp_path):
    path = write(tmp_path / "a.flac", speechlike(20.0))
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 4000] = bytes(4000)
    path.write_bytes(content)
    assert reason(path) is Reason.DECODE_FAILED


def test_an_impossible_sample_rate_is_rejected(files, tmp_path):
    content = bytearray((files / "s16.wav").read_bytes())
    content[24:28] = struct.pack("<I", 3_000_000_000)
    (tmp_path / "s16.wav").write_bytes(content)
    assert reason(tmp_path / "s16.wav") is Reason.DECODE_FAILED


def test_decoding_stops_at_its_deadline(files):
    for name in ("a.flac", "a.m4a"):
        assert reason(files / name, deadline_seconds=0.0) is Reason.DECODE_TIMEOUT


def test_counting_a_length_that_no_header_states_stops_at_its_deadline(files):
    with pytest.raises(AudioError) as refused:
        probe(files / "a.aac", deadline_seconds=0.0)
    assert refused.value.reason is Reason.DECODE_TIMEOUT
    assert probe(files / "s16.wav", deadline_seconds=0.0).duration > 0  # nothing to count


@settings(max_examples=150, deadline=None, derandomize=True)
@given(name=st.sampled_from(FORMS), data=st.data())
def test_no_damage_escapes_as_another_error(files, name, data):
    content = bytearray((files / name).read_bytes())
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, min(len(content) - 1, 3000)))] = data.draw(st.integers(0, 255))
    file = io.BytesIO(bytes(content))
    file.name = name
    try:
        waveform, rate = decoded(file, max_seconds=20.0)
        assert len(waveform) <= 20 * rate + 1
    except AudioError:
        pass  # a rejection, as it should be


def test_native_libraries_print_nothing_after_they_are_silenced(files, tmp_path):
    path = tmp_path / "a.mp3"
    path.write_bytes((files / "a.mp3").read_bytes() + bytes(5000))
    script = (
        "import sys; from pathlib import Path; from pipeline.audio import decode as audio, decoders\n"
        "decoders.silence_native_output()\n"
        "for path in sys.argv[1:]:\n"
        "    try: audio.decode(Path(path), max_seconds=40, deadline_seconds=60)\n"
        "    except audio.AudioError: pass\n"
        "print('still here', file=sys.stderr)"
    )
    cut_short = tmp_path / "cut.mp3"
    cut_short.write_bytes(path.read_bytes()[:15000])
    command = [sys.executable, "-c", script, str(path), str(cut_short)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr == "still here\n"
