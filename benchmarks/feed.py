"""What the loader alone delivers: decoding, downmix, resampling to 16 kHz, batching. No features, no codec.

    .venv/bin/python -m benchmarks.feed                        120 clips a form, each read three times
    .venv/bin/python -m benchmarks.feed --clips 40 --rounds 1

Per core: seconds of audio a second of processor time, so that other work on the machine counts little; the
loader's own in this process, and the plain loop's beside it (soundfile, mean over channels, functional
resampling, one clip at a time, on one thread as a worker has). With workers: seconds of audio a second of
wall-clock time, from the first batch on; of the workers' processor time in the results file.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
import torchaudio

from benchmarks.common import save
from pipeline.audio.decode import decode, resample
from pipeline.audio.source import FolderSource
from pipeline.codec.shapes import choose_shapes, codes_of, plan_batches
from pipeline.config import LimitSettings, LoadSettings
from pipeline.loader import Request, load
from pipeline.utterance import Utterance

TARGET_RATE = 16000
TARGET = 1000  # times real time per core for FLAC at 44.1 kHz
SPEECH = Path(__file__).parents[1] / "data" / "sample" / "audio"
FORMS = {  # name: ending, sample rate, channels, soundfile's format and subtype
    "FLAC 44.1 kHz": ("flac", 44100, 1, "FLAC", "PCM_16"),
    "FLAC 44.1 kHz stereo": ("flac", 44100, 2, "FLAC", "PCM_16"),
    "MP3 44.1 kHz": ("mp3", 44100, 1, "MP3", "MPEG_LAYER_III"),
    "Opus 48 kHz": ("opus", 48000, 1, "OGG", "OPUS"),
    "WAV 44.1 kHz": ("wav", 44100, 1, "WAV", "PCM_16"),
    "WAV 16 kHz": ("wav", 16000, 1, "WAV", "PCM_16"),
}


def speech() -> np.ndarray:
    """All sample speech after another, float32 at 16 kHz."""
    clips = []
    for path in sorted(SPEECH.rglob("*")):
        if path.suffix in {".wav", ".flac", ".mp3", ".ogg", ".opus"}:
            waveform, rate = decode(path, max_seconds=60, deadline_seconds=60)
            clips.append(resample(waveform, rate, TARGET_RATE).numpy())
    return np.concatenate(clips)


def make_clips(root: Path, form: str, clips: int) -> list[float]:
    """Clips of 1 to 25 s, log-normal with a median of 5 s, with a microphone's noise; their durations."""
    ending, rate, channels, container, subtype = FORMS[form]
    random = np.random.default_rng(0)
    voice = resample(torch.from_numpy(speech()), TARGET_RATE, rate).numpy()
    durations = np.clip(random.lognormal(np.log(5.0), 0.7, clips), 1.0, 25.0)
    for number, duration in enumerate(durations):
        samples = int(duration * rate)
        start = random.integers(0, len(voice))
        clip = np.take(voice, range(start, start + samples), mode="wrap")[:, None].repeat(channels, axis=1)
        noisy = clip + 1e-3 * random.standard_normal((samples, channels))
        soundfile.write(root / f"{number:04d}.{ending}", noisy, rate, format=container, subtype=subtype)
    return durations.tolist()


def plain_loop(paths: list[Path]) -> float:
    """Seconds of audio that the usual script decodes and resamples."""
    seconds = 0.0
    for path in paths:
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
        waveform = torch.from_numpy(samples).mean(dim=1)
        torchaudio.functional.resample(waveform, rate, TARGET_RATE)
        seconds += len(samples) / rate
    return seconds


def batches(paths: list[Path], durations: list[float], rounds: int) -> Iterator[tuple[int, list[Request]]]:
    codes = codes_of(durations, 50.0)
    shapes = choose_shapes(codes, len(codes), int(LoadSettings().batch_seconds / 4 * 50), int(codes.max()))
    plan = [batch for batch, _ in plan_batches(codes, shapes)]
    for number in range(rounds):
        for batch in plan:
            yield number, [Request(i, Utterance(paths[i].stem, paths[i].name, "text")) for i in batch]


def loaded(
    root: Path, paths: list[Path], durations: list[float], rounds: int, workers: int
) -> dict[str, float]:
    """Throughput of the loader from its first batch on."""
    stream = load(
        batches(paths, durations, rounds),
        source=FolderSource(root),
        sample_rate=TARGET_RATE,
        settings=LoadSettings(num_workers=workers),
        limits=LimitSettings(),
        pin_memory=False,
    )
    next(stream)
    wall, spent = time.perf_counter(), processor_time(workers)
    seconds, clips = 0.0, 0
    used = spent
    for batch in stream:
        seconds += sum(clip.duration for clip in batch.clips)
        clips += len(batch.clips)
        used = max(used, processor_time(workers))  # the workers end with the stream
    wall = time.perf_counter() - wall
    return {
        "clips_a_second": clips / wall,
        "times_real_time": seconds / wall,
        "times_real_time_per_core": seconds / (used - spent),
    }


def processor_time(workers: int) -> float:
    """Seconds that this process, or its workers, have computed so far."""
    if workers == 0:
        return time.process_time()
    ticks = 0
    for child in multiprocessing.active_children():
        fields = Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])  # utime and stime, proc(5)
    return ticks / os.sysconf("SC_CLK_TCK")


def per_core(work: Callable[[], float]) -> float:
    """Seconds of audio a second of this process's time; the best of three."""
    rates = []
    for _ in range(3):
        started = time.process_time()
        seconds = work()
        rates.append(seconds / (time.process_time() - started))
    return max(rates)


def measure(form: str, clips: int, rounds: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        durations = make_clips(root, form, clips)
        paths = sorted(root.iterdir())
        plain = per_core(lambda: plain_loop(paths))
        runs = {
            f"{workers}_workers": loaded(root, paths, durations, rounds, workers) for workers in (0, 1, 2)
        }
    ours = runs["0_workers"]["times_real_time_per_core"]
    return {"per_core": ours, "plain_loop_per_core": plain, "ratio": ours / plain, **runs}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clips", type=int, default=120)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    figures: dict[str, Any] = {"clips": arguments.clips, "rounds": arguments.rounds, "forms": {}}
    print(
        f"{'':22}{'per core':>10}{'plain loop':>12}{'ratio':>7}"
        f"{'0 workers':>12}{'1':>9}{'2':>9}  clips/s with 2"
    )
    for form in FORMS:
        found = figures["forms"][form] = measure(form, arguments.clips, arguments.rounds)
        wall = [found[f"{workers}_workers"]["times_real_time"] for workers in (0, 1, 2)]
        print(
            f"{form:22}{found['per_core']:>9,.0f}×{found['plain_loop_per_core']:>11,.0f}×{found['ratio']:>7.2f}"
            f"{wall[0]:>11,.0f}×{wall[1]:>8,.0f}×{wall[2]:>8,.0f}×{found['2_workers']['clips_a_second']:>9,.0f}"
        )
    reached = figures["forms"]["FLAC 44.1 kHz"]["per_core"]
    figures["target"] = {"times_real_time_per_core": TARGET, "reached": reached >= TARGET}
    print(f"target: {TARGET:,} times real time per core for FLAC 44.1 kHz; reached {reached:,.0f}")
    figures["load_average"] = os.getloadavg()[0]  # of the machine, at the end
    save("feed", figures)


if __name__ == "__main__":
    main()
