from dataclasses import dataclass, field

import numpy as np
import pytest
import torch

from pipeline.build.encode import encode
from pipeline.codec.fake import Done, FakeCodec


@dataclass
class Clips:
    waveforms: torch.Tensor
    lengths: torch.Tensor


def clips(*seconds):
    lengths = torch.tensor([round(s * 16000) for s in seconds], dtype=torch.int64)
    waveforms = torch.zeros(len(seconds), max([*lengths.tolist(), 0]))
    for row, length in enumerate(lengths):
        waveforms[row, :length] = torch.randn(int(length), generator=torch.Generator().manual_seed(row))
    return Clips(waveforms, lengths)


@dataclass
class SmallCodec(FakeCodec):
    """Has room for so many padded samples at a time, and says when it has not."""

    room: int = 16000
    when: str = "launch"
    rows: int = 64  # of its batches
    tried: list = field(default_factory=list)  # samples of its batches

    def launch(self, waveforms, lengths):
        for start in range(0, len(lengths), self.rows):
            part = waveforms[start : start + self.rows]
            self.tried.append(part.numel())
            if part.numel() > self.room:
                if self.when == "launch":
                    raise torch.cuda.OutOfMemoryError("CUDA out of memory")
                return Failing()
        return Done(FakeCodec.encode(self, waveforms, lengths))

    def encode(self, waveforms, lengths):
        return self.launch(waveforms, lengths).result()

    def shrink(self):
        self.rows //= 2
        return self.rows > 0 or bool(setattr(self, "rows", 1))


class Failing:
    def result(self):
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")


@pytest.mark.parametrize("when", ["launch", "result"])
def test_a_batch_that_does_not_fit_is_encoded_in_smaller_ones(when):
    batch = clips(0.1, 0.2, 0.3, 0.4, 0.5)
    ((same, codes),) = encode(SmallCodec(when=when), [batch])
    assert same is batch
    for found, alone in zip(codes, FakeCodec().encode(batch.waveforms, batch.lengths), strict=True):
        np.testing.assert_array_equal(found, alone)


def test_the_size_that_fitted_is_remembered():
    codec = SmallCodec()
    batch = clips(0.5, 0.5, 0.5, 0.5)
    list(encode(codec, [batch]))
    codec.tried.clear()
    list(encode(codec, [batch] * 5))
    assert max(codec.tried) <= codec.room


def test_only_a_clip_that_does_not_fit_alone_has_no_codes():
    ((_, codes),) = encode(SmallCodec(), [clips(0.5, 2.0, 0.5)])
    assert [found is None for found in codes] == [False, True, False]


def test_every_batch_comes_out_once_in_order_even_an_empty_one():
    batches = [clips(0.1, 0.2), clips(), clips(0.3), clips()]
    found = list(encode(FakeCodec(), batches))
    assert [id(batch) for batch, _ in found] == [id(batch) for batch in batches]
    assert [len(codes) for _, codes in found] == [2, 0, 1, 0]


def test_the_next_two_batches_are_launched_before_the_first_ones_codes_are_awaited():
    events = []

    class Noting(FakeCodec):
        def launch(self, waveforms, lengths):
            events.append("launch")
            return Waiting()

    class Waiting:
        def result(self):
            events.append("result")
            return [np.zeros(1, np.uint16)]

    list(encode(Noting(), [clips(0.1)] * 4))
    assert events == ["launch"] * 3 + ["result", "launch"] + ["result"] * 3


def test_another_error_is_not_taken_for_lack_of_memory():
    class Broken(FakeCodec):
        def launch(self, waveforms, lengths):
            raise RuntimeError("expected scalar type Half but found Float")

    with pytest.raises(RuntimeError, match="scalar type"):
        list(encode(Broken(), [clips(0.1)]))
