"""Which rows are for validation: by chance, by speaker, or by name. The same rows every time."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa

from pipeline.dataset.state import State
from pipeline.errors import UsageError

IsValidation = Callable[[pa.Table], np.ndarray]  # rows of a shard -> bool (rows,)


def nothing(table: pa.Table) -> np.ndarray:
    """Leave no row for validation."""
    return np.zeros(len(table), bool)


def by_seed(share: float, seed: int) -> IsValidation:
    """Choose about `share` of the rows, each by a hash of its id.

    Rows keep their split when the corpus grows.
    """

    def chosen(table: pa.Table) -> np.ndarray:
        ids = table["id"].to_pylist()
        return np.fromiter((_chance(seed, name) < share for name in ids), bool, len(ids))

    return chosen


def by_speaker(share: float, seed: int, states: Iterable[State]) -> IsValidation:
    """Choose whole speakers, in an order drawn by `seed`, until they make `share` of the hours.

    Raises UsageError without at least two speakers, one for each side.
    """
    seconds: defaultdict[str, float] = defaultdict(float)
    for state in states:
        for name, spoken in state.distributions.get("speaker", {}).items():
            seconds[name] += spoken
    if len(seconds) < 2:
        raise UsageError(
            f"--split-by speaker needs two speakers or more, this dataset names {len(seconds)}: "
            "use --split-by seed"
        )
    drawn = sorted(seconds, key=lambda name: (_chance(seed, name), name))
    held: set[str] = set()
    for name in drawn[:-1]:
        if sum(seconds[held_name] for held_name in held) >= share * sum(seconds.values()):
            break
        held.add(name)

    def chosen(table: pa.Table) -> np.ndarray:
        if "speaker" not in table.column_names:  # a shard of utterances whose speaker is not known
            return nothing(table)
        return np.fromiter((name in held for name in table["speaker"].to_pylist()), bool, len(table))

    return chosen


def by_id(path: Path) -> IsValidation:
    """Choose the rows whose ids a text file names, one a line.

    Raises UsageError if it cannot be read or names none.
    """
    try:
        named = {line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()}
    except OSError as error:
        raise UsageError(f"cannot read --val-ids {path}: {error.strerror}") from error
    if not named:
        raise UsageError(f"--val-ids {path} names no ids: one a line is expected")

    def chosen(table: pa.Table) -> np.ndarray:
        return np.fromiter((name in named for name in table["id"].to_pylist()), bool, len(table))

    return chosen


def _chance(seed: int, name: str) -> float:
    """Return a number from 0 up to 1 that `seed` and `name` determine, on any machine."""
    digest = hashlib.blake2b(f"{seed}\0{name}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64
