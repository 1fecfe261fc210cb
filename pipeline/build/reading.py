"""Reads the entries of a corpus in its order, those of many files several files at a time.

The first files are read by this process, the others by helpers, each file by one: it makes the rows as well,
so that a tar is fetched, opened and read where its headers are.
"""

from __future__ import annotations

import itertools
import pickle
from collections import deque
from collections.abc import Callable, Iterator

from pipeline.build.examine import Entry, in_unicode
from pipeline.build.planning_pool import Helper, PlanningPool
from pipeline.build.planning_worker import Found
from pipeline.corpus import Corpus
from pipeline.corpus.entry import Textless
from pipeline.dataset.manifest import ManifestRow

ALONE = 4096  # entries that this process reads before helpers are worth starting for
FILES = 2  # files a helper is given, so that it has the next one when the first is read
PIECES = 32  # of a file that may be read ahead
HELD = 1024  # pieces of all files; a million entries take 0.3 GB
Read = tuple[Entry, ManifestRow | None]  # an entry; its row, if it was examined where it was read


def read_entries(corpus: Corpus, pool: PlanningPool, all_new: Callable[[], bool]) -> Iterator[Read]:
    """Yield all entries. A helper makes rows only while `all_new`: known ones cost less to compare."""
    if corpus.files is None:
        yield from ((in_unicode(entry), None) for entry in corpus.utterances())
        return
    corpus.forget()
    names, count = iter(corpus.files.names), 0
    for name in names:
        for item in corpus.files.entries(name):
            count += 1
            if (entry := corpus.take(item)) is not None:
                yield in_unicode(entry), None
        if count > ALONE and pool.helpers():
            break
    for found, row in _side_by_side(names, pool, all_new):
        if isinstance(found, Textless):
            corpus.take(found)
        else:
            yield found, row


def _side_by_side(names: Iterator[str], pool: PlanningPool, all_new: Callable[[], bool]) -> Iterator[Found]:
    turns, ahead = itertools.count(), deque[Iterator[Found]]()
    while True:
        helpers = pool.helpers()  # more may have come
        pieces = max(2, min(PIECES, HELD // (FILES * len(helpers) or 1)))
        for name in itertools.islice(names, max(0, FILES * len(helpers) - len(ahead))):
            helper = helpers[next(turns) % len(helpers)]
            ahead.append(_read_ahead(helper, name, pieces, look=all_new()))
        if not ahead:
            return
        yield from ahead.popleft()


def _read_ahead(helper: Helper, name: str, pieces: int, *, look: bool) -> Iterator[Found]:
    """Let a helper begin with a file; yield what it holds."""
    asked = deque(helper.ask("read", name, number, look) for number in range(pieces))

    def received() -> Iterator[Found]:
        for number in itertools.count(pieces):
            piece: list[Found] = pickle.loads(asked.popleft().result())
            yield from piece
            if not piece:
                return
            asked.append(helper.ask("read", name, number, look))

    return received()
