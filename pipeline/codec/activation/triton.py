"""The anti-aliased activation as one Triton kernel: what snake.cpp does on a CPU, on a GPU.

Each thread takes OUTPUTS neighbouring values of a channel and slides over time. The six latest inputs and the
six latest pairs of raised values stay in registers, so every input is loaded once and every sine is taken
once, but for the few that neighbouring threads share. Inputs come and outputs go eight at a time.

The kernel reads clips' lengths: it holds values past both ends and writes zeros past the end. Only programs
that touch an end pay for that. Values are read and written in the tensor's own type and computed in float32;
halves take the sine of the hardware, whose error is below what they can show.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor
from triton.language.extra import libdevice

from pipeline.codec.activation.parameters import snake_parameters

THREADS = 32  # of a program: one warp
OUTPUTS = 32  # of a thread
VECTOR = tl.constexpr(8)  # values of one load: 16 bytes of halves


@triton.jit  # type: ignore[untyped-decorator]
def _sine_squared(angle, HARDWARE: tl.constexpr):  # type: ignore[no-untyped-def]
    """Return sin^2 from the hardware, or by Taylor's series to x^13 after a subtraction of turns of pi."""
    if HARDWARE:
        sine = libdevice.fast_sinf(angle)
    else:
        turns = tl.floor(angle * 0.3183098861837907 + 0.5)
        rest = ((angle - turns * 3.140625) - turns * 9.67502593994140625e-4) - turns * 1.50995799e-7
        square = rest * rest
        series = square * 1.605904383682e-10 - 2.50521083854e-8
        series = series * square + 2.75573192239859e-6
        series = series * square - 1.98412698412698e-4
        series = series * square + 8.33333333333333e-3
        series = series * square - 1.66666666666667e-1
        sine = rest + rest * square * series
    return sine * sine


@triton.jit  # type: ignore[untyped-decorator]
def _end(row, last, place, first_tap, up, alpha, scale, HARDWARE: tl.constexpr):  # type: ignore[no-untyped-def]
    """Return the raised value at a clip's first even or last odd position, which is held past it."""
    value = 0.0
    for k in tl.static_range(6):
        source = tl.minimum(tl.maximum(place - k, 0), last)
        value += tl.load(up + 2 * k + first_tap) * tl.load(row + source).to(tl.float32)
    return value + scale * _sine_squared(value * alpha, HARDWARE)


@triton.jit
def _eight(values):  # type: ignore[no-untyped-def]
    """Return the eight columns of (THREADS, 8) values, each (THREADS,)."""
    rows: tl.constexpr = values.shape[0]
    even, odd = tl.split(tl.reshape(values, (rows, 2, 2, 2)))
    v04, v26 = tl.split(even)
    v15, v37 = tl.split(odd)
    v0, v4 = tl.split(v04)
    v1, v5 = tl.split(v15)
    v2, v6 = tl.split(v26)
    v3, v7 = tl.split(v37)
    return (v0, v1, v2, v3, v4, v5, v6, v7)


@triton.jit
def _joined(v):  # type: ignore[no-untyped-def]
    """Return eight columns as (THREADS, 8) values."""
    rows: tl.constexpr = v[0].shape[0]
    even = tl.join(tl.join(v[0], v[4]), tl.join(v[2], v[6]))
    odd = tl.join(tl.join(v[1], v[5]), tl.join(v[3], v[7]))
    return tl.reshape(tl.join(even, odd), (rows, 8))


@triton.jit
def _six(taps):  # type: ignore[no-untyped-def]
    """Return every other tap of a filter."""
    first = (tl.load(taps), tl.load(taps + 2), tl.load(taps + 4))
    return first + (tl.load(taps + 6), tl.load(taps + 8), tl.load(taps + 10))  # noqa: RUF005


@triton.jit  # type: ignore[untyped-decorator]
def _segments(  # type: ignore[no-untyped-def]
    given,
    made,
    first,
    last,
    width,
    up,
    down,
    alpha,
    scale,
    THREADS: tl.constexpr,
    OUTPUTS: tl.constexpr,
    HARDWARE: tl.constexpr,
    INSIDE: tl.constexpr,
):
    """Compute THREADS * OUTPUTS values of a channel from `first` on; INSIDE if they touch no end."""
    starts = first + tl.arange(0, THREADS) * OUTPUTS
    eight = starts[:, None] + tl.arange(0, VECTOR)[None, :]
    if not INSIDE:
        begin = _end(given, last, 2, 1, up, alpha, scale, HARDWARE)
        end = _end(given, last, last + 3, 0, up, alpha, scale, HARDWARE)
    up_even, up_odd = _six(up), _six(up + 1)
    down_even, down_odd = _six(down), _six(down + 1)
    zero = tl.zeros((THREADS,), tl.float32)
    inputs = (zero, zero, zero, zero, zero, zero)  # at i - 5 … i
    odds = (zero, zero, zero, zero, zero, zero)  # raised, odd ones: of the places i - 8 … i - 3
    evens = (zero, zero, zero, zero, zero, zero)  # even ones: of i - 7 … i - 2
    outputs = (zero, zero, zero, zero, zero, zero, zero, zero)
    for block in tl.static_range(-1, OUTPUTS // VECTOR + 1):
        sources = eight + block * VECTOR
        if not INSIDE:
            sources = tl.minimum(tl.maximum(sources, 0), last)
        loaded = _eight(tl.load(given + sources).to(tl.float32))
        for j in tl.static_range(VECTOR):
            i = block * VECTOR + j
            inputs = (inputs[1], inputs[2], inputs[3], inputs[4], inputs[5], loaded[j])
            if i >= 0 and i < OUTPUTS + 5:
                odd, even = up_even[0] * inputs[5], up_odd[0] * inputs[5]
                for k in tl.static_range(1, 6):
                    odd += up_even[k] * inputs[5 - k]
                    even += up_odd[k] * inputs[5 - k]
                odd += scale * _sine_squared(odd * alpha, HARDWARE)
                even += scale * _sine_squared(even * alpha, HARDWARE)
                if not INSIDE:
                    place = starts + (i - 3)
                    odd = tl.where(place < 0, begin, tl.where(place > last, end, odd))
                    even = tl.where(place < -1, begin, tl.where(place > last - 1, end, even))
                odds = (odds[1], odds[2], odds[3], odds[4], odds[5], odd)
                evens = (evens[1], evens[2], evens[3], evens[4], evens[5], even)
            if i >= 5 and i < OUTPUTS + 5:
                value = zero
                for k in tl.static_range(6):
                    value += down_even[k] * odds[k]
                    value += down_odd[k] * evens[k]
                if not INSIDE:
                    value = tl.where(starts + (i - 5) <= last, value, 0.0)
                o = outputs
                outputs = (o[1], o[2], o[3], o[4], o[5], o[6], o[7], value)
                if (i - 5) % VECTOR == VECTOR - 1:
                    targets = eight + (i - 4 - VECTOR)
                    result = _joined(outputs).to(made.dtype.element_ty)
                    if INSIDE:
                        tl.store(made + targets, result)
                    else:
                        tl.store(made + targets, result, mask=targets < width)


@triton.jit  # type: ignore[untyped-decorator]
def _snake(  # type: ignore[no-untyped-def]
    given,
    made,
    lengths,
    alphas,
    scales,
    up,
    down,
    channels,
    width,
    THREADS: tl.constexpr,
    OUTPUTS: tl.constexpr,
    HARDWARE: tl.constexpr,
):
    line = tl.program_id(0).to(tl.int64)
    last = tl.minimum(tl.load(lengths + line // channels), width).to(tl.int32) - 1
    alpha, scale = tl.load(alphas + line % channels), tl.load(scales + line % channels)
    row, target = given + line * width, made + line * width
    first = tl.program_id(1) * (THREADS * OUTPUTS)
    if first >= VECTOR and first + THREADS * OUTPUTS + VECTOR <= last:
        _segments(row, target, first, last, width, up, down, alpha, scale, THREADS, OUTPUTS, HARDWARE, True)
    else:
        _segments(row, target, first, last, width, up, down, alpha, scale, THREADS, OUTPUTS, HARDWARE, False)


def fused(module: Any, values: Tensor, lengths: Tensor) -> Tensor:
    """See `parameters.Activation`. Halves take the sine of the hardware."""
    made: Tensor = _launch(values, lengths, *snake_parameters(module))
    return made


@torch.library.custom_op("llasa_dataset::snake", mutates_args=())
def _launch(
    values: Tensor, lengths: Tensor, alpha: Tensor, scale: Tensor, up: Tensor, down: Tensor
) -> Tensor:
    """Run the kernel. An operator of its own, so that `torch.compile` need not read Triton's code."""
    values = values.contiguous()
    made = torch.empty_like(values)
    clips, channels, width = values.shape
    grid = (clips * channels, triton.cdiv(width, THREADS * OUTPUTS))
    with torch.cuda.device_of(values):  # type: ignore[no-untyped-call]  # Triton takes the current device
        _snake[grid](
            *(values, made, lengths, alpha, scale, up, down, channels, width),
            THREADS=THREADS,
            OUTPUTS=OUTPUTS,
            HARDWARE=values.is_cuda and values.dtype != torch.float32,
            num_warps=1,
        )
    return made


@_launch.register_fake
def _shape(values: Tensor, *others: Tensor) -> Tensor:
    return torch.empty_like(values, memory_format=torch.contiguous_format)
