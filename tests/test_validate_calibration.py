"""Scores on real speech, degraded by known amounts, come in the order that ears would give."""

import io
from functools import cache
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from pipeline.audio import quality as audio_quality
from pipeline.audio.decode import decode, resample
from pipeline.recognise.error_rate import count_errors
from pipeline.validate.listening import fidelity, packages
from pipeline.validate.listening.recognise import find_judge

ROOT = Path(__file__).parents[1]
CLIPS = ("all-circuits-busy-now", "dictate-forhelp")
RATE = 16_000


@cache
def speech():
    folder = ROOT / "data" / "sample" / "audio" / "prompts"
    found = []
    for name in CLIPS:
        waveform, rate = decode(next(folder.glob(f"{name}.*")), max_seconds=40, deadline_seconds=60)
        found.append(resample(waveform, rate, RATE).numpy())
    return found


def noisy(clip, decibels):
    noise = np.random.default_rng(0).standard_normal(len(clip)).astype(np.float32)
    return clip + noise * np.sqrt(np.mean(clip**2) / np.mean(noise**2) / 10 ** (decibels / 10))


def opus(clip, bits=6_000):
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="ogg") as container:
        stream = container.add_stream("libopus", rate=RATE, layout="mono")
        stream.bit_rate = bits
        frame = av.AudioFrame.from_ndarray(clip[None], format="flt", layout="mono")
        frame.sample_rate = RATE
        for packet in (*stream.encode(frame), *stream.encode(None)):
            container.mux(packet)
    buffer.seek(0)
    with av.open(buffer) as container:
        resampler = av.AudioResampler(format="flt", layout="mono", rate=RATE)
        frames = [part for frame in container.decode(audio=0) for part in resampler.resample(frame)]
    return np.concatenate([frame.to_ndarray()[0] for frame in frames]).astype(np.float32)


DEGRADED = {  # in the order of ears, best first
    "same": lambda clip: clip,
    "20 dB": lambda clip: noisy(clip, 20),
    "10 dB": lambda clip: noisy(clip, 10),
    "0 dB": lambda clip: noisy(clip, 0),
}


def scores_of(degrade, scores):
    found = []
    for clip in speech():
        measured, source, decoded = fidelity.compare(clip, degrade(clip), RATE)
        row = {"log_mel": measured.log_mel, "stft": measured.stft, "match": measured.mel_correlation}
        for score in scores:
            row |= score(source, decoded)
        found.append(row)
    return {name: float(np.mean([row[name] for row in found])) for name in found[0]}


@pytest.fixture(scope="module")
def table():
    scores, missing = packages.load_scores()
    assert missing == []
    return {name: scores_of(degrade, scores) for name, degrade in {**DEGRADED, "opus": opus}.items()}


@pytest.mark.parametrize(
    ("name", "sign"),
    [
        ("log_mel", 1),
        ("stft", 1),
        ("match", -1),
        ("stoi", -1),
        ("pesq_wb", -1),
        ("pesq_nb", -1),
        ("mos_decoded", -1),
        ("speaker_similarity", -1),
    ],
)
def test_every_score_gets_worse_with_noise(table, name, sign):
    values = [sign * table[degraded][name] for degraded in DEGRADED]
    assert values == sorted(values)
    assert values[-1] - values[0] > 0.1


@pytest.mark.parametrize("name", ["stoi", "pesq_wb", "mos_decoded"])
def test_opus_at_6_kbits_lies_between_the_original_and_speech_drowned_in_noise(table, name):
    assert table["0 dB"][name] < table["opus"][name] < table["same"][name]


def test_a_clip_against_itself_has_the_best_scores_there_are(table):
    same = table["same"]
    assert (same["log_mel"], same["stft"]) == (0, 0)
    assert same["stoi"] == pytest.approx(1, abs=1e-3)
    assert same["pesq_wb"] > 4.5
    assert same["mos_source"] == same["mos_decoded"] > 3.5
    assert same["speaker_similarity"] == pytest.approx(1, abs=1e-4)


def test_a_delay_is_found_and_changes_no_distance():
    clip = speech()[0]
    late = np.concatenate([np.zeros(320, np.float32), clip])
    measured, _, _ = fidelity.compare(clip, late, RATE)
    assert measured.lag == 320
    assert measured.log_mel < 0.2


def test_audio_of_another_clip_does_not_match():
    clips = speech()
    for first, second in zip(clips, [*clips[1:], clips[0]], strict=True):
        assert not fidelity.compare(first, second, RATE)[0].matched
        assert fidelity.compare(first, noisy(first, 20), RATE)[0].matched


def figures(clip, rate=RATE):
    return audio_quality.measure(clip, rate, clip, rate, audio_quality.speech_by_level)


def test_faults_of_recordings_move_their_figure_alone():
    clip = speech()[0]
    assert figures(clip).faults() == {}
    assert "clipped" in figures(np.clip(clip * 4, -0.9, 0.9)).faults()  # and more offset than before
    assert figures(np.clip(clip * 4, -0.9, 0.9)).clipped > 0.01  # of under 0.0001
    assert set(figures(clip + 0.05).faults()) == {"dc_offset"}
    assert set(figures(clip * 1e-3).faults()) == {"faint", "little_speech"}
    silence = np.random.default_rng(0).normal(0, 1e-4, RATE * 20).astype(np.float32)
    mostly = figures(np.concatenate([silence, clip]))
    assert set(mostly.faults()) == {"little_speech"}
    assert mostly.leading_silence == pytest.approx(20, abs=0.2)


def test_a_detector_finds_speech_and_not_noise():
    share, missing = packages.load_speech_detector()
    assert missing == []
    assert share(speech()[0]) > 0.7
    assert share(np.random.default_rng(0).normal(0, 0.1, RATE * 3).astype(np.float32)) < 0.1


def test_telephone_band_is_told_from_wide_band():
    clip = torch.from_numpy(speech()[0])
    telephone = resample(resample(clip, RATE, 8_000), 8_000, RATE).numpy()
    assert figures(clip.numpy()).bandwidth > 6_000
    assert figures(telephone).narrow


def test_the_recogniser_hears_the_text_and_less_of_it_in_noise():
    judge, missing = find_judge("build/models/tiny.en.pt", None)
    if judge is None:
        pytest.skip(missing[0].install)
    texts = dict(
        line.split(":", 1)
        for line in (ROOT / "data/sample/transcripts.txt").read_text(encoding="utf-8").splitlines()
    )
    rates = []
    for decibels in (60, -10):
        heard = judge.recogniser.transcribe([noisy(clip, decibels) for clip in speech()], None)
        errors = [count_errors(texts[name], said.text, "en") for name, said in zip(CLIPS, heard, strict=True)]
        rates.append(sum(one.edits for one in errors) / sum(one.length for one in errors))
    assert rates[0] < 0.15
    assert rates[1] > rates[0] + 0.3
