"""What limits a cluster apart from its GPUs: the dealer, the driver, the disk, the store, the manifest.

.venv/bin/python -m benchmarks.scale                              64 workers, 1,000 shards a minute, 3 minutes
.venv/bin/python -m benchmarks.scale --workers 16 --minutes 1

A codec that only sleeps stands for the GPU, so that two cores can hold 64 workers; the corpus is planned
while they are at work. The workers are the engine's own, on a real Ray cluster, but 16 to a process, as
threads: 64 processes would need 21 GB for torch.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import ray
import soundfile
import torch

from benchmarks.common import s3_store, save
from pipeline.build.create import make, make_plan, open_planned
from pipeline.build.engines.job import Job
from pipeline.build.engines.ray.worker import Worker
from pipeline.build.engines.shard_queue import ShardQueue
from pipeline.build.feed import AHEAD, ShardFeed
from pipeline.codec.fake import FakeCodec
from pipeline.config import Settings
from pipeline.dataset.manifest import Manifest, ManifestRow, ShardPlan
from pipeline.dataset.rows import SCHEMA
from pipeline.storage.claims import claimed
from pipeline.storage.paths import resolve_path, store

CLIPS_A_SHARD = 4
THREADS = 16  # workers a process
POLL = 0.5  # seconds between the driver's looks, as in the engine
CALLS = 2000  # to the dealer, when its own speed is measured
SHARDS_OF_MANIFEST = 1000  # of 1,000 rows, when the manifest is measured


def make_corpus(root: Path, rows: int) -> dict[str, str]:
    """A few clips of half a second, named by many utterances."""
    (root / "audio").mkdir(parents=True)
    for number in range(8):
        samples = np.random.default_rng(number).normal(0, 0.1, 8000).astype(np.float32)
        soundfile.write(root / f"audio/{number}.wav", samples, 16000)
    with (root / "text.jsonl").open("w") as text:
        for number in range(rows):
            row = {"id": f"u{number}", "audio": f"{number % 8}.wav", "text": f"what utterance {number} says"}
            text.write(json.dumps(row) + "\n")
    return {"corpus.audio": str(root / "audio"), "corpus.text": str(root / "text.jsonl")}


def settings_in(root: Path, shards: int) -> Settings:
    corpus = make_corpus(root, shards * CLIPS_A_SHARD)
    few = {"output.shard_size": CLIPS_A_SHARD, "load.num_workers": 0, "run.worker_cpus": 1}
    return Settings().with_values({**corpus, **few})


class Sleeper(FakeCodec):
    """Sleeps over a clip; a shard may come in several batches."""

    def __init__(self, seconds_a_clip: float) -> None:
        super().__init__()
        self.seconds_a_clip = seconds_a_clip

    def encode(self, waveforms: torch.Tensor, lengths: torch.Tensor) -> list[np.ndarray]:
        """See `Codec.encode`."""
        time.sleep(self.seconds_a_clip * len(waveforms))
        return super().encode(waveforms, lengths)


class Host:
    """Some of the engine's workers, in one process. A Ray actor."""

    def __init__(self, job: Job, numbers: list[int]) -> None:
        self._workers = [Worker(number, "scale", job, ".") for number in numbers]

    def ready(self) -> None:
        """Answer, once it was started."""

    def run(self, queue: Any) -> float:
        """All workers to the end; the processor time they took, seconds."""
        threads = [threading.Thread(target=worker.run, args=(queue,)) for worker in self._workers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return time.process_time()


def simulate(root: Path, workers: int, rate: float, minutes: float) -> dict[str, float]:
    """`workers` that sleep as long over a shard as makes `rate` shards a minute, from an unplanned corpus."""
    sleep = workers * 60 / rate
    shards = round(rate * minutes)
    settings = settings_in(root, shards)
    planned = open_planned(root / "out", settings, print)
    job = Job(
        dataset=planned.dataset,
        source=planned.corpus.source,
        settings=settings,
        columns=[name for name in SCHEMA.names if name not in {"speaker", "language"}],
        made_with=None,
        load_codec=lambda codec_settings: Sleeper(sleep / CLIPS_A_SHARD),
    )
    queue: Any = ray.remote(ShardQueue).options(num_cpus=0).remote()
    groups = [list(range(first, min(first + THREADS, workers))) for first in range(0, workers, THREADS)]
    hosts: list[Any] = [ray.remote(Host).options(num_cpus=0).remote(job, group) for group in groups]
    ray.get([host.ready.remote() for host in hosts])
    started = time.time()
    runs = [host.run.remote(queue) for host in hosts]
    with ShardFeed(lambda progress: planned.shards(progress, lambda shard: True)) as feed:
        whole_after = hand_on(feed, queue)
        cpu = sum(ray.get(runs))
    finished = sorted(path.stat().st_mtime - started for path in (root / "out/state").glob("*.json"))
    # Workers finish in rounds: the last one ends together if none ever waited.
    for actor in [*hosts, queue]:
        ray.kill(actor)
    return {
        "workers": workers,
        "sleep_seconds_a_shard": round(sleep, 3),
        "shards": shards,
        "shards_done": len(finished),
        "seconds_to_first_shard_done": round(finished[0], 2),
        "seconds_to_whole_plan": round(whole_after - started, 2),
        "busy": round(shards * sleep / (workers * finished[-1]), 4),
        "busy_after_first_minute": round(
            sum(end > 60 for end in finished) * sleep / (workers * max(finished[-1] - 60, 1)), 4
        ),
        "cpu_seconds_a_shard": round(cpu / shards, 4),
    }


def hand_on(feed: ShardFeed, queue: Any) -> float:
    """Give the queue what is planned, as the engine's driver does; return when the plan was whole."""
    whole_after = 0.0
    while True:
        ended = feed.wait(POLL)
        whole_after = whole_after or (time.time() if ended else 0.0)
        waiting = ray.get(queue.collect.remote())[1]
        shards = feed.take(AHEAD if waiting < AHEAD else 0)
        last = ended and feed.empty
        ray.get(queue.add.remote(shards, last=last))
        if last:
            return whole_after
        if not shards:
            time.sleep(POLL)


def dealer_rate() -> float:
    """Shards that the dealer can hand out a second, to one who asks without a pause."""
    plans = [ShardPlan(number, number * 1000, 1000, "", Path("part"), number) for number in range(CALLS)]
    queue: Any = ray.remote(ShardQueue).options(num_cpus=0).remote()
    ray.get(queue.add.remote(plans, last=True))
    ray.get(queue.next.remote(0))
    started = time.perf_counter()
    for _ in range(CALLS - 1):
        ray.get(queue.next.remote(0))
    rate = (CALLS - 1) / (time.perf_counter() - started)
    ray.kill(queue)
    return round(rate)


def manifest_cost(root: Path) -> dict[str, float]:
    """Bytes a row and a shard take, and how long a look at one shard of a full part takes."""
    rng = np.random.default_rng(0)

    def groups() -> Iterator[list[ManifestRow]]:
        for shard in range(SHARDS_OF_MANIFEST):
            numbers = range(shard * 1000, shard * 1000 + 1000)
            durations = rng.uniform(2, 20, 1000).round(6).tolist()
            yield [
                ManifestRow.of(
                    id=f"EN_B{n // 10000:05d}_S{n // 100:05d}_W{n:06d}",
                    audio=f"EN/EN-B{n // 10000:06d}.tar!EN_W{n:06d}.mp3@{n * 65536}+61234",
                    text=" ".join(f"word{k}" for k in rng.integers(0, 5000, 28)),
                    speaker=f"EN_B{n // 10000:05d}_S{n // 100:05d}",
                    language="en",
                    start=None,
                    end=None,
                    size=61234,
                    mtime_ns=1_700_000_000_000_000_000,
                    duration=duration,
                    sample_rate=24000,
                )
                for n, duration in zip(numbers, durations, strict=True)
            ]

    for _ in Manifest(root).append(groups(), stood=0):
        pass
    chunks = sorted(root.glob("part-*.parquet"))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.perf_counter()
    manifest = Manifest(root)
    opened = time.perf_counter() - started
    started = time.perf_counter()
    for shard in manifest.shards[:20]:
        shard.read()
    return {
        "bytes_a_row": round(sum(chunk.stat().st_size for chunk in chunks) / manifest.rows, 1),
        "footer_bytes_a_shard": round(
            sum(pq.read_metadata(chunk).serialized_size for chunk in chunks) / SHARDS_OF_MANIFEST, 1
        ),
        "open_seconds_a_million_rows": round(opened, 4),
        "read_seconds_a_shard": round((time.perf_counter() - started) / 20, 5),
        "open_peak_growth_kib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before,
    }


@contextlib.contextmanager
def counted_requests() -> Iterator[Counter[str]]:
    """S3 requests, by name, that this process makes of a server on this machine."""
    import s3fs

    count: Counter[str] = Counter()
    real = s3fs.S3FileSystem._call_s3

    async def counting(self: Any, method: str, *arguments: Any, **options: Any) -> Any:
        count[method] += 1
        return await real(self, method, *arguments, **options)

    s3fs.S3FileSystem._call_s3 = counting
    try:
        with s3_store():
            yield count
    finally:
        s3fs.S3FileSystem._call_s3 = real


def requests_a_shard(root: Path) -> dict[str, float]:
    """What one more shard costs in requests, with OUT in a store: the difference of two datasets."""
    from pipeline import codec

    codec.load_codec = lambda settings, decoder=True: FakeCodec()
    counts = []
    with counted_requests() as count:
        bucket = resolve_path("s3://scale")
        store(bucket)[0].mkdir("scale")
        for shards in (10, 30):
            settings = settings_in(root / str(shards), shards)
            out = bucket / str(shards)
            with claimed(out):
                remote = make_plan(out, settings, print)
                todo = remote.manifest.shards
                count.clear()
                make(remote.dataset, remote.corpus.source, lambda _, todo=todo: iter([todo]), settings, print)
            counts.append(Counter(count))
    few, many = counts
    return {name: round((many[name] - few[name]) / 20, 2) for name in sorted(many)}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--workers", type=int, default=64)
    parser.add_argument("--rate", type=float, default=1000.0, help="shards a minute, of all workers together")
    parser.add_argument("--minutes", type=float, default=3.0)
    arguments = parser.parse_args()
    here = str(Path(__file__).parents[1])
    os.environ["PYTHONPATH"] = here
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        figures: dict[str, Any] = {
            "manifest": manifest_cost(root / "manifest"),
            "requests_a_shard": requests_a_shard(root / "requests"),
        }
        ray.init(
            "local", num_cpus=4, log_to_driver=False, logging_level="ERROR", object_store_memory=200 << 20
        )
        figures["dealer_shards_a_second"] = dealer_rate()
        figures["simulation"] = simulate(
            root / "simulation", arguments.workers, arguments.rate, arguments.minutes
        )
        ray.shutdown()
    print(json.dumps(figures, indent=1))
    save("scale", figures)


if __name__ == "__main__":
    main()
