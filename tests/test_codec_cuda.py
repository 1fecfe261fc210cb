"""What can be known of the encoder on CUDA without a GPU: devices, types and graphs, on fake tensors."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
import torch
from codec_helpers import xcodec2 as shared
from torch import Tensor
from torch._subclasses import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from pipeline.codec.activation import fastest_activation
from pipeline.codec.activation.plain import plain
from pipeline.codec.encoder import BatchEncoder
from pipeline.codec.fast import PARTS, ChannelsLastConv, fast_parts
from pipeline.codec.log_mel import LogMel
from pipeline.codec.runners import widened
from pipeline.codec.shapes import Shape

CPU, CUDA = torch.device("cpu"), torch.device("cuda:1")


@cache
def xcodec2() -> tuple[Any, Any]:
    """A model of one's own: on the shared one other files' tests leave tensors that have values."""
    loaded: tuple[Any, Any] = shared.__wrapped__()
    return loaded


@pytest.fixture
def fake_gpus(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """CUDA tensors that have a device, a shape and a type, and no values; autocast as on a GPU with bf16."""
    monkeypatch.setattr(torch.cuda.amp.common, "amp_definitely_not_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda *_: True)
    xcodec2()  # loaded once for all tests, with values
    with FakeTensorMode(allow_non_fake_inputs=True):
        yield


def on_cuda(model: Any) -> Any:
    """A copy of the model with its weights on a fake GPU."""
    moved = {
        id(one): torch.nn.Parameter(torch.empty_like(one, device=CUDA), requires_grad=False)
        if isinstance(one, torch.nn.Parameter)
        else torch.empty_like(one, device=CUDA)
        for one in (*model.parameters(), *model.buffers())
    }
    return copy.deepcopy(model, moved)


def encoder(half: torch.dtype | None) -> BatchEncoder:
    pytest.importorskip("triton")
    parts = fast_parts(on_cuda(xcodec2()[0]), half)
    return BatchEncoder(
        parts, LogMel(160, CUDA), 320, fastest_activation(CUDA), own_attention=True, half=half
    )


@pytest.mark.parametrize("half", [None, torch.bfloat16, torch.float16])
def test_a_batch_stays_on_its_gpu_and_in_the_types_that_its_precision_allows(
    half: torch.dtype | None, fake_gpus: None
) -> None:
    one = encoder(half)
    seen: dict[str, Tensor] = {}
    for name in ("_semantic", "_acoustic"):
        inner = getattr(one, name)
        setattr(one, name, lambda *given, inner=inner, name=name: seen.setdefault(name, inner(*given)))
    waveforms, lengths = torch.empty(3, 9_000, device=CUDA), torch.empty(3, dtype=torch.int64, device=CUDA)
    with torch.inference_mode():
        made = one(*widened(waveforms, lengths, Shape(4, 40), 320))
    assert made.codes.shape == (4, 40)
    assert made.codes.dtype == torch.uint16
    tensors = [made.codes, made.counts, *seen.values()]
    assert {tensor.device for tensor in tensors} == {CUDA}
    assert {tensor.dtype for tensor in seen.values()} == {half or torch.float32}
    if (
        half is None
    ):  # what decides whether a clip is in doubt is exact and comes back; in halves nothing does
        assert made.pre_quant is not None
        assert made.margins is not None
        assert made.pre_quant.dtype == made.margins.dtype == torch.float32
    else:
        assert made.pre_quant is made.margins is made.reliable is None


def test_in_half_precision_every_weight_of_a_product_is_cast_once_and_the_reference_keeps_its_own(
    fake_gpus: None,
) -> None:
    model = on_cuda(xcodec2()[0])
    parts = fast_parts(model, torch.bfloat16)
    for name in PARTS:
        for module in getattr(parts, name).modules():
            if isinstance(module, torch.nn.Linear | torch.nn.Conv1d):
                assert module.weight.dtype == torch.bfloat16
    assert {tensor.dtype for tensor in model.parameters()} == {torch.float32}


def test_copies_for_the_fast_path_share_the_weights_that_they_do_not_change() -> None:
    model = xcodec2()[0]
    parts = fast_parts(model, None)
    theirs = set(map(id, model.parameters()))
    convolutions = [one for one in parts.acoustic_encoder.modules() if isinstance(one, torch.nn.Conv1d)]
    assert convolutions
    assert all(id(one.weight) in theirs for one in convolutions)


@torch.inference_mode()
def test_few_graphs_serve_batches_of_every_shape_and_give_the_same_values() -> None:
    def made() -> BatchEncoder:
        return BatchEncoder(copy.deepcopy(xcodec2()[0]), LogMel(160, CPU), 320, plain, own_attention=True)

    graphs = []

    def count(graph: Any, _: Any) -> Any:
        graphs.append(graph)
        return graph.forward

    one, uncompiled = made(), made()
    one.compile(backend=count)  # traces as for a GPU; a break within a graph is an error
    for shape in (Shape(3, 12), Shape(2, 20), Shape(1, 25)):
        given = (
            torch.randn(shape.clips, shape.codes * 320 - 1),
            torch.full((shape.clips,), shape.codes * 320 - 1),
        )
        expected = uncompiled(*given).pre_quant
        torch.testing.assert_close(one(*given).pre_quant, expected, atol=1e-4, rtol=1e-4)
    assert (
        len(graphs) <= 6
    )  # of each encoder: the first shape's, one for any shape, and one for a single clip


class Layouts(TorchDispatchMode):
    """The strides of what every convolution is given, and the names of copies between layers."""

    def __init__(self) -> None:
        super().__init__()
        self.convolved: list[tuple[Tensor, Tensor]] = []
        self.copies: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        if name == "convolution":
            self.convolved.append(args[:2])
        elif name in ("clone", "copy_", "_to_copy"):
            self.copies.append(name)
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("half", [None, torch.bfloat16])
def test_on_a_gpu_channels_lie_side_by_side_at_every_convolution(
    half: torch.dtype | None, fake_gpus: None
) -> None:
    """What cuDNN answers in the same order. Without a GPU the results' order cannot be seen."""
    one = encoder(half)
    waveforms = torch.empty(2, 1, 6400, device=CUDA, dtype=half or torch.float32)
    with torch.no_grad(), Layouts() as seen:  # not inference mode, which hides what a layer is made of
        one._acoustic(waveforms, torch.empty(2, dtype=torch.int64, device=CUDA))
    assert len(seen.convolved) > 15
    for values, weight in seen.convolved:
        assert values.is_contiguous(memory_format=torch.channels_last)
        assert weight.stride(1) == 1
    assert seen.copies == []


@torch.inference_mode()
@pytest.mark.parametrize("stride", [1, 2, 5])
def test_a_convolution_with_channels_side_by_side_gives_what_the_model_s_own_gives(stride: int) -> None:
    conv = torch.nn.Conv1d(16, 32, 2 * stride + 1, stride=stride, padding=stride, dilation=3)
    values = torch.randn(3, 40, 16).transpose(1, 2)
    made = ChannelsLastConv(conv)(values)
    torch.testing.assert_close(made, conv(values), atol=1e-5, rtol=1e-5)
    assert made.transpose(1, 2).is_contiguous()
