"""The work of a helper of planning: it reads headers, and files that hold a part of the corpus's entries.

A helper is a process, here or on another machine. It reads a file piece by piece, as it is asked to, so that
what is read ahead stays bounded.
"""

from __future__ import annotations

import itertools
import pickle
from collections import OrderedDict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, TypeVar

from pipeline.build.examine import Entry, Examiner, in_unicode
from pipeline.corpus import Corpus
from pipeline.corpus.entry import Textless
from pipeline.dataset.manifest import ManifestRow

THREADS = 8  # of a process: they wait for the disk, and header readers let go of the interpreter
PIECE = 1024  # entries
OPEN = 4  # files that a helper remembers its place in
Found = tuple[Entry | Textless, ManifestRow | None]  # what a file holds; its row, where it was looked at
Examined = tuple[int | None, ManifestRow | None]  # the known row's number; the row, None if it is as known

T = TypeVar("T")
U = TypeVar("U")


class Task(NamedTuple):
    """An entry to examine: its known row with its number, whether its id is new, its row if it was read."""

    entry: Entry
    known: tuple[int, ManifestRow] | None
    first_of_id: bool
    found: ManifestRow | None = None

    @property
    def is_settled(self) -> bool:
        """Whether nothing need be read."""
        return self.found is not None and self.known is None and self.first_of_id


class PlanningWorker:
    """What a helper holds, and the two things it can be asked for."""

    def __init__(self, examine: Examiner, corpus: Corpus | None, piece: int = PIECE) -> None:
        self._examine, self._corpus, self._piece = examine, corpus, piece
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="probe")
        self._open: OrderedDict[str, tuple[int, Iterator[Entry | Textless]]] = OrderedDict()

    def examine(self, tasks: list[Task]) -> list[Examined]:
        """Examine utterances."""
        return self._spread(lambda share: examined(self._examine, share), tasks)

    def read(self, name: str, number: int, look: bool) -> bytes:
        """Return piece `number` of a file as a pickled list of `Found`, empty behind its end.

        Whoever has not read the pieces before reads over them. With `look`, new rows are made.
        """
        at, entries = self._open.pop(name, (0, None))
        if entries is None or at != number:
            entries = itertools.islice(self._entries(name), number * self._piece, None)
        piece = list(itertools.islice(entries, self._piece))
        self._open[name] = number + 1, entries
        while len(self._open) > OPEN:
            self._open.popitem(last=False)
        found = self._spread(self._looked_at, piece) if look else [(entry, None) for entry in piece]
        return pickle.dumps(found, pickle.HIGHEST_PROTOCOL)

    def _entries(self, name: str) -> Iterator[Entry | Textless]:
        assert self._corpus is not None
        assert self._corpus.files is not None
        for item in self._corpus.files.entries(name):
            if isinstance(item, Textless):
                yield item
            elif (entry := self._corpus.take(item)) is not None:
                yield in_unicode(entry)

    def _looked_at(self, entries: list[Entry | Textless]) -> list[Found]:
        return [
            (entry, None if isinstance(entry, Textless) else self._examine(entry, None, True))
            for entry in entries
        ]

    def _spread(self, work: Callable[[list[T]], list[U]], items: list[T]) -> list[U]:
        share = -(-len(items) // THREADS) or 1
        parts = [items[first : first + share] for first in range(0, len(items), share)]
        return [each for part in self._threads.map(work, parts) for each in part]


def examined(examine: Examiner, tasks: list[Task]) -> list[Examined]:
    """Examine utterances one after the other."""
    return [_examine_one(examine, task) for task in tasks]


def _examine_one(examine: Examiner, task: Task) -> Examined:
    if task.is_settled:
        return None, task.found
    number, old = task.known or (None, None)
    row = examine(task.entry, old, task.first_of_id)
    return number, None if row is old else row
