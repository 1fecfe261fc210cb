"""The encoder's lines: the kernel, exactness, waiting, time by kernel, shapes, memory, bf16."""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from benchmarks.gpu.line import Bench, Verdict, padded
from pipeline.build.encode import encode
from pipeline.codec.activation import fastest_activation
from pipeline.codec.activation.plain import plain
from pipeline.codec.agreement import agreeing
from pipeline.codec.shapes import Shape, choose_shapes, general, plan_batches

LIMITS = {torch.float32: 5e-6, torch.bfloat16: 0.04}  # of the kernel's distance from the plain way
FAMILIES = {  # words in a kernel's name, the first that match
    "layout": ("nchwtonhwc", "nhwctonchw", "transpose", "tensortransform"),
    "attention by cuDNN": ("cudnn_generated_fort_native_sdpa", "cudnn::fusion"),
    "attention": ("flash", "fmha", "attention"),
    "activation": ("snake",),
    "convolutions": ("conv", "wgrad", "dgrad", "implicit", "cudnn", "xmma_fprop"),
    "matrix products": ("gemm", "cutlass", "nvjet", "mm_", "matmul", "linear"),
    "copies": ("memcpy", "memset", "copy"),
}


@torch.inference_mode()
def kernel(bench: Bench) -> Verdict:
    """The activation's kernel gives what the plain way gives"""
    module = bench.model[0].acoustic_encoder.block[0].snake1
    activate = fastest_activation(bench.device)
    shapes = [(2, 4, 4_000), (2, 4, 200)] if bench.dry else [(10, 48, 400_000), (8, 1_536, 2_000)]
    worst: dict[str, float] = {}
    for clips, channels, width in shapes:
        own = torch.randint(1, width + 1, (clips,), generator=torch.Generator().manual_seed(0))
        own[0] = width
        module_of = _activation(module, channels)
        for dtype, limit in LIMITS.items():
            across = torch.randn(clips, width, channels).to(bench.device, dtype)
            for name, values in {
                "contiguous": across.transpose(1, 2).contiguous(),
                "strided": across.transpose(1, 2),
            }.items():
                lengths = own.to(bench.device)
                expected = plain(module_of, values.float(), lengths)
                apart = float((activate(module_of, values, lengths).float() - expected).abs().max())
                worst[f"{channels}x{width} {dtype} {name}"] = apart / limit
    return Verdict(max(worst.values()) < 1, f"at most {max(worst.values()):.0%} of what is allowed", worst)


def _activation(module: Any, channels: int) -> Any:
    """The activation with its parameters repeated or cut to so many channels."""
    import copy

    made = copy.deepcopy(module)
    made.__dict__.pop("_fused", None)
    for name in ("alpha", "beta"):
        old = getattr(made.act, name)
        setattr(made.act, name, torch.nn.Parameter(old.repeat(-(-channels // len(old)))[:channels]))
    return made


def exactness(bench: Bench) -> Verdict:
    """fp32: every code of a batch is the reference's"""
    codec, clips = bench.codec(half=False), bench.clips(3.0 if bench.dry else 1_000.0)[:200]
    shapes = choose_shapes(np.array([len(clip) // 320 + 1 for clip in clips]), len(clips), 12_000, 2_001)
    codec.expect(shapes, 0.0)
    made = _batched(bench, codec, clips, shapes)
    equal, total = agreeing(made, [codec.reference.encode(clip) for clip in clips])
    assert codec.tolerance is not None
    twice = codec.tolerance.redone / codec.tolerance.clips
    figures = {"clips": len(clips), "codes": total, "differ": total - equal, "encoded_twice": twice}
    tolerance = codec.tolerance.value
    words = f"{total - equal} of {total:,} codes differ; {twice:.1%} encoded twice, tolerance {tolerance:.1e}"
    return Verdict(equal == total, words, figures | {"tolerance": tolerance})


def _batched(bench: Bench, codec: Any, clips: list[Tensor], shapes: tuple[Shape, ...]) -> list[np.ndarray]:
    codes: list[np.ndarray] = [np.empty(0)] * len(clips)
    for rows, _ in plan_batches([len(clip) // 320 + 1 for clip in clips], shapes):
        for row, own in zip(
            rows, codec.encode(*padded([clips[row] for row in rows], bench.device)), strict=True
        ):
            codes[row] = own
    return codes


def waiting(bench: Bench) -> Verdict:
    """Launching a batch waits for nothing"""
    codec, batch = bench.codec(half=True), padded(bench.clips(2.0 if bench.dry else 100.0), bench.device)
    codec.encode(*batch)
    started = time.perf_counter()
    if bench.device.type == "cuda":
        torch.cuda.set_sync_debug_mode("error")
    try:
        pending = codec.launch(*batch)
    finally:
        if bench.device.type == "cuda":
            torch.cuda.set_sync_debug_mode("default")
    launched = time.perf_counter() - started
    codec_seconds = (pending.result(), time.perf_counter() - started)[1]
    words = f"launched in {1e3 * launched:.1f} ms, done after {1e3 * codec_seconds:.1f} ms"
    return Verdict(True, words, {"launch_seconds": launched, "seconds": codec_seconds})


def shares(bench: Bench) -> Verdict:
    """Time by kind of kernel: attention is not cuDNN's"""
    codec, batch = bench.codec(half=True), padded(bench.clips(2.0 if bench.dry else 200.0), bench.device)
    codec.encode(*batch)
    cuda = bench.device.type == "cuda"
    kind = ProfilerActivity.CUDA if cuda else ProfilerActivity.CPU
    with profile(activities=[kind], acc_events=True) as seen:
        codec.encode(*batch)
    spent: defaultdict[str, float] = defaultdict(float)
    for event in seen.key_averages():
        words = event.key.lower()
        family = next(
            (name for name, parts in FAMILIES.items() if any(part in words for part in parts)), "other"
        )
        spent[family] += event.self_device_time_total if cuda else event.self_cpu_time_total
    total = sum(spent.values())
    share = {name: round(value / total, 4) for name, value in sorted(spent.items(), key=lambda one: -one[1])}
    words = ", ".join(f"{name} {value:.0%}" for name, value in share.items())
    return Verdict("attention by cuDNN" not in share, words, share)


def new_shapes(bench: Bench) -> Verdict:
    """A shape's first batch takes less than 1.5 times its second"""
    codec = bench.codec(half=True)
    shapes = [Shape(1, 25)] if bench.dry else list(general())
    codec.encode(*padded([torch.randn(9_000)] * 3, bench.device))
    ratios = {}
    for shape in shapes:
        codec.expect([shape], 0.0)
        batch = padded([torch.randn(shape.codes * 320 - 1) * 0.1] * shape.clips, bench.device)
        times = []
        for _ in range(3):
            bench.synchronise()
            started = time.perf_counter()
            codec.encode(*batch)
            times.append(time.perf_counter() - started)
        ratios[f"{shape.clips}x{shape.codes}"] = times[0] / min(times[1:])
    worst, middle = max(ratios.values()), median(ratios.values())
    # On a busy CPU a single ratio says little, so a dry run only has to get through.
    return Verdict(worst < 1.5 or bench.dry, f"{worst:.2f} times at most, {middle:.2f} in the middle", ratios)


@dataclass
class _Batch:
    waveforms: Tensor
    lengths: Tensor


def memory(bench: Bench) -> Verdict:
    """With a twentieth of the memory every clip has its codes"""
    codec, clips = bench.codec(half=True), bench.clips(8.0 if bench.dry else 400.0)
    batch = _Batch(*padded(sorted(clips, key=len, reverse=True), bench.device))
    longest = max(map(len, clips)) // 320 + 1
    codec.expect([Shape(len(clips), longest)], 0.0)
    if bench.device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.set_per_process_memory_fraction(0.05)
    else:
        inner, room = codec._encoder, longest * 320 * 2
        codec._encoder = _Crowded(inner, room)  # type: ignore[assignment]
    try:
        ((_, codes),) = encode(codec, [batch])
    finally:
        if bench.device.type == "cuda":
            torch.cuda.set_per_process_memory_fraction(1.0)
    missing = sum(one is None for one in codes)
    return Verdict(
        missing == 0, f"{missing} of {len(clips)} clips without codes; {codec.report()}", {"missing": missing}
    )


class _Crowded:
    """An encoder on a device that has room for so many samples at a time."""

    def __init__(self, inner: Any, room: int) -> None:
        self._inner, self._room = inner, room

    def __call__(self, waveforms: Tensor, lengths: Tensor) -> Any:
        if waveforms.numel() > self._room:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return self._inner(waveforms, lengths)


def agreement(bench: Bench) -> Verdict:
    """bf16 agrees with fp32 in nine of ten codes"""
    codec, clips = bench.codec(half=True), bench.clips(3.0 if bench.dry else 600.0)
    made = _batched(bench, codec, clips, general())
    exact = [codec.reference.encode(clip) for clip in clips]
    equal, total = agreeing(made, exact)
    figures = {"all": equal / total}
    for name, cut in {"first 10": slice(10), "last 10": slice(-10, None)}.items():
        parts = [[one[cut] for one in codes] for codes in (made, exact)]
        figures[name] = float(np.divide(*agreeing(*parts)))
    words = ", ".join(f"{name} {value:.2%}" for name, value in figures.items())
    return Verdict(figures["all"] >= (0.5 if bench.dry else 0.9), words, figures)
