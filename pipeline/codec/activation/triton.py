"""The anti-aliased activation as one Triton kernel: what snake.cpp does on a CPU, on a GPU.

Between the two filters every value needs a sine, and twelve outputs need the same one, so threads must share
it. A tile of outputs is two small matrix products: the tile's inputs times the up-sampling taps give all
raised values that the tile needs, these go through the sine, and times the down-sampling taps they give the
outputs. Nothing in between is stored. The kernel reads clips' lengths: it holds values past both ends, and
writes zeros past the end. Values are read and written in the tensor's own type; the sine is computed in
float32.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from pipeline.codec.activation.parameters import TAPS, snake_parameters

TILE = 16  # outputs of a tile
REACH = 3  # places that either filter looks to each side
INPUTS = 32  # of a tile: TILE + 4 * REACH, up to a power of two
PLACES = 32  # raised places of a tile, each an even and an odd value: TILE + 2 * REACH, likewise
TILES = 64  # of a program


@triton.jit
def _sine_squared(angle):  # type: ignore[no-untyped-def]
    """Return sin^2: subtract a multiple of pi in three parts, then evaluate Taylor's series to x^13."""
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


@triton.jit
def _end(row, last, place, first_tap, up, alpha, scale):  # type: ignore[no-untyped-def]
    """Return the raised value at a clip's first even or last odd position, which is held past it."""
    value = 0.0
    for k in tl.static_range(6):
        source = tl.minimum(tl.maximum(place - k, 0), last)
        value += tl.load(up + 2 * k + first_tap) * tl.load(row + source).to(tl.float32)
    return value + scale * _sine_squared(value * alpha)


@triton.jit  # type: ignore[untyped-decorator]
def _snake(  # type: ignore[no-untyped-def]
    given,
    made,
    lengths,
    alphas,
    scales,
    up,
    rise,
    fall,
    channels,
    width,
    TILE: tl.constexpr,
    REACH: tl.constexpr,
    INPUTS: tl.constexpr,
    PLACES: tl.constexpr,
    TILES: tl.constexpr,
    PRECISION: tl.constexpr,
):
    line = tl.program_id(0).to(tl.int64)
    last = tl.minimum(tl.load(lengths + line // channels), width).to(tl.int32) - 1
    alpha, scale = tl.load(alphas + line % channels), tl.load(scales + line % channels)
    row = given + line * width
    starts = (tl.program_id(1) * TILES + tl.arange(0, TILES))[:, None] * TILE

    sources = tl.minimum(tl.maximum(starts - 2 * REACH + tl.arange(0, INPUTS)[None, :], 0), last)
    inputs = tl.load(row + sources).to(tl.float32)
    columns = tl.arange(0, 2 * PLACES)[None, :]
    rising = tl.load(rise + tl.arange(0, INPUTS)[:, None] * (2 * PLACES) + columns)
    raised = tl.dot(inputs, rising, input_precision=PRECISION)
    raised += scale * _sine_squared(raised * alpha)
    places = starts - REACH + columns % PLACES
    raised = tl.where(places < 0, _end(row, last, 2, 1, up, alpha, scale), raised)
    raised = tl.where(places > last, _end(row, last, last + 3, 0, up, alpha, scale), raised)

    outputs = tl.arange(0, TILE)[None, :]
    falling = tl.load(fall + tl.arange(0, 2 * PLACES)[:, None] * TILE + outputs)
    values = tl.dot(raised, falling, input_precision=PRECISION)
    values = tl.where(starts + outputs <= last, values, 0.0)
    target = made + line * width + starts + outputs
    tl.store(target, values.to(made.dtype.element_ty), mask=starts + outputs < width)


def fused(module: Any, values: Tensor, lengths: Tensor) -> Tensor:
    """See `parameters.Activation`. Multiplies in float32 for float32 values, in TF32 for halves."""
    values = values.contiguous()
    made = torch.empty_like(values)
    clips, channels, width = values.shape
    alpha, scale, up, down = snake_parameters(module)
    rise, fall = filter_matrices(module, up, down)
    grid = (clips * channels, triton.cdiv(width, TILE * TILES))
    precision = "ieee" if values.dtype == torch.float32 else "tf32"
    sizes = {"TILE": TILE, "REACH": REACH, "INPUTS": INPUTS, "PLACES": PLACES, "TILES": TILES}
    _snake[grid](
        *(values, made, lengths, alpha, scale, up, rise, fall, channels, width),
        **sizes,
        PRECISION=precision,
    )
    return made


def filter_matrices(module: Any, up: Tensor, down: Tensor) -> tuple[Tensor, Tensor]:
    """Return the filters as matrices, (INPUTS, 2 * PLACES) and (2 * PLACES, TILE), kept on the module.

    Input i of a tile is REACH places before raised place i - REACH. Raised columns are PLACES even
    values, then PLACES odd ones; those past what a tile needs meet zeros.
    """
    kept: tuple[Tensor, Tensor] | None = getattr(module, "_matrices", None)
    if kept is not None and kept[0].device == up.device:
        return kept
    rise, fall = torch.zeros(INPUTS, 2 * PLACES), torch.zeros(2 * PLACES, TILE)
    taps_up, taps_down = up.cpu(), down.cpu()
    for k in range(TAPS // 2):
        for place in range(TILE + 2 * REACH):
            rise[place + REACH + 2 - k, place] = taps_up[2 * k + 1]
            rise[place + REACH + 3 - k, PLACES + place] = taps_up[2 * k]
        for output in range(TILE):
            fall[PLACES + output + k, output] = taps_down[2 * k]
            fall[output + 1 + k, output] = taps_down[2 * k + 1]
    kept = rise.to(up.device), fall.to(up.device)
    module._matrices = kept
    return kept
