"""Codes to sound in pieces: as long as the whole, close to it, and without a click at the seams."""

from __future__ import annotations

import numpy as np
import pytest
from llasa_helpers import CODEBOOK, Ramp

from pipeline.llasa.joining import AHEAD, WHOLE, StreamDecoder, decode_joined

CODES = np.random.default_rng(0).integers(0, CODEBOOK, 400).astype(np.uint16)


@pytest.mark.parametrize("piece", [1, 7, 50, 399])
def test_pieces_join_to_the_sound_of_the_whole(piece: int) -> None:
    stream = StreamDecoder(Ramp())
    starts = range(0, len(CODES), piece)
    sounds = [stream.push(CODES[s : s + piece], final=s + piece >= len(CODES)) for s in starts]
    whole = Ramp().decode([CODES])[0]
    np.testing.assert_allclose(np.concatenate(sounds), whole, atol=1e-6)


def test_the_first_sound_comes_while_later_codes_are_missing() -> None:
    stream = StreamDecoder(Ramp())
    first = stream.push(CODES[:25])
    assert len(first) == (25 - AHEAD) * Ramp.hop
    assert len(stream.push(np.empty(0, np.uint16))) == 0


class Restless(Ramp):
    """Each decoding as a whole is louder or softer than the last, as one that normalises over a clip is."""

    def __init__(self) -> None:
        self.calls = 0

    def _sound(self, codes: np.ndarray) -> np.ndarray:
        self.calls += 1
        return np.full(len(codes) * self.hop, 0.5 + 0.2 * (self.calls % 2), np.float32)


def test_two_decodings_that_differ_meet_without_a_click() -> None:
    stream = StreamDecoder(Restless())
    sound = np.concatenate([stream.push(CODES[s : s + 50], final=s == 350) for s in range(0, 400, 50)])
    assert len(sound) == 400 * Ramp.hop
    assert np.abs(np.diff(sound)).max() < 0.2 / Ramp.hop * 2


def test_a_references_sound_is_cut_off_and_what_follows_fades_in() -> None:
    sound = decode_joined(Ramp(), CODES[100:], prefix=CODES[:100])
    whole = Ramp().decode([CODES])[0][100 * Ramp.hop :]
    assert sound[0] == 0
    np.testing.assert_allclose(sound[80:], whole[80:], atol=1e-6)


def test_speech_longer_than_one_decoding_has_every_sample() -> None:
    codes = np.tile(CODES, 2 * WHOLE // len(CODES) + 1)
    np.testing.assert_allclose(decode_joined(Ramp(), codes), Ramp().decode([codes])[0], atol=1e-6)
    assert len(decode_joined(Ramp(), CODES[:0])) == 0
