"""Encoding three ways in one run: clip by clip, the library's padded batches, and this pipeline's codec.

    .venv/bin/python -m benchmarks.encode             sample codec on a CPU, full-size random one on CUDA
    .venv/bin/python -m benchmarks.encode --size full --seconds 60           random full-size weights
    .venv/bin/python -m benchmarks.encode --size full --seconds 60 --bf16    the same in bf16

Clips are as long as real corpora's: log-normal, 1 to 25 s, median 5 s. The ways take turns, and each one's
fastest round counts, so that other work on the machine counts little. Speed is seconds of audio a second of
wall-clock time, and of processor time; the ceiling is the rate of one large matrix product, measured here,
over the operations that the plain loop's encoding counts. Agreement is with the plain loop's float32 codes.
"""

from __future__ import annotations

import argparse
import gc
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.ceiling import matrix_rate, operations, peak, reset_peak
from benchmarks.common import save
from pipeline.codec import checkpoint
from pipeline.codec.agreement import agreeing
from pipeline.codec.loading import XCODEC2, half_precision, load_extractor, load_model
from pipeline.codec.native import Identity, NativeCodec
from pipeline.codec.shapes import choose_shapes, codes_of, plan_batches
from pipeline.runtime import pick_device
from tools.make_random_codec import random_model, spread_codes

RATE = 16_000
SAMPLE = "data/sample/codec"
MEDIAN, SPREAD, SHORTEST, LONGEST = 5.0, 0.6, 1.0, 25.0  # seconds; deviation of the logarithm
NOT_MEASURED = "not measured: no GPU was at hand, nothing here says how fast the codec is on one"
Way = Callable[[list[Tensor]], list[np.ndarray]]


@dataclass
class Result:
    """One way's figures."""

    seconds: float = float("inf")  # wall-clock
    processor: float = float("inf")  # seconds, of all cores
    peak: int = 0  # bytes
    codes: list[np.ndarray] | None = None
    padding: float = 0.0


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    device = pick_device("auto")
    cuda = device.type == "cuda"
    parser.add_argument("--size", choices=("sample", "full"), default="full" if cuda else "sample")
    parser.add_argument("--bf16", action=argparse.BooleanOptionalAction, default=cuda)
    parser.add_argument("--seconds", type=float, default=3600.0 if cuda else 240.0, help="audio to encode")
    parser.add_argument("--batch-seconds", type=float, default=240.0, help="padded, a batch, at most")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="cores to use")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    half = half_precision(arguments.bf16, device)
    model, extractor = full_size(device) if arguments.size == "full" else sample(device)
    identity = Identity("benchmark", "unknown", "0")
    codec = NativeCodec(model, extractor, XCODEC2, identity, half=half, compiled=cuda)
    clips = list(sounds(arguments.seconds))
    figures = measure(codec, clips, device, arguments.batch_seconds, arguments.rounds, half)
    figures |= {"size": arguments.size, "precision": codec.precision}
    figures["device"] = torch.cuda.get_device_name() if cuda else "cpu"
    figures["cuda"] = "measured" if cuda else NOT_MEASURED
    show(figures)
    parts = [
        device.type,
        *(["full"] if arguments.size == "full" else []),
        *([codec.precision] if half else []),
    ]
    save("-".join(["encode", *parts]), figures)


def measure(
    codec: NativeCodec,
    clips: list[Tensor],
    device: torch.device,
    batch: float,
    rounds: int,
    half: torch.dtype | None,
) -> Any:
    """All ways in turn, `rounds` times; figures for the table and the results file."""
    audio = sum(map(len, clips)) / RATE
    parts, padded = batches(codec, clips, batch)
    ways: dict[str, Way] = {
        "plain loop": lambda given: [codec.reference.encode(clip) for clip in given],
        "library, batched": lambda given: batched(codec, given, parts, device, half),
        "this pipeline": lambda given: ours(codec, given, parts, device),
    }
    results = {name: Result() for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            run(way, clips, results[name], device)
    own = sum(len(part) * max(len(clips[row]) for row in part) for part in parts) / RATE
    results["library, batched"].padding = 1 - audio / own
    results["this pipeline"].padding = 0.0 if device.type == "cpu" else padded
    need = operations(lambda: codec.reference.encode(clips[0])) / (len(clips[0]) / RATE)
    rate = matrix_rate(device, half)
    plain = results["plain loop"]
    assert plain.codes is not None
    return {
        "audio_seconds": audio,
        "clips": len(clips),
        "threads": torch.get_num_threads(),
        "operations_a_second_of_audio": need,
        "matrix_rate": rate,
        "encoded_again_alone": None
        if codec.tolerance is None
        else codec.tolerance.redone / max(codec.tolerance.clips, 1),
        "tolerance": None if codec.tolerance is None else codec.tolerance.value,
        "ways": {
            name: {
                "times_real_time": audio / result.seconds,
                "times_the_plain_loop": plain.seconds / result.seconds,
                "times_the_plain_loop_by_processor_time": plain.processor / result.processor,
                "share_of_ceiling": audio / result.seconds * need / rate,
                "padding": result.padding,
                "peak_bytes": result.peak,
                "agreement": np.divide(*agreeing(result.codes or [], plain.codes)).item(),
            }
            for name, result in results.items()
        },
    }


def run(way: Way, clips: list[Tensor], result: Result, device: torch.device) -> None:
    """One round: keeps the fastest time and the largest memory."""
    gc.collect()
    reset_peak(device)
    started, worked = time.perf_counter(), time.process_time()
    with torch.inference_mode():
        result.codes = way(clips)
    result.seconds = min(result.seconds, time.perf_counter() - started)
    result.processor = min(result.processor, time.process_time() - worked)
    result.peak = max(result.peak, peak(device))


def batched(
    codec: NativeCodec,
    clips: list[Tensor],
    parts: list[list[int]],
    device: torch.device,
    half: torch.dtype | None,
) -> Any:
    """Padded batches as transformers documents them, masks passed; each clip cut at its number of codes."""
    model, extractor, codes = codec._model, codec.reference._extractor, [np.empty(0)] * len(clips)
    for part in parts:
        given = [clips[row].numpy() for row in part]
        inputs = extractor(audio=given, sampling_rate=RATE, return_tensors="pt").to(device)
        with torch.autocast(device.type, dtype=half, enabled=half is not None):
            made = model.encode(**inputs).audio_codes[:, 0].cpu().numpy().astype(np.uint16)
        for row, line in zip(part, made, strict=True):
            codes[row] = line[: len(clips[row]) // codec.hop_length + 1]
    return codes


def ours(
    codec: NativeCodec, clips: list[Tensor], parts: list[list[int]], device: torch.device
) -> list[np.ndarray]:
    """As the pipeline does: the next batch is launched before the last one's codes are asked for."""
    codes: list[np.ndarray] = [np.empty(0)] * len(clips)
    under_way: list[tuple[list[int], Any]] = []
    for part in parts:
        chosen = [clips[row] for row in part]
        batch = torch.nn.utils.rnn.pad_sequence(chosen, batch_first=True)
        lengths = torch.tensor([len(clip) for clip in chosen])
        if device.type == "cuda":
            batch, lengths = batch.pin_memory(), lengths.pin_memory()
        under_way.append((part, codec.launch(batch, lengths)))
        if len(under_way) > 1:
            collect(codes, *under_way.pop(0))
    collect(codes, *under_way.pop(0))
    return codes


def collect(codes: list[np.ndarray], part: list[int], pending: Any) -> None:
    for row, made in zip(part, pending.result(), strict=True):
        codes[row] = made


def batches(codec: NativeCodec, clips: list[Tensor], seconds: float) -> tuple[list[list[int]], float]:
    """Rows of each batch, as the pipeline plans them, and the share of padding; tells the codec of them."""
    rate = RATE / codec.hop_length
    codes = codes_of([len(clip) / RATE for clip in clips], rate)
    shapes = choose_shapes(codes, len(codes), int(seconds * rate), int(codes.max()))
    codec.expect(shapes, sum(map(len, clips)) / RATE)
    planned = plan_batches(codes, shapes)
    padded = sum(shape.clips * shape.codes for _, shape in planned)
    return [rows for rows, _ in planned], 1 - float(codes.sum()) / padded


def sounds(seconds: float) -> Iterator[Tensor]:
    """Float32 clips (samples,), together about `seconds` long: noise and tones that come and go."""
    generator = np.random.default_rng(0)
    while seconds > 0:
        length = float(np.clip(MEDIAN * np.exp(SPREAD * generator.standard_normal()), SHORTEST, LONGEST))
        moments = np.arange(int(length * RATE)) / RATE
        pitch = np.cumsum(150 + 60 * np.sin(2 * np.pi * generator.uniform(1, 3) * moments)) / RATE
        tones = sum(np.sin(2 * np.pi * k * pitch) / k for k in range(1, 10))
        level = np.clip(np.sin(2 * np.pi * 2.1 * moments), 0.02, None)
        made = level * (0.1 * tones + 0.03 * generator.standard_normal(len(moments)))
        yield torch.from_numpy(made.astype(np.float32))
        seconds -= length


def sample(device: torch.device) -> tuple[Any, Any]:
    from transformers import Xcodec2FeatureExtractor, Xcodec2Model

    found = checkpoint.find(SAMPLE)
    return load_model(found, Xcodec2Model).to(device), load_extractor(found, Xcodec2FeatureExtractor)


def full_size(device: torch.device) -> tuple[Any, Any]:
    """XCodec2 as large as the published one, with random weights and codes that follow the sound."""
    from transformers import Xcodec2Config, Xcodec2FeatureExtractor, Xcodec2Model

    model, extractor = (
        random_model(Xcodec2Model, Xcodec2Config()).requires_grad_(False),
        Xcodec2FeatureExtractor(),
    )
    spread_codes(model, extractor)
    return model.to(device), extractor


def show(figures: Any) -> None:
    """The table."""
    print(
        f"{figures['clips']} clips, {figures['audio_seconds']:.0f} s, {figures['size']} codec, "
        f"{figures['precision']}, {figures['device']}"
    )
    print(f"CUDA {figures['cuda']}")
    heads = ("x real time", "x plain", "by CPU time", "ceiling", "padding", "peak MB", "agreement")
    print(" " * 17, *(f"{head:>12}" for head in heads))
    for name, way in figures["ways"].items():
        cells = (
            f"{way['times_real_time']:.1f}",
            f"{way['times_the_plain_loop']:.2f}",
            f"{way['times_the_plain_loop_by_processor_time']:.2f}",
            f"{way['share_of_ceiling']:.1%}",
            f"{way['padding']:.1%}",
            f"{way['peak_bytes'] / 1e6:.0f}",
            f"{way['agreement']:.3%}",
        )
        print(f"{name:17}", *(f"{cell:>12}" for cell in cells))
    if figures["encoded_again_alone"] is not None:
        print(f"{figures['encoded_again_alone']:.1%} of clips were encoded again alone, near a boundary")


if __name__ == "__main__":
    main()
