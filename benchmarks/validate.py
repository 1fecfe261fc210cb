"""How many rows a minute one core validates: every check of integrity and statistics, from files on disk.

    python benchmarks/validate.py                 # 200,000 rows, a minute
    python benchmarks/validate.py --rows 50000

Makes a dataset of random codes with the length distribution of real corpora (log-normal, median 5 s), in each
format, and reads it on one core. Prints a table and writes benchmarks/results/validate.json.
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import yaml

from benchmarks.common import save
from pipeline.config import Settings, ValidationSettings
from pipeline.dataset import rows
from pipeline.dataset.manifest import SCHEMA, Manifest, ManifestRow, write_chunk
from pipeline.dataset.reader import Dataset
from pipeline.dataset.state import ShardFiles
from pipeline.dataset.writer import write_shard
from pipeline.validate.rows.scan import Scanner
from pipeline.validate.suspects import Suspects

SHARD = 5_000
TARGET = 1_000_000  # rows a minute and core
WORDS = ("the", "of", "and", "receiver", "telephone", "he", "have", "it", "that", "for", "please", "number")
CODEC = {"name": "random", "sample_rate": 16_000, "hop_length": 320, "codebook_size": 65_536}


def make(root: Path, form: str, number: int) -> Dataset:
    """A finished dataset of `number` rows of random codes whose texts fit their durations."""
    random = np.random.default_rng(0)
    settings = Settings().with_values({"output.format": form, "output.shard_size": SHARD})
    root.mkdir()
    content = {"fingerprint": settings.fingerprint(), "settings": settings.model_dump()}
    (root / "config.yaml").write_text(yaml.safe_dump(content))
    tables = [shard_table(random, first, min(SHARD, number - first)) for first in range(0, number, SHARD)]
    planned = (
        [
            ManifestRow.of(**dict.fromkeys(SCHEMA.names) | row)
            for row in table.drop_columns("code").to_pylist()
        ]
        for table in tables
    )
    write_chunk(root / "manifest" / "part-00000.parquet", planned)
    for plan, table in zip(Manifest(root / "manifest").shards, tables, strict=True):
        marks = {"inputs": plan.digest, "codec": CODEC, "timings": {}}
        write_shard(ShardFiles(root, "train", form, plan.shard), table, [], marks)
    return Dataset(root)


def shard_table(random: np.random.Generator, first: int, number: int) -> pa.Table:
    """Rows of `rows.SCHEMA` without speakers."""
    seconds = np.clip(random.lognormal(np.log(5), 0.6, number), 1, 25)
    samples = (seconds * 16_000).astype(np.int64)
    counts = samples // 320 + 1
    values = random.integers(0, 65_536, int(counts.sum()), dtype=np.uint16)
    texts = [" ".join(random.choice(WORDS, max(int(s * 3), 1))) for s in seconds]
    names = [f"speaker/chapter/{first + i:09d}" for i in range(number)]
    columns = {
        "id": names,
        "text": texts,
        "code": pa.ListArray.from_arrays(np.concatenate([[0], np.cumsum(counts)]).astype(np.int32), values),
        "duration": samples / 16_000,
        "sample_rate": np.full(number, 16_000, np.int32),
        "language": ["en"] * number,
        "audio": [f"{name}.flac" for name in names],
    }
    return pa.table(columns, schema=rows.schema(list(columns)))


def measure(root: Path, form: str, number: int) -> dict[str, Any]:
    """Rows a minute on one core, all checks."""
    dataset = make(root, form, number)
    started, spent = time.perf_counter(), time.process_time()
    scan = Scanner(dataset, ValidationSettings(), root / "report" / "work", Suspects(10_000)).run()
    seconds, cpu = time.perf_counter() - started, time.process_time() - spent
    if scan.rows != number or scan.file_faults or scan.form_faults:
        raise AssertionError(f"the {form} dataset was not read as it was made: {scan.form_faults[:1]}")
    return {
        "rows": number,
        "codes": int(scan.codes.counts.sum()),
        "seconds": round(seconds, 2),
        "rows_a_minute": round(60 * number / seconds),
        "rows_a_minute_of_cpu": round(60 * number / cpu),
        "megabytes": round(sum(f.stat().st_size for f in (root / "data").iterdir()) / 1e6),
        "peak_memory_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Rows a minute that validation reads on one core.")
    parser.add_argument("--rows", type=int, default=200_000, metavar="N")
    number = parser.parse_args().rows
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    pa.set_cpu_count(1)
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        for form in ("arrow", "parquet", "jsonl"):
            results[form] = measure(Path(folder) / form, form, number)
            figures = results[form]
            busy, clock = figures["rows_a_minute_of_cpu"], figures["rows_a_minute"]
            print(f"{form:8} {busy:>12,} rows a minute of processor time, {clock:>12,} by the clock")
    save("validate", {"target_rows_a_minute": TARGET, **results})


if __name__ == "__main__":
    main()
