"""Whole batches: of the shapes that were announced, smaller where memory does not suffice, the same codes."""

from __future__ import annotations

import pytest
import torch
from codec_helpers import codec, differences, padded, sound, xcodec2

from pipeline.codec.exactness import Tolerance
from pipeline.codec.loading import XCODEC2
from pipeline.codec.native import Identity, NativeCodec
from pipeline.codec.runners import widened
from pipeline.codec.shapes import Shape


def test_a_widened_batch_holds_the_same_clips() -> None:
    batch, lengths = padded([sound(n, 0) for n in (5_000, 3_000, 40_001)], extra=700)
    wider, all_lengths = widened(batch, lengths, Shape(5, 130), 320)
    assert wider.shape == (5, 130 * 320 - 1)
    assert torch.equal(wider[:3, :40_701], batch)
    assert not wider[:, 40_001:].any()
    assert not wider[3:].any()
    assert all_lengths.tolist() == [5_000, 3_000, 40_001, 41_599, 41_599]


def test_batches_have_the_shapes_that_were_announced_and_every_clip_its_own_codes() -> None:
    one = codec.__wrapped__("xcodec2", whole_batches=True)  # nobody else's shapes
    clips = [sound(n, seed) for seed, n in enumerate([7_000, 9_990, 6_400, 40_000, 333, 9_000])]
    alone = [one.reference.encode(clip) for clip in clips]
    shapes = [Shape(2, 32), Shape(3, 25), Shape(1, 130)]
    one.expect(shapes, 0.0)
    assert differences(one.encode(*padded(clips)), alone) == 0
    assert one._runner.used == set(shapes)
    assert "3 batch shapes" in one.report()


def test_a_codec_that_shrinks_gives_the_same_codes_in_smaller_batches() -> None:
    one = codec("xcodec2", whole_batches=True)
    clips = [sound(n, seed) for seed, n in enumerate([7_000, 7_100, 6_400, 7_050])]
    alone = [one.reference.encode(clip) for clip in clips]
    one.expect([Shape(4, 25), Shape(1, 60)], 0.0)
    assert one.shrink()
    assert differences(one.encode(*padded(clips)), alone) == 0
    assert Shape(2, 25) in one._runner.used
    assert not one.shrink()  # two rows of 25 codes are less than the longest clip may have


def test_clips_in_doubt_are_encoded_again_while_later_batches_are_launched() -> None:
    one = codec("xcodec2", whole_batches=True)
    one.tolerance = Tolerance()
    one.tolerance.value = 1.0  # every clip is in doubt
    batches = [padded([sound(4_000 + n, n), sound(3_000, n)]) for n in range(3)]
    alone = [
        [one.reference.encode(row[:length]) for row, length in zip(*batch, strict=True)] for batch in batches
    ]
    pending = [one.launch(*batch) for batch in batches]
    assert [differences(one_.result(), codes) for one_, codes in zip(pending, alone, strict=True)] == [
        0,
        0,
        0,
    ]
    assert one.tolerance.redone == 6


@pytest.mark.parametrize(("hours", "compiled"), [(1, False), (100, True)])
def test_the_size_of_the_corpus_decides_whether_the_encoder_is_compiled_on_cuda(
    hours: int, compiled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, extractor = xcodec2()
    one = NativeCodec(model, extractor, XCODEC2, Identity("", "", ""), whole_batches=True, compiled=None)
    made = []
    monkeypatch.setattr(one._encoder, "compile", lambda: made.append(True))
    one.expect([Shape(1, 2_001)], hours * 3_600.0)
    assert made == []  # a CPU waits for no compiler
    monkeypatch.setattr(one, "_device", torch.device("cuda"))
    one._compiled = None
    one.expect([Shape(1, 2_001)], hours * 3_600.0)
    assert bool(made) is compiled
