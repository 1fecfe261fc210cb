"""What is made from the finished shards alone: card, statistics, Arrow index, and a joined `NAME.jsonl`.

`stats.json` is written last and names the digest of the shards, and the checksums of the others. A run that
finds another digest or other bytes makes them again, so none is ever of a smaller or damaged dataset.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from pipeline.config import Settings, all_keys, changes_results
from pipeline.dataset.card.features import disk_index
from pipeline.dataset.card.front_matter import card
from pipeline.dataset.card.sections import Place
from pipeline.dataset.manifest import Manifest, digest
from pipeline.dataset.reader import Dataset
from pipeline.dataset.single_file import join, joined_faults
from pipeline.errors import UsageError
from pipeline.storage.files import checksum, write_text

STATS = "stats.json"


def write_summary(dataset: Dataset) -> None:
    """Write the card, for Arrow shards what `load_from_disk` reads, and `stats.json`."""
    stats = dataset.stats()
    place = Place(dataset.form, ".", dataset.root.resolve().name)
    files = {"README.md": card(dataset, stats, place), **disk_index(dataset)}
    for path, text in files.items():
        write_text(dataset.root / path, text)
    made = {"made_from": dataset.digest(), "files": {path: checksum(dataset.root / path) for path in files}}
    write_text(dataset.root / STATS, json.dumps(stats | made, indent=1, ensure_ascii=False) + "\n")


def finish(dataset: Dataset, output: Path) -> list[str]:
    """Make what is missing or not of today's shards; return the names of what was made."""
    made = []
    if any(summary_faults(dataset)):
        write_summary(dataset)
        made.append("card and statistics")
    if join(dataset, output):
        made.append(output.name)
    return made


def summary_faults(dataset: Dataset) -> Iterator[str]:
    """Yield a sentence for each file of the summary that is missing, damaged, or of other shards."""
    try:
        stats = json.loads((dataset.root / STATS).read_bytes())
        files = dict[str, str](stats.pop("files"))
    except FileNotFoundError:
        yield f"{STATS} is missing"
        return
    except (ValueError, KeyError, TypeError, AttributeError):
        yield f"{STATS} is damaged"
        return
    if stats != json.loads(json.dumps(dataset.stats() | {"made_from": dataset.digest()})):
        yield f"{STATS} has changed, or is of other shards"
    for name in ("README.md", *disk_index(dataset)):
        path = dataset.root / name
        if not path.exists():
            yield f"{name} is missing"
        elif checksum(path) != files.get(name):
            yield f"{name} has changed"


def all_faults(dataset: Dataset, output: Path) -> Iterator[str]:
    """Read every file of a dataset and yield a sentence for each that is missing or not as it was written.

    `output` is the joined file where there is one, else the dataset's own folder.
    """
    amiss = [fault for fault, _ in dataset.faults()]
    yield from amiss
    yield from _settings_faults(dataset)
    for shard in Manifest(dataset.root / "manifest").shards:
        try:
            same = digest(shard.read()) == shard.digest
        except UsageError:
            same = False
        if not same:
            yield f"manifest/{shard.chunk.name} has changed at shard {shard.shard}"
    if any(fault.startswith("state/") for fault in amiss):
        return  # what follows compares with the states
    named = {fault.partition(" ")[0] for fault in amiss}
    for state in dataset.states():
        for name, written in state.files.items():
            if name not in named and checksum(dataset.root / name) != written["sha256"]:
                yield f"{name} has changed"
    yield from summary_faults(dataset)
    yield from joined_faults(dataset, output)


def _settings_faults(dataset: Dataset) -> Iterator[str]:
    keys = [key.split(".") for key, _ in all_keys() if changes_results(key)]
    try:
        values = {
            f"{section}.{name}": dataset.settings[section][name]
            for section, name in keys
            if name in dataset.settings[section]
        }
        same = Settings().with_values(values).fingerprint() == dataset.fingerprint
    except (UsageError, KeyError, TypeError):
        same = False
    if not same:
        yield "config.yaml has changed"
