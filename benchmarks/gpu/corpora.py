"""The lines that run the command line: equal bytes, folder to shards, several GPUs."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import soundfile
import torch

from benchmarks.gpu.line import ROOT, Bench, Verdict, create_here, run

SAMPLE = ROOT / "data/sample"
READABLE = (".wav", ".flac", ".mp3", ".ogg", ".opus")  # of the sample's formats, by soundfile
GOALS = {"default": 4_000, "compiled, first run": 4_000, "compiled, second run": 6_000}  # times real time


def equal_bytes(bench: Bench) -> Verdict:
    """Two processes make the same bytes, compiled and not"""
    digests: dict[str, list[str]] = {}
    for name in ["not compiled"] if bench.dry else ["not compiled", "compiled"]:
        options = ["--bf16", "--max-samples", "2" if bench.dry else "64"]
        options += ["--compile" if name == "compiled" else "--no-compile"]
        made = [_created(bench, bench.folder / f"{name}-{number}", options) for number in range(2)]
        digests[name] = [_digest(out) for out in made]
    equal = all(first == second for first, second in digests.values())
    return Verdict(
        equal, "; ".join(f"{name}: {a[:12]} {b[:12]}" for name, (a, b) in digests.items()), digests
    )


def folder_to_shards(bench: Bench) -> Verdict:
    """From a folder of FLAC to shards, in times real time"""
    text = multiplied(bench.folder / "corpus", 4 if bench.dry else 20_000)
    figures: dict[str, object] = {}
    rates = {}
    for name in ["default"] if bench.dry else list(GOALS):
        options = ["--bf16", *([] if name == "default" else ["--compile"])]
        out = _created(bench, bench.folder / name, options, [str(text.parent), str(text)])
        stats = json.loads((out / "stats.json").read_text(encoding="utf-8"))
        rates[name] = stats["times_real_time"]
        figures[name] = {key: stats[key] for key in ("rows", "hours", "times_real_time", "stage_seconds")}
    reached = all(rate >= GOALS[name] for name, rate in rates.items()) or bench.dry
    words = ", ".join(f"{name} {rate:,.0f}x (goal {GOALS[name]:,}x)" for name, rate in rates.items())
    return Verdict(reached, words, figures)


def several(bench: Bench) -> Verdict:
    """A second GPU, and one process for each of two"""
    if not bench.dry and torch.cuda.device_count() < 2:
        return Verdict(None, "one GPU here")
    alone, both = bench.folder / "second", bench.folder / "both"
    rows = ["--max-samples", "4" if bench.dry else "64", "--shard-size", "2" if bench.dry else "16"]
    if bench.dry:
        _created(bench, alone, rows)
        for part in ("0", "1"):
            _created(bench, both, [*rows, "--part", part, "--num-parts", "2"])
    else:
        codec = ["--codec", bench.codec_folder]
        run(["create_dataset.py", "-o", str(alone), *codec, "--device", "cuda:1", *rows])
        launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
        run([*launcher, "create_dataset.py", "-o", str(both), *codec, *rows])
    equal = _digest(alone) == _digest(both)
    return Verdict(equal, f"one process on the second, and two: {'equal' if equal else 'different'} bytes")


def multiplied(folder: Path, clips: int) -> Path:
    """Make a corpus of so many FLAC clips out of the sample's, by links; the path of its transcripts."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = (SAMPLE / "transcripts.txt").read_text(encoding="utf-8").splitlines()
    said = dict(line.split(":", 1) for line in lines)
    readable = (path for path in sorted((SAMPLE / "audio").rglob("*")) if path.suffix in READABLE)
    audio = {path.stem: path for path in readable if path.stem in said}
    made: list[Path] = []
    written = []
    names = list(audio)
    for number in range(clips):
        name = names[number % len(audio)]
        clip = folder / f"clip-{number:06}.flac"
        if number < len(audio):
            samples, rate = soundfile.read(audio[name])
            soundfile.write(clip, samples, rate)
            made.append(clip)
        else:
            clip.hardlink_to(made[number % len(audio)])
        written.append(f"{clip.stem}:{said[name]}\n")
    text = folder / "transcripts.txt"
    text.write_text("".join(written), encoding="utf-8")
    return text


def _created(bench: Bench, out: Path, options: list[str], corpus: list[str] | None = None) -> Path:
    place = ["-o", str(out), "--codec", bench.codec_folder, "--device", str(bench.device)]
    arguments = [*(corpus or []), *place, *options]
    if bench.dry:
        create_here([*arguments, "--num-workers", "0"])
    else:
        run(["create_dataset.py", *arguments])
    return out


def _digest(out: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted((out / "data").iterdir()):
        digest.update(path.read_bytes())
    return digest.hexdigest()
