"""Finished datasets made by hand, sound in every respect, so that a test can plant a fault in them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import yaml

from pipeline.config import Settings, ValidationSettings
from pipeline.dataset.manifest import SCHEMA as PLANNED
from pipeline.dataset.manifest import Manifest, ManifestRow, write_chunk
from pipeline.dataset.reader import Dataset
from pipeline.dataset.rows import SCHEMA
from pipeline.dataset.state import ShardFiles
from pipeline.dataset.writer import write_shard
from pipeline.validate import metrics
from pipeline.validate.checks import judge
from pipeline.validate.rows.scan import Scan, Scanner
from pipeline.validate.suspects import Suspects

CODEC = {
    "name": "test",
    "licence": "apache-2.0",
    "fingerprint": "f" * 64,
    "sample_rate": 16_000,
    "hop_length": 320,
    "codebook_size": 65_536,
    "precision": "fp32",
}
WORDS = (
    "please",
    "hold",
    "the",
    "line",
    "while",
    "your",
    "call",
    "is",
    "put",
    "through",
    "to",
    "an",
    "operator",
)
Row = dict[str, Any]


def sound_rows(number: int, seed: int = 0) -> list[Row]:
    """Rows of random codes whose texts, durations and counts belong together."""
    random = np.random.default_rng(seed)
    return [sound_row(place, random) for place in range(number)]


def sound_row(place: int, random: np.random.Generator) -> Row:
    words = random.choice(WORDS, int(random.integers(4, 30)))
    rate = 44_100 if place % 2 else 16_000
    source = int((0.3 + 0.07 * sum(map(len, words))) * random.lognormal(0, 0.08) * rate)
    samples = -(-source * 16_000 // rate)
    return {
        "id": f"set/{place:05d}",
        "text": f"{' '.join(words)} {place}.",
        "code": random.integers(0, 65_536, samples // 320 + 1).tolist(),
        "duration": round(source / rate, 6),
        "sample_rate": rate,
        "speaker": None,
        "language": "en",
        "audio": f"set/{place:05d}.flac",
    }


def make_dataset(
    root: Path,
    rows: Sequence[Row],
    planned: Sequence[Row] | None = None,
    form: str = "arrow",
    shard_size: int = 100,
    schema: pa.Schema = SCHEMA,
) -> Dataset:
    """An OUT folder as a run leaves it. `planned`: the rows that the manifest has, `rows` if not given."""
    settings = Settings().with_values({"output.format": form, "output.shard_size": shard_size})
    root.mkdir(parents=True)
    content = {"fingerprint": settings.fingerprint(), "settings": settings.model_dump()}
    (root / "config.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    stated = [
        ManifestRow.of(**{name: row.get(name) for name in PLANNED.names})
        for row in (rows if planned is None else planned)
    ]
    parts = [stated[first : first + shard_size] for first in range(0, len(stated), shard_size)]
    write_chunk(root / "manifest" / "part-00000.parquet", parts)
    for plan in Manifest(root / "manifest").shards:
        table = pa.Table.from_pylist(list(rows[plan.first_row : plan.first_row + shard_size]), schema=schema)
        marks = {"inputs": plan.digest, "codec": CODEC, "timings": {}}
        write_shard(ShardFiles(root, "train", form, plan.shard), table, [], marks)
    return Dataset(root)


def scanned(dataset: Dataset, **settings: Any) -> tuple[dict[str, Any], Scan, list[Row]]:
    """The metrics that need no codec (with `failed`, titles of failed checks), the scan, and the suspects."""
    limits = ValidationSettings(**settings)
    suspects = Suspects(limits.keep_suspects)
    scan = Scanner(dataset, limits, dataset.root / "report" / "work", suspects).run()
    found = {**metrics.of_scan(scan), "exact": {}, "round_trip": {}, "audio": {}, "speaking": {}}
    found["failed"] = [check.title for check in judge(found, limits) if check.outcome == "failed"]
    return found, scan, suspects.ranked()
