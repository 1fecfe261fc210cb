"""What limits a cluster apart from its GPUs: the dealer, the driver, the disk, the store, the manifest.

.venv/bin/python -m benchmarks.scale                              64 workers, 1,000 shards a minute, 2 minutes
.venv/bin/python -m benchmarks.scale --workers 16 --minutes 1

A codec that only sleeps stands for the GPU, so that two cores can hold 64 workers. The workers are the
engine's own, on a real Ray cluster, but 16 to a process, as threads: 64 processes would need 21 GB for torch.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
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

from benchmarks.common import save
from pipeline.build.create import Planned, make, make_plan
from pipeline.build.engines.job import Job
from pipeline.build.engines.ray import Worker
from pipeline.build.engines.shard_queue import ShardQueue
from pipeline.codec.fake import FakeCodec
from pipeline.config import Settings
from pipeline.dataset.manifest import Manifest, ShardPlan
from pipeline.dataset.rows import SCHEMA
from pipeline.storage.claims import claimed
from pipeline.storage.paths import resolve_path, store

CLIPS_A_SHARD = 4
THREADS = 16  # workers a process
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


def planned_in(root: Path, shards: int) -> tuple[Planned, Settings]:
    corpus = make_corpus(root, shards * CLIPS_A_SHARD)
    few = {"output.shard_size": CLIPS_A_SHARD, "load.num_workers": 0, "run.worker_cpus": 1}
    settings = Settings().with_values({**corpus, **few})
    return make_plan(root / "out", settings, print), settings


class Host:
    """Some of the engine's workers, in one process. A Ray actor."""

    def __init__(self, job: Job, numbers: list[int]) -> None:
        self._workers = [Worker(number, "scale", job, ".") for number in numbers]

    def run(self, queue: Any) -> float:
        """All workers to the end; the processor time they took, seconds."""
        threads = [threading.Thread(target=worker.run, args=(queue,)) for worker in self._workers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return time.process_time()


def simulate(root: Path, workers: int, rate: float, minutes: float) -> dict[str, float]:
    """`workers` that sleep as long over a shard as makes `rate` shards a minute together."""
    sleep = workers * 60 / rate
    shards = round(rate * minutes)
    planned, settings = planned_in(root, shards)
    job = Job(
        todo=planned.manifest.shards,
        dataset=planned.dataset,
        source=planned.corpus.source,
        settings=settings,
        columns=[name for name in SCHEMA.names if name not in {"speaker", "language"}],
        made_with=None,
        load_codec=lambda codec_settings: FakeCodec(seconds_a_batch=sleep),
    )
    queue: Any = ray.remote(ShardQueue).options(num_cpus=0).remote(job.todo)
    groups = [list(range(first, min(first + THREADS, workers))) for first in range(0, workers, THREADS)]
    hosts: list[Any] = [ray.remote(Host).options(num_cpus=0).remote(job, group) for group in groups]
    runs = [host.run.remote(queue) for host in hosts]
    cpu = sum(ray.get(runs))
    finished = sorted(path.stat().st_mtime for path in (root / "out/state").glob("*.json"))
    # Workers finish in rounds: from the first end of the first round to the last end of the last one.
    per_minute = (shards - workers) / (finished[-1] - finished[0]) * 60
    for actor in [*hosts, queue]:
        ray.kill(actor)
    return {
        "workers": workers,
        "sleep_seconds_a_shard": round(sleep, 3),
        "shards": shards,
        "shards_done": len(finished),
        "shards_a_minute": round(per_minute, 1),
        "busy": round(per_minute / rate, 4),
        "cpu_seconds_a_shard": round(cpu / shards, 4),
    }


def dealer_rate() -> float:
    """Shards that the dealer can hand out a second, to one who asks without a pause."""
    plans = [ShardPlan(number, number * 1000, 1000, "", Path("part"), number) for number in range(CALLS)]
    queue: Any = ray.remote(ShardQueue).options(num_cpus=0).remote(plans)
    ray.get(queue.next.remote(0))
    started = time.perf_counter()
    for _ in range(CALLS - 1):
        ray.get(queue.next.remote(0))
    rate = (CALLS - 1) / (time.perf_counter() - started)
    ray.kill(queue)
    return round(rate)


def manifest_cost(root: Path) -> dict[str, float]:
    """Bytes a row and a shard take, and how long a look at one shard of a full part takes."""
    row = dict.fromkeys(
        ("id", "audio", "text", "speaker", "language", "start", "end", "reason", "detail"), None
    )
    rng = np.random.default_rng(0)

    def groups() -> Iterator[list[dict[str, Any]]]:
        for shard in range(SHARDS_OF_MANIFEST):
            numbers = range(shard * 1000, shard * 1000 + 1000)
            durations = rng.uniform(2, 20, 1000).round(6).tolist()
            yield [
                row
                | {
                    "id": f"EN_B{n // 10000:05d}_S{n // 100:05d}_W{n:06d}",
                    "audio": f"EN/EN-B{n // 10000:06d}.tar!EN_W{n:06d}.mp3@{n * 65536}+61234",
                    "text": " ".join(f"word{k}" for k in rng.integers(0, 5000, 28)),
                    "speaker": f"EN_B{n // 10000:05d}_S{n // 100:05d}",
                    "language": "en",
                    "size": 61234,
                    "mtime_ns": 1_700_000_000_000_000_000,
                    "duration": duration,
                    "sample_rate": 24000,
                }
                for n, duration in zip(numbers, durations, strict=True)
            ]

    Manifest(root).append(groups())
    part = root / "part-00000.parquet"
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.perf_counter()
    manifest = Manifest(root)
    opened = time.perf_counter() - started
    started = time.perf_counter()
    for shard in manifest.shards[:20]:
        shard.read()
    return {
        "bytes_a_row": round(part.stat().st_size / manifest.rows, 1),
        "footer_bytes_a_shard": round(pq.read_metadata(part).serialized_size / SHARDS_OF_MANIFEST, 1),
        "open_seconds_a_million_rows": round(opened, 4),
        "read_seconds_a_shard": round((time.perf_counter() - started) / 20, 5),
        "open_peak_growth_kib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before,
    }


@contextlib.contextmanager
def counted_requests() -> Iterator[Counter[str]]:
    """S3 requests, by name, that this process makes of a server on this machine."""
    import s3fs
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    keys = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}
    os.environ.update(keys | {"AWS_ENDPOINT_URL": f"http://{host}:{port}", "AWS_DEFAULT_REGION": "us-east-1"})
    count: Counter[str] = Counter()
    real = s3fs.S3FileSystem._call_s3

    async def counting(self: Any, method: str, *arguments: Any, **options: Any) -> Any:
        count[method] += 1
        return await real(self, method, *arguments, **options)

    s3fs.S3FileSystem._call_s3 = counting
    try:
        yield count
    finally:
        s3fs.S3FileSystem._call_s3 = real
        server.stop()


def requests_a_shard(root: Path) -> dict[str, float]:
    """What one more shard costs in requests, with OUT in a store: the difference of two datasets."""
    from pipeline.codec import protocol

    protocol.load_codec = lambda settings, decoder=True: FakeCodec()
    counts = []
    with counted_requests() as count:
        bucket = resolve_path("s3://scale")
        store(bucket)[0].mkdir("scale")
        for shards in (10, 30):
            settings = planned_in(root / str(shards), shards)[1]
            out = bucket / str(shards)
            with claimed(out):
                remote = make_plan(out, settings, print)
                count.clear()
                make(remote, remote.manifest.shards, settings, print)
            counts.append(Counter(count))
    few, many = counts
    return {name: round((many[name] - few[name]) / 20, 2) for name in sorted(many)}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--workers", type=int, default=64)
    parser.add_argument("--rate", type=float, default=1000.0, help="shards a minute, of all workers together")
    parser.add_argument("--minutes", type=float, default=2.0)
    arguments = parser.parse_args()
    here = str(Path(__file__).parents[1])
    os.environ["PYTHONPATH"] = here
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        figures: dict[str, Any] = {
            "manifest": manifest_cost(root / "manifest"),
            "requests_a_shard": requests_a_shard(root / "requests"),
        }
        ray.init(num_cpus=4, log_to_driver=False, logging_level="ERROR", object_store_memory=200 << 20)
        figures["dealer_shards_a_second"] = dealer_rate()
        figures["simulation"] = simulate(
            root / "simulation", arguments.workers, arguments.rate, arguments.minutes
        )
        ray.shutdown()
    print(json.dumps(figures, indent=1))
    save("scale", figures)


if __name__ == "__main__":
    main()
