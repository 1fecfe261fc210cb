"""Tells which ids have been seen before, however many there are, in bounded memory.

Ids are known by 128 bits of their BLAKE2b digest: among a billion, two alike by chance are less likely than
one in 10^20. The latest are a set in memory; when that is full, it becomes a sorted run on disk. A filter
says of nearly every new id that it is in no run; the others are looked up.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from hashlib import blake2b
from itertools import islice
from typing import TypeVar

import numpy as np

HELD = 1 << 20  # digests in memory before they become a run: about 100 MB
BATCH = 4096  # ids looked up together once there are runs
BITS = 12  # of the filter, for each id: of 100 new ids at most one is looked up in vain
MOST_BITS = (
    1 << 32
)  # of the filter: 512 MB, enough for 360 million ids; with more, more are looked up in vain
PROBES = 4  # bits that an id sets
DIGEST = np.dtype([("high", "<u8"), ("low", "<u8")])

T = TypeVar("T")


class SeenIds:
    """The ids seen so far."""

    def __init__(self, held: int = HELD) -> None:
        self._most = held
        self._held: set[bytes] = set()
        self._runs: list[tuple[np.ndarray, np.ndarray]] = []  # halves of digests, sorted by the high ones
        self._filter = np.zeros(0, np.uint8)

    def mark(self, items: Iterable[T], id_of: Callable[[T], str]) -> Iterator[tuple[T, bool]]:
        """Yield each item, and whether its id is the first of its kind. Adds all ids."""
        iterator = iter(items)
        while batch := list(islice(iterator, BATCH if self._runs else 1)):
            yield from zip(batch, self._add([id_of(item) for item in batch]), strict=True)

    def _add(self, ids: Sequence[str]) -> list[bool]:
        digests = [blake2b(id.encode("utf-8", "surrogatepass"), digest_size=16).digest() for id in ids]
        first = []
        for digest, known in zip(digests, self._are_in_runs(digests), strict=True):
            first.append(not known and digest not in self._held)
            if first[-1]:
                self._held.add(digest)
        if len(self._held) >= self._most:
            self._spill()
        return first

    def _are_in_runs(self, digests: Sequence[bytes]) -> list[bool]:
        found = np.zeros(len(digests), bool)
        if self._runs:
            wanted = np.frombuffer(b"".join(digests), DIGEST)
            likely = np.flatnonzero(self._in_filter(wanted))
            for run in self._runs:
                found[likely] |= _are_in(wanted[likely], *run)
        return found.tolist()

    def _spill(self) -> None:
        digests = np.sort(np.frombuffer(b"".join(self._held), DIGEST), order="high")
        self._held.clear()
        self._runs.append((_on_disk(digests["high"]), _on_disk(digests["low"])))
        count, bits = sum(len(high) for high, _ in self._runs), len(self._filter) * 8
        if count * BITS <= bits or bits == MOST_BITS:
            self._put_in_filter(digests["high"], digests["low"])
            return
        self._filter = np.zeros(min(MOST_BITS, 1 << (2 * count * BITS - 1).bit_length()) // 8, np.uint8)
        for run in self._runs:
            self._put_in_filter(*run)

    def _in_filter(self, digests: np.ndarray) -> np.ndarray:
        likely = np.ones(len(digests), bool)
        for byte, bit in self._places(digests["high"], digests["low"]):
            likely &= (self._filter[byte] & bit) != 0
        return likely

    def _put_in_filter(self, high: np.ndarray, low: np.ndarray) -> None:
        for byte, bit in self._places(high, low):
            np.bitwise_or.at(self._filter, byte, bit)

    def _places(self, high: np.ndarray, low: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield byte and bit of each probe of the filter, as double hashing places them."""
        last = np.uint64(len(self._filter) * 8 - 1)
        for probe in range(PROBES):
            place = (low + np.uint64(probe) * high) & last
            yield place >> np.uint64(3), np.left_shift(1, place & np.uint64(7)).astype(np.uint8)


def _on_disk(values: np.ndarray) -> np.ndarray:
    """Return the values in a file without a name, whose space is free again when the array goes."""
    with tempfile.TemporaryFile() as file:
        file.write(np.ascontiguousarray(values).data)  # tofile would not say why the disk refuses
        file.flush()
        return np.memmap(file, values.dtype, "r")


def _are_in(wanted: np.ndarray, high: np.ndarray, low: np.ndarray) -> np.ndarray:
    """Return whether each of some digests is in a run."""
    first = np.searchsorted(high, wanted["high"], "left")
    end = np.searchsorted(high, wanted["high"], "right")
    found = [bool((low[a:b] == each).any()) for a, b, each in zip(first, end, wanted["low"], strict=True)]
    return np.array(found, bool)
