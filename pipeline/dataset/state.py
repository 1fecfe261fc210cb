"""What is known of a finished shard, and where its files lie.

A shard is `data/{name}.{format}`, `rejected/{name}.jsonl` and, written last, `state/{name}.json`. A state
that exists and names the digest of the shard's manifest rows means that the shard is done.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter


@dataclass(frozen=True)
class State:
    """What `state/{name}.json` says of a finished shard."""

    shard: int
    inputs: str  # digest of the manifest rows it was made from
    columns: list[str]
    rows: int
    rejected: int
    reasons: dict[str, int]  # rejections by reason
    seconds: float  # of audio in the rows
    codes: int
    codec: dict[str, Any]  # name, licence, fingerprint, sample_rate, hop_length, codebook_size, precision
    files: dict[str, dict[str, Any]]  # path in the dataset: sha256, bytes
    timings: dict[str, float]  # seconds by stage
    distributions: dict[str, dict[str, int | float]]  # see pipeline.dataset.stats.distributions


STATE = TypeAdapter(State)


def parse_state(content: bytes) -> State:
    """Read a state from its JSON. Raises ValueError if it is damaged."""
    return STATE.validate_json(content)


def digest_of(states: Iterable[State]) -> str:
    """Return a SHA-256, in hex, of the files of these shards."""
    return sha256(json.dumps([state.files for state in states], sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class ShardFiles:
    """Where the parts of a shard lie below the dataset's folder."""

    root: Path
    split: str
    form: str
    shard: int
    writer: str = ""  # see `files.replacing`

    @property
    def name(self) -> str:
        """`{split}-00000`."""
        return f"{self.split}-{self.shard:05d}"

    @property
    def data(self) -> Path:
        """Rows."""
        return self.root / "data" / f"{self.name}.{self.form}"

    @property
    def rejected(self) -> Path:
        """Rejections, one JSON object a line."""
        return self.root / "rejected" / f"{self.name}.jsonl"

    @property
    def state(self) -> Path:
        """The mark that the shard is done."""
        return self.root / "state" / f"{self.name}.json"

    def read_state(self) -> State | None:
        """Return the state; None if the shard is not done, or its state is damaged."""
        try:
            return parse_state(self.state.read_bytes())
        except (FileNotFoundError, ValueError):
            return None
