"""Finds an utterance's row in an earlier plan, in bounded memory."""

from __future__ import annotations

import itertools

from pipeline.build.row_store import RowStore
from pipeline.dataset.manifest import Manifest, ManifestRow


class KnownRows:
    """The rows of an earlier plan: found at once while the corpus keeps its order, else by their ids."""

    def __init__(self, manifest: Manifest) -> None:
        self._count, self._rows = manifest.rows, enumerate(manifest.read_rows())
        self._by_id: RowStore | None = None
        self.matched = 0

    @property
    def all_matched(self) -> bool:
        """Whether whatever comes now is new."""
        return self.matched == self._count

    def match(self, id: str) -> tuple[int, ManifestRow] | None:
        """Return the next row not matched yet that has this id, with its number; None if there is none."""
        found = self._find(id)
        self.matched += found is not None
        return found

    def _find(self, id: str) -> tuple[int, ManifestRow] | None:
        if self._by_id is None:
            expected = next(self._rows, None)
            if expected is None or expected[1].utterance.id == id:
                return expected
            self._by_id = RowStore()
            for number, row in itertools.chain([expected], self._rows):
                self._by_id.add(number, row)
        return self._by_id.take(id)

    def close(self) -> None:
        """Give up what they take."""
        if self._by_id is not None:
            self._by_id.close()
