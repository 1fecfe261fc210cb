"""Which rows are for validation: by chance, by speaker, or by name. The same rows every time."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.dataset.reader import Dataset
from pipeline.errors import UsageError


@dataclass(frozen=True)
class Split:
    """Chooses validation rows by a `column`: those whose value `holds` (None: no row).

    `asked` is what was asked for: it tells splits apart.
    """

    asked: dict[str, Any]
    column: str = "id"
    holds: Callable[[str], bool] | None = None

    def chosen(self, table: Any) -> np.ndarray:
        """Return which rows of a table are for validation, bool (rows,)."""
        if self.holds is None or self.column not in table.column_names:
            return np.zeros(len(table), bool)  # a shard may know no speakers
        values = table[self.column].to_pylist()
        return np.fromiter(map(self.holds, values), bool, len(values))


def split(dataset: Dataset, by: str, share: float, seed: int, ids: Path | None) -> Split:
    """Return the split by `seed`, `speaker` or `id`. Raises UsageError if the arguments do not fit.

    By seed, about `share` of the rows, each by a hash of its id: rows keep their side when the corpus grows.
    By speaker, whole ones, in an order drawn by `seed`, until they make `share` of the hours. By id, the rows
    whose ids the file `ids` names, one a line.
    """
    if not 0 <= share < 1:
        raise UsageError(f"--val-share is {share}: give a share from 0 up to 1")
    if (by == "id") != (ids is not None):
        raise UsageError("--split-by id and --val-ids FILE go together")
    named = set() if ids is None else _read_ids(ids)
    asked = {"split_by": by, "val_share": share, "seed": seed, "val_ids": sorted(named) if named else None}
    if named:
        return Split(asked, "id", named.__contains__)
    if share == 0:
        return Split(asked)
    if by == "speaker":
        return Split(asked, "speaker", _drawn_speakers(dataset, share, seed).__contains__)
    return Split(asked, "id", lambda name: _chance(seed, name) < share)


def _drawn_speakers(dataset: Dataset, share: float, seed: int) -> set[str]:
    seconds: defaultdict[str, float] = defaultdict(float)
    for state in dataset.states():
        for name, spoken in state.distributions.get("speaker", {}).items():
            seconds[name] += spoken
    if len(seconds) < 2:  # one for each side
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
    return held


def _read_ids(path: Path) -> set[str]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read --val-ids {path}: {error}") from error
    if named := {line.strip() for line in lines if line.strip()}:
        return named
    raise UsageError(f"--val-ids {path} names no ids: one a line is expected")


def _chance(seed: int, name: str) -> float:
    """Return a number from 0 up to 1 that `seed` and `name` determine, on any machine."""
    digest = hashlib.blake2b(f"{seed}\0{name}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64
