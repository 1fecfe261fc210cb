"""What can be known without a GPU of the compiled encoder: no graph breaks, few shapes, the same codes."""

from __future__ import annotations

import torch
from codec_helpers import codec, padded, sound, xcodec2
from hypothesis import given
from hypothesis import strategies as st

from pipeline.codec.activation.plain import plain
from pipeline.codec.encoder import BatchEncoder
from pipeline.codec.log_mel import LogMel
from pipeline.codec.shapes import step_up, widened


@given(st.integers(1, 100_000))
def test_a_step_is_at_most_an_eighth_away(size: int) -> None:
    assert size <= step_up(size) <= max(16, size * 9 / 8)
    assert step_up(step_up(size)) == step_up(size)


def test_a_thousand_sizes_have_few_steps() -> None:
    assert len({step_up(size) for size in range(1, 1_001)}) < 70


def test_a_widened_batch_holds_the_same_clips() -> None:
    batch, lengths = padded([sound(n, 0) for n in (5_000, 3_000, 40_001)])
    wider, all_lengths = widened(batch, lengths, 320)
    assert (wider.shape[1] + 1) % 320 == 0
    assert torch.equal(wider[:3, : batch.shape[1]], batch)
    assert not wider[:, batch.shape[1] :].any()
    assert all_lengths[:3].tolist() == lengths.tolist()
    assert all_lengths[3:].tolist() == [1] * (len(wider) - 3)


@torch.inference_mode()
def test_both_encoders_are_one_graph_each_and_give_the_same_values() -> None:
    model = xcodec2()[0]
    mel = LogMel(160, torch.device("cpu"))
    given = padded([sound(n, 0) for n in (5_000, 3_000)])
    compiled = BatchEncoder(model, mel, 320, plain, own_attention=True)
    compiled.compile(backend="eager")  # traces as for a GPU; `fullgraph` makes a break an error
    made = compiled(*given)
    expected = BatchEncoder(model, mel, 320, plain, own_attention=True)(*given)
    torch.testing.assert_close(made.pre_quant[:, :9], expected.pre_quant[:, :9])


def test_stepped_up_batches_give_the_codes_of_each_clip_alone() -> None:
    one = codec("xcodec2", whole_batches=True)
    clips = [sound(n, seed) for seed, n in enumerate([7_000, 9_990, 6_400])]
    with torch.inference_mode():
        coded = one._encoder(*widened(*padded(clips), 320))
    for row, clip in enumerate(clips):
        alone = one.reference.encode(clip)
        assert (
            coded.codes[row, : len(alone)].numpy() == alone
        ).mean() > 0.99  # within rounding, see exactness
