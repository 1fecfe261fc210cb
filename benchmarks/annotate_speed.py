"""What annotating costs: beside encoding, and later, against a plain loop over the same libraries.

    python -m benchmarks.annotate_speed prompts                     # prompts: see benchmarks/annotate.py
    python -m benchmarks.annotate_speed prompts --size full --clips 6      # a codec of the published size

Measures `level`, `quality` and `codes` of English prompts. What is beside encoding is told in processor time
of one thread, which other programs hardly disturb; annotating later and the loop in seconds.
Prints the figures and writes benchmarks/results/annotate-speed.json or annotate-speed-full.json.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import soundfile
import torch

from benchmarks.common import save, seconds
from benchmarks.encode import full_size
from benchmarks.long_recordings import read_prompts
from benchmarks.planted import LONGEST, Planted, write
from pipeline.annotate.annotators.level import Level
from pipeline.annotate.api import annotate
from pipeline.build.dataset import create_dataset
from pipeline.codec import load_codec
from pipeline.codec.loading import XCODEC2
from pipeline.codec.native import Identity, NativeCodec
from pipeline.codec.protocol import Codec
from pipeline.config import CodecSettings
from pipeline.dataset.reader import Dataset

NAMES = ("level", "quality", "codes")
ROUNDS = 3


def loop(clips: Path) -> None:
    """Read each recording and give it to speechmos and to the measures of `level`, one after the other."""
    from speechmos import dnsmos

    level = Level()
    for path in sorted(clips.iterdir()):
        waveform, rate = soundfile.read(path, dtype="float32")
        level.hear(waveform, rate)
        dnsmos.run(waveform.clip(-1, 1), rate)


def main() -> None:
    parser = argparse.ArgumentParser(description="Seconds that annotating takes.")
    parser.add_argument("prompts", type=Path, help="where the Debian packages are unpacked, or /")
    parser.add_argument("--clips", type=int, default=200, metavar="N", help="prompts to take [200]")
    parser.add_argument("--size", choices=("sample", "full"), default="sample", help="of the codec [sample]")
    arguments = parser.parse_args()
    prompts = [one for one in read_prompts(arguments.prompts, trim=False) if len(one.waveform) < LONGEST]
    chosen = prompts[:: max(len(prompts) // arguments.clips, 1)][: arguments.clips]
    codec = codec_of(arguments.size)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write([Planted(one.name.replace("/", "-"), one.text, one.waveform) for one in chosen], root)
        with mock.patch("pipeline.codec.load_codec", return_value=codec):
            figures = beside_encoding(root)
        if arguments.size == "sample":
            figures |= later(root)
    for name, value in figures.items():
        print(f"{name:36}{value:10}")
    name = "annotate-speed" if arguments.size == "sample" else "annotate-speed-full"
    save(name, {"clips": len(chosen), "codec": arguments.size, "figures": figures})


def codec_of(size: str) -> Codec:
    if size == "sample":
        return load_codec(CodecSettings(device="cpu"))
    model, extractor = full_size(torch.device("cpu"))
    return NativeCodec(model, extractor, XCODEC2, Identity("benchmark", "unknown", "0"))


def beside_encoding(root: Path) -> dict[str, float]:
    """Processor seconds of making the dataset, the least of ROUNDS: plain, with some and with all."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    paths = root / "clips", root / "metadata.csv"

    ways = {"create": "", "create_and_level_codes": "level,codes", "create_and_all": ",".join(NAMES)}

    def made(way: str, number: int) -> Callable[[], object]:
        settings = {"load.num_workers": 0} | ({"run.annotate": ways[way]} if ways[way] else {})
        return lambda: create_dataset(*paths, output=root / f"{way}-{number}", settings=settings)

    made("create_and_all", ROUNDS)()  # what is loaded once is loaded
    rounds = [{way: spent(made(way, number)) for way in ways} for number in range(ROUNDS)]
    found = {way: min(each[way] for each in rounds) for way in ways}
    torch.set_num_threads(threads)
    return {
        **{f"{name}_processor_s": round(value, 2) for name, value in found.items()},
        "level_codes_over_create_percent": percent(found["create_and_level_codes"], found["create"]),
        "all_over_create_percent": percent(found["create_and_all"], found["create"]),
    }


def later(root: Path) -> dict[str, float]:
    """Wall-clock seconds of annotating what was made without, and of the loop."""
    found = {
        "annotate_later": seconds(lambda: annotate(Dataset(root / "create-0"), NAMES)),
        "plain_loop": seconds(lambda: loop(root / "clips")),
    }
    return {
        **{f"{name}_s": round(value, 2) for name, value in found.items()},
        "loop_over_later": round(found["plain_loop"] / found["annotate_later"], 2),
    }


def spent(work: Callable[[], object]) -> float:
    """Processor time of one call, all threads."""
    started = time.process_time()
    work()
    return time.process_time() - started


def percent(more: float, less: float) -> float:
    return round(100 * (more / less - 1), 1)


if __name__ == "__main__":
    main()
