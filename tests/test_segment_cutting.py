"""Speech is found as Silero's own package finds it, and cut at pauses only."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.audio.decode import decode, resample
from pipeline.recognise.speech import FRAME, RATE, SpeechDetector, load_network
from pipeline.segment.cutting import cut_stream
from pipeline.segment.settings import SegmentSettings

ROOT = Path(__file__).parents[1]
LONG = "data/sample/audio/novel/austen-0880.wav"  # 3 s without a pause
PROMPTS = ("prompts/tt-weasels.wav", "prompts/conf-locked.wav", "prompts/vm-whichbox.flac")


def speech(name: str) -> np.ndarray:
    waveform, rate = decode(ROOT / "data/sample/audio" / name, max_seconds=60, deadline_seconds=60)
    return resample(waveform, rate, RATE).numpy()


def silence(seconds: float) -> np.ndarray:
    return np.random.default_rng(0).normal(0, 1e-4, round(seconds * RATE)).astype(np.float32)


@pytest.fixture(scope="module")
def network():
    return load_network()


def pieces_of(network, parts, block=50_000, **settings):
    waveform = np.concatenate(parts)
    blocks = (waveform[first : first + block] for first in range(0, len(waveform), block))
    return list(cut_stream(blocks, network, SegmentSettings(**settings)))


def test_the_detector_gives_the_package_s_probabilities_in_blocks_of_any_size(network):
    from importlib.util import find_spec

    waveform = np.concatenate([speech(PROMPTS[0]), silence(1)])
    detector = SpeechDetector(network)
    found = [detector.probabilities(waveform[at : at + 7_777]) for at in range(0, len(waveform), 7_777)]
    found.append(detector.probabilities(np.zeros(0, np.float32), last=True))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        package = torch.jit.load(Path(find_spec("silero_vad").origin).with_name("data") / "silero_vad.jit")
    frames = torch.from_numpy(np.pad(waveform, (0, -len(waveform) % FRAME))).reshape(-1, 1, FRAME)
    with torch.inference_mode():
        expected = [float(package(frame, RATE)) for frame in frames]
    np.testing.assert_allclose(np.concatenate(found), expected, atol=1e-5)


def test_each_utterance_between_long_pauses_is_a_piece_with_its_audio(network):
    clips = [speech(name) for name in PROMPTS]
    parts = [silence(1), clips[0], silence(1.2), clips[1], silence(1.2), clips[2], silence(1)]
    begins = np.cumsum([0, *map(len, parts)])[1:-1:2]
    pieces = pieces_of(network, parts, pause=1.0)
    whole = np.concatenate(parts)
    assert len(pieces) == 3
    for piece, begin, clip in zip(pieces, begins, clips, strict=True):
        assert np.array_equal(piece.waveform, whole[piece.start : piece.end])
        assert abs(piece.start - begin) < 0.3 * RATE
        assert abs(piece.end - begin - len(clip)) < 0.5 * RATE


def test_the_cuts_do_not_depend_on_how_the_audio_comes_in(network):
    parts = [speech(name) for name in PROMPTS] * 2
    places = [
        [(piece.start, piece.end) for piece in pieces_of(network, parts, block)]
        for block in (500, 16_000, 999_999)
    ]
    assert places[0] == places[1] == places[2]


def test_what_would_be_too_long_is_cut_at_its_longest_pause(network):
    clips = [speech(name) for name in PROMPTS]
    parts = [clips[0], silence(0.2), clips[1], silence(0.45), clips[2]]
    longest = (len(clips[0]) + len(clips[1]) + len(clips[2])) / RATE + 0.3
    pieces = pieces_of(network, parts, pause=5.0, max_seconds=longest, min_seconds=2.0)
    cut = len(clips[0]) + len(clips[1]) + round(0.2 * RATE)
    assert len(pieces) == 2
    assert pieces[0].end <= pieces[1].start
    assert cut - 0.3 * RATE < pieces[0].end < pieces[1].start + 0.2 * RATE < cut + 0.95 * RATE


def test_a_short_word_joins_its_neighbour_and_stays_alone_in_a_long_silence(network):
    word, clip = speech(PROMPTS[1])[: RATE * 6 // 10], speech(PROMPTS[0])
    near = pieces_of(network, [silence(1), word, silence(0.7), clip, silence(1)], pause=0.6)
    assert near[0].seconds > 1
    alone = pieces_of(network, [silence(1), word, silence(3), clip, silence(1)], pause=0.6)
    assert alone[0].seconds < 1


def test_noise_and_silence_are_no_pieces(network):
    noise = np.random.default_rng(1).normal(0, 0.1, 10 * RATE).astype(np.float32)
    assert pieces_of(network, [noise, silence(5)]) == []


def test_speech_without_a_pause_is_held_for_two_minutes_at_most_and_marked(network):
    vowel = speech(PROMPTS[0])[60 * FRAME : 75 * FRAME]
    parts = [speech(PROMPTS[1]), silence(2), *[vowel] * 400, silence(2), speech(PROMPTS[1])]
    pieces = pieces_of(network, parts)
    assert [piece.whole for piece in pieces] == [True, False, False, True]
    assert max(piece.seconds for piece in pieces) < 121


class Says:
    """In the network's place: the probabilities of the frames, one after the other."""

    def __init__(self, probabilities) -> None:
        self.left = list(probabilities)

    def __call__(self, frames, state):
        said, self.left = self.left[: len(frames)], self.left[len(frames) :]
        return torch.tensor(said), state


def cut_at(probabilities, **settings):
    """The pieces, in frames."""
    audio = np.random.default_rng(0).normal(0, 0.01, len(probabilities) * FRAME).astype(np.float32)
    pieces = cut_stream([audio], Says(probabilities), SegmentSettings(margin=0, min_seconds=0, **settings))
    return [(piece.start // FRAME, piece.end // FRAME) for piece in pieces]


SILENCE, SPEECH = [0.0] * 40, [0.95] * 40


def test_a_piece_begins_where_its_onset_is_first_faintly_heard():
    assert cut_at([*SILENCE, 0.03, 0.38, 0.59, 0.11, 0.09, 0.42, *SPEECH, *SILENCE]) == [(41, 86)]
    assert cut_at(SILENCE + [0.2] + [0.0] * 8 + SPEECH + SILENCE) == [(49, 89)]  # too long before it
    assert cut_at([0.2] * 40 + SPEECH + SILENCE) == [(24, 80)]  # half a second at most


def test_a_click_before_silence_stays_no_speech_however_faintly_it_begins():
    assert cut_at([*SILENCE, 0.2, 0.3, 0.2, 0.7, 0.2, 0.2, *SILENCE]) == []


def test_a_murmur_all_through_a_pause_leaves_the_pause():
    murmur = [0.15] * 20
    assert cut_at(SILENCE + SPEECH + murmur + SPEECH + SILENCE, pause=0.1) == [(40, 80), (84, 140)]
