"""The anti-aliased activation as one Triton kernel: what snake.cpp does on a CPU, on a GPU.

Channels lie side by side in memory, and so they do in a warp. Each thread slides over the time of a few
channels. The six latest inputs and the six latest pairs of raised values stay in registers, so every input is
loaded once and every sine is taken once, but for the few that neighbouring segments of time share.

The kernel reads clips' lengths: it holds values past both ends and writes zeros past the end. Only programs
that touch an end pay for that. Values are read and written in the tensor's own type and computed in float32;
halves take the sine of the hardware, whose error is below what they can show.
"""

from __future__ import annotations

from math import gcd
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor
from triton.language.extra import libdevice

from pipeline.codec.activation.parameters import snake_parameters

CHANNELS = 16  # side by side in a program, where the layer's width allows
BYTES = 256  # of values that a program takes at a time, of several segments: 64 bits a thread of its one warp
OUTPUTS = 48  # of a segment: a multiple of STEPS
STEPS = tl.constexpr(6)  # of one turn: what was the latest of six values is the oldest again
BEFORE = tl.constexpr(5)  # inputs before a segment that its first output needs, and as many after the last


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
def _taps(first, STEP: tl.constexpr):  # type: ignore[no-untyped-def]
    """Return every other tap of a filter, in the order of the values that they meet."""
    early = (tl.load(first), tl.load(first + STEP), tl.load(first + 2 * STEP))
    return early + (tl.load(first + 3 * STEP), tl.load(first + 4 * STEP), tl.load(first + 5 * STEP))  # noqa: RUF005


@triton.jit
def _filtered(latest, taps):  # type: ignore[no-untyped-def]
    total = taps[0] * latest[0]
    for k in tl.static_range(1, 6):
        total += taps[k] * latest[k]
    return total


@triton.jit  # type: ignore[untyped-decorator]
def _raised(inputs, taps, alpha, scale, HARDWARE: tl.constexpr):  # type: ignore[no-untyped-def]
    value = _filtered(inputs, taps)
    return value + scale * _sine_squared(value * alpha, HARDWARE)


@triton.jit
def _then(latest, value):  # type: ignore[no-untyped-def]
    """Return the six latest values after one more."""
    return (latest[1], latest[2], latest[3], latest[4], latest[5], value)


@triton.jit  # type: ignore[untyped-decorator]
def _input(given, place, channels, last, INSIDE: tl.constexpr):  # type: ignore[no-untyped-def]
    """Return the values at `place`, or those that are held there past a clip's ends."""
    if not INSIDE:
        place = tl.minimum(tl.maximum(place, 0), last)
    return tl.load(given + place * channels).to(tl.float32)


@triton.jit  # type: ignore[untyped-decorator]
def _inputs(given, first, channels, last, INSIDE: tl.constexpr):  # type: ignore[no-untyped-def]
    """Return six values from `first` on. They are loaded together, before any store that might alias them."""
    early = (
        _input(given, first, channels, last, INSIDE),
        _input(given, first + 1, channels, last, INSIDE),
        _input(given, first + 2, channels, last, INSIDE),
    )
    return early + (  # noqa: RUF005
        _input(given, first + 3, channels, last, INSIDE),
        _input(given, first + 4, channels, last, INSIDE),
        _input(given, first + 5, channels, last, INSIDE),
    )


@triton.jit  # type: ignore[untyped-decorator]
def _pair(  # type: ignore[no-untyped-def]
    inputs,
    place,
    last,
    begin,
    end,
    up_even,
    up_odd,
    alpha,
    scale,
    HARDWARE: tl.constexpr,
    INSIDE: tl.constexpr,
):
    """Return the odd raised value of three places before the latest input's, and the even one of two."""
    odd = _raised(inputs, up_even, alpha, scale, HARDWARE)
    even = _raised(inputs, up_odd, alpha, scale, HARDWARE)
    if not INSIDE:
        odd = tl.where(place < 3, begin, tl.where(place > last + 3, end, odd))
        even = tl.where(place < 2, begin, tl.where(place > last + 2, end, even))
    return odd, even


@triton.jit  # type: ignore[untyped-decorator]
def _segments(  # type: ignore[no-untyped-def]
    given,
    made,
    channels,
    first,
    last,
    width,
    alpha,
    scale,
    up,
    down,
    SEGMENTS: tl.constexpr,
    OUTPUTS: tl.constexpr,
    HARDWARE: tl.constexpr,
    INSIDE: tl.constexpr,
):
    """Compute SEGMENTS * OUTPUTS values of some channels from `first` on; INSIDE if they touch no end."""
    starts = first + tl.arange(0, SEGMENTS)[:, None] * OUTPUTS
    up_even, up_odd = _taps(up + 10, -2), _taps(up + 11, -2)
    down_even, down_odd = _taps(down, 2), _taps(down + 1, 2)
    begin, end = alpha, alpha  # not read where they touch no end
    if not INSIDE:
        begin = _raised(_inputs(given, starts * 0 - 3, channels, last, False), up_odd, alpha, scale, HARDWARE)
        tail = _inputs(given, starts * 0 + (last - 2), channels, last, False)
        end = _raised(tail, up_even, alpha, scale, HARDWARE)
    inputs = _inputs(given, starts - BEFORE, channels, last, INSIDE)
    odd, even = _pair(inputs, starts, last, begin, end, up_even, up_odd, alpha, scale, HARDWARE, INSIDE)
    odds, evens = (odd, odd, odd, odd, odd, odd), (even, even, even, even, even, even)
    for i in tl.static_range(1, BEFORE):
        inputs = _then(inputs, _input(given, starts + i, channels, last, INSIDE))
        odd, even = _pair(
            inputs, starts + i, last, begin, end, up_even, up_odd, alpha, scale, HARDWARE, INSIDE
        )
        odds, evens = _then(odds, odd), _then(evens, even)
    for block in range(0, OUTPUTS, STEPS):
        coming = _inputs(given, starts + (block + BEFORE), channels, last, INSIDE)
        for j in tl.static_range(STEPS):
            place = starts + (block + j)
            inputs = _then(inputs, coming[j])
            odd, even = _pair(
                *(inputs, place + BEFORE, last, begin, end),
                *(up_even, up_odd, alpha, scale, HARDWARE, INSIDE),
            )
            odds, evens = _then(odds, odd), _then(evens, even)
            value = _filtered(odds, down_even) + _filtered(evens, down_odd)
            target, result = made + place * channels, value.to(made.dtype.element_ty)
            if INSIDE:
                tl.store(target, result)
            else:
                result = tl.where(place <= last, result, 0.0)
                tl.store(target, result, mask=place < width)


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
    CHANNELS: tl.constexpr,
    SEGMENTS: tl.constexpr,
    OUTPUTS: tl.constexpr,
    HARDWARE: tl.constexpr,
):
    groups = channels // CHANNELS
    clip = tl.program_id(0) // groups
    own = (tl.program_id(0) % groups) * CHANNELS + tl.arange(0, CHANNELS)[None, :]
    alpha, scale = tl.load(alphas + own), tl.load(scales + own)
    last = tl.minimum(tl.load(lengths + clip), width).to(tl.int32) - 1
    begin = clip.to(tl.int64) * width * channels
    first = tl.program_id(1) * (SEGMENTS * OUTPUTS)
    given, made = given + begin + own, made + begin + own
    if first >= BEFORE and first + SEGMENTS * OUTPUTS + BEFORE <= last:
        _segments(
            *(given, made, channels, first, last, width, alpha, scale, up, down),
            *(SEGMENTS, OUTPUTS, HARDWARE, True),
        )
    else:
        _segments(
            *(given, made, channels, first, last, width, alpha, scale, up, down),
            *(SEGMENTS, OUTPUTS, HARDWARE, False),
        )


def fused(module: Any, values: Tensor, lengths: Tensor) -> Tensor:
    """See `parameters.Activation`. The result's channels lie side by side in memory."""
    made: Tensor = _launch(values, lengths, *snake_parameters(module))
    return made


@torch.library.custom_op("llasa_dataset::snake", mutates_args=())
def _launch(
    values: Tensor, lengths: Tensor, alpha: Tensor, scale: Tensor, up: Tensor, down: Tensor
) -> Tensor:
    """Run the kernel. An operator of its own, so that `torch.compile` need not read Triton's code."""
    values = values.transpose(1, 2).contiguous()
    made = torch.empty_like(values)
    clips, width, channels = values.shape
    together = gcd(channels, CHANNELS)
    segments = BYTES // values.element_size() // together
    grid = (clips * (channels // together), triton.cdiv(width, segments * OUTPUTS))
    with torch.cuda.device_of(values):  # type: ignore[no-untyped-call]  # Triton takes the current device
        _snake[grid](
            *(values, made, lengths, alpha, scale, up, down, channels, width),
            CHANNELS=together,
            SEGMENTS=segments,
            OUTPUTS=OUTPUTS,
            HARDWARE=values.is_cuda and values.dtype != torch.float32,
            num_warps=1,
        )
    return made.transpose(1, 2)


@_launch.register_fake
def _shape(values: Tensor, *others: Tensor) -> Tensor:
    clips, channels, width = values.shape
    return values.new_empty((clips, width, channels)).transpose(1, 2)
