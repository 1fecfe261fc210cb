"""Guarantee 1: a clip's codes are those it gets alone, from the unmodified transformers model."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch
from codec_helpers import codec, differences, padded, sound
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.codec.exactness import MEASURED_CODES, SAFETY, Tolerance
from pipeline.codec.loading import XCODEC2
from pipeline.codec.native import Identity, NativeCodec

HOP = 320
EDGES = [1, 2, 319, 320, 321, 639, 640, 641, 16_000, 16_319, 16_320, 16_321]
LENGTHS = st.one_of(
    st.sampled_from(EDGES),
    st.integers(1, 40_000),
    st.builds(lambda k, d: max(1, k * HOP + d), st.integers(1, 160), st.integers(-1, 1)),
)
compared = {"xcodec2": 0, "neucodec": 0}


@cache
def alone(family: str, length: int, seed: int) -> np.ndarray:
    return codec(family).reference.encode(sound(length, seed))


def check(family: str, lengths: list[int], extra: int, whole: bool) -> None:
    clips = [sound(length, seed) for seed, length in enumerate(lengths)]
    theirs = [alone(family, length, seed) for seed, length in enumerate(lengths)]
    ours = codec(family, whole_batches=whole).encode(*padded(clips, extra))
    assert differences(ours, theirs) == 0
    compared[family] += sum(map(len, theirs))


@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.lists(LENGTHS, min_size=1, max_size=6), st.integers(0, 2_000), st.booleans())
def test_xcodec2_gives_a_clip_of_a_batch_the_codes_of_the_unmodified_model_alone(
    lengths: list[int], extra: int, whole: bool
) -> None:
    check("xcodec2", lengths, extra, whole)


@settings(max_examples=15, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(
    st.lists(LENGTHS.filter(lambda n: n >= HOP), min_size=1, max_size=6), st.integers(0, 2_000), st.booleans()
)
def test_neucodec_gives_a_clip_of_a_batch_the_codes_of_the_unmodified_model_alone(
    lengths: list[int], extra: int, whole: bool
) -> None:
    check("neucodec", lengths, extra, whole)


@pytest.mark.parametrize(("family", "codes"), [("xcodec2", 20_000), ("neucodec", 6_000)])
def test_no_code_differs_among_thousands(family: str, codes: int) -> None:
    round_ = 0
    while compared[family] < codes:
        check(
            family, [8_000 + 137 * round_, 90_000 + round_, 60_321 + 7 * round_, 30_000], 5, round_ % 4 == 0
        )
        round_ += 1


def test_the_documented_way_of_batching_does_change_codes() -> None:
    model, extractor = codec("xcodec2").reference._model, codec("xcodec2").reference._extractor
    clips = [sound(n, seed) for seed, n in enumerate([50_000, 20_000])]
    inputs = extractor(audio=[clip.numpy() for clip in clips], sampling_rate=16_000, return_tensors="pt")
    with torch.inference_mode():
        codes = model.encode(**inputs).audio_codes[1, 0, : 20_000 // HOP + 1].numpy()
    assert (codes != alone("xcodec2", 20_000, 1)).any()


@pytest.mark.parametrize("whole", [False, True])
def test_rounding_moves_no_value_further_than_the_tolerance(whole: bool) -> None:
    one = codec("xcodec2", whole_batches=whole)
    clips = [sound(n, seed) for seed, n in enumerate([320, 5_000, 16_001, 50_000, 33_333, 70_000])]
    one.encode(*padded(clips))
    assert one.tolerance is not None
    with torch.inference_mode():
        coded = one._encoder(*padded(clips))
    assert coded.pre_quant is not None
    for row, clip in enumerate(clips):
        _, pre_quant = one.reference.encode_scaled(clip)
        moved = float((coded.pre_quant[row, : len(pre_quant)] - pre_quant).abs().max())
        assert moved < one.tolerance.value


def test_the_tolerance_grows_with_what_is_seen_and_never_shrinks() -> None:
    tolerance = Tolerance()
    tolerance.observe(1e-4, 100)
    tolerance.observe(1e-7, 100)
    assert tolerance.value == SAFETY * 1e-4


def test_the_first_clips_are_encoded_twice_until_their_movement_is_known() -> None:
    tolerance = Tolerance()
    assert tolerance.in_doubt(0.5, reliable=True)
    tolerance.observe(1e-6, MEASURED_CODES - 1)
    assert tolerance.in_doubt(0.5, reliable=True)
    tolerance.observe(1e-6, 1)
    assert not tolerance.in_doubt(0.5, reliable=True)
    assert tolerance.in_doubt(1e-6, reliable=True)
    assert tolerance.in_doubt(0.5, reliable=False)
    assert (tolerance.clips, tolerance.redone) == (5, 4)


def test_a_clip_in_doubt_is_encoded_again_by_the_reference() -> None:
    model, extractor = codec("xcodec2").reference._model, codec("xcodec2").reference._extractor
    one = NativeCodec(model, extractor, XCODEC2, Identity("again", "unknown", "0"))
    one.tolerance = Tolerance()
    one.tolerance.value = 1.0
    clips = [sound(9_000, 1), sound(4_000, 2)]
    assert differences(one.encode(*padded(clips)), [one.reference.encode(clip) for clip in clips]) == 0
    assert (one.tolerance.clips, one.tolerance.redone) == (2, 2)


def test_digital_silence_in_a_batch_gets_the_codes_it_gets_alone() -> None:
    one = codec("xcodec2")
    clips = [torch.zeros(8_000), sound(12_000, 3), torch.full((5_000,), 0.25)]
    assert differences(one.encode(*padded(clips)), [one.reference.encode(clip) for clip in clips]) == 0
