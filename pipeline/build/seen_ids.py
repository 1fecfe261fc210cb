"""Tells which ids have been seen before, however many there are, in bounded memory.

Ids are known by 128 bits of their BLAKE2b digest: among a billion, two alike by chance are less likely than
one in 10^20. The latest are a set in memory; when that is full, it becomes a sorted run on disk. A filter
says of nearly every new id that it is in no run; the others are looked up. Files are read and not mapped:
what a process maps counts as its memory.
"""

from __future__ import annotations

import os
import tempfile
import weakref
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from hashlib import blake2b
from itertools import islice
from typing import BinaryIO, TypeVar, cast

import numpy as np

HELD = 1 << 20  # digests in memory before they become a run: about 100 MB
BATCH = 4096  # ids looked up together once there are runs
BLOCK = 1024  # digests that are read from a run at a time; the first of each is in memory
BITS = 12  # of the filter, for each id: of 100 new ids at most one is looked up in vain
MOST_BITS = (
    1 << 32
)  # of the filter: 512 MB, enough for 360 million ids; with more, more are looked up in vain
PROBES = 4  # bits that an id sets
SIZE = 16  # bytes of a digest
HALVES = np.dtype([("high", "<u8"), ("low", "<u8")])

T = TypeVar("T")


class SeenIds:
    """The ids seen so far."""

    def __init__(self, held: int = HELD) -> None:
        self._most = held
        self._held: set[bytes] = set()
        self._runs: list[_Run] = []
        self._filter = np.zeros(0, np.uint8)

    def mark(self, items: Iterable[T], id_of: Callable[[T], str]) -> Iterator[tuple[T, bool]]:
        """Yield each item, and whether its id is the first of its kind. Adds all ids."""
        iterator = iter(items)
        while batch := list(islice(iterator, BATCH if self._runs else 1)):
            yield from zip(batch, self._add([id_of(item) for item in batch]), strict=True)

    def _add(self, ids: Sequence[str]) -> list[bool]:
        digests = [blake2b(id.encode("utf-8", "surrogatepass"), digest_size=SIZE).digest() for id in ids]
        first = []
        for digest, known in zip(digests, self._are_in_runs(digests), strict=True):
            first.append(not known and digest not in self._held)
            if first[-1]:
                self._held.add(digest)
        if len(self._held) >= self._most:
            self._spill()
        return first

    def _are_in_runs(self, digests: Sequence[bytes]) -> list[bool]:
        if not self._runs:
            return [False] * len(digests)
        likely = self._in_filter(b"".join(digests)).tolist()
        return [
            maybe and any(digest in run for run in self._runs)
            for digest, maybe in zip(digests, likely, strict=True)
        ]

    def _spill(self) -> None:
        self._runs.append(_Run(self._runs[0].file if self._runs else self._new_file(), sorted(self._held)))
        self._held.clear()
        count, bits = sum(run.count for run in self._runs), len(self._filter) * 8
        if count * BITS <= bits or bits == MOST_BITS:
            self._put_in_filter(self._runs[-1])
            return
        self._filter = np.zeros(min(MOST_BITS, 1 << (2 * count * BITS - 1).bit_length()) // 8, np.uint8)
        for run in self._runs:
            self._put_in_filter(run)

    def _new_file(self) -> BinaryIO:
        file = cast(BinaryIO, tempfile.TemporaryFile())  # noqa: SIM115 - for as long as there are ids
        weakref.finalize(self, _give_up, file)
        return file

    def _in_filter(self, digests: bytes) -> np.ndarray:
        likely = np.ones(len(digests) // SIZE, bool)
        for byte, bit in self._places(digests):
            likely &= (self._filter[byte] & bit) != 0
        return likely

    def _put_in_filter(self, run: _Run) -> None:
        for byte, bit in self._places(run.read(0, run.count)):
            np.bitwise_or.at(self._filter, byte, bit)

    def _places(self, digests: bytes) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield byte and bit of each probe of the filter, as double hashing places them."""
        halves, last = np.frombuffer(digests, HALVES), np.uint64(len(self._filter) * 8 - 1)
        for probe in range(PROBES):
            place = (halves["low"] + np.uint64(probe) * halves["high"]) & last
            yield place >> np.uint64(3), np.left_shift(1, place & np.uint64(7)).astype(np.uint8)


def _give_up(file: BinaryIO) -> None:
    with suppress(OSError):  # what a full disk has refused, closing would write again
        file.close()


class _Run:
    """Digests in order, at the end of a file that all runs share, so that they are one open file."""

    def __init__(self, file: BinaryIO, digests: Sequence[bytes]) -> None:
        self.file, self.count = file, len(digests)
        self._begin = file.tell()
        self._firsts = digests[::BLOCK]
        file.write(b"".join(digests))
        file.flush()

    def read(self, first: int, count: int) -> bytes:
        """Return some digests, joined."""
        count = min(count, self.count - first)
        return os.pread(self.file.fileno(), count * SIZE, self._begin + first * SIZE)

    def __contains__(self, digest: bytes) -> bool:
        block = bisect_right(self._firsts, digest) - 1
        if block < 0:
            return False
        held = self.read(block * BLOCK, BLOCK)
        place = held.find(digest)
        while place >= 0 and place % SIZE:  # across two digests
            place = held.find(digest, place + 1)
        return place >= 0
