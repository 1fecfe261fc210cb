"""Reads the states of a dataset in a store in few requests: an index object holds copies of them.

The index is a cache and nothing more. A copy counts while the store lists its state in the same version; the
rest is fetched one by one, so an index that is missing, old or damaged costs time alone.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import zlib
from pathlib import Path

from pipeline.storage.files import replacing
from pipeline.storage.paths import contents, fetch, is_remote, local, versions

INDEX = ".index.json.gz"
WORTH = 100  # states fetched one by one from which a run writes the index anew
DAMAGE = (EOFError, ValueError, TypeError, AttributeError, LookupError, zlib.error)


def read_states(folder: Path, split: str, *, may_write: bool = False) -> dict[str, bytes]:
    """Return the content of each state of a split, by file name.

    With `may_write`, which only a run that holds the dataset may say, the index is brought up to date where
    that is worth a request.
    """
    if not is_remote(folder):
        return contents(folder, f"{split}-*.json")
    listed = {
        name: version
        for name, version in versions(folder).items()
        if name.startswith(f"{split}-") and name.endswith(".json")
    }
    known = _read_index(folder) if len(listed) >= WORTH else {}
    found = {
        name: content.encode()
        for name, (version, content) in known.items()
        if version is not None and listed.get(name) == version
    }
    fetched = fetch(folder, [name for name in listed if name not in found])
    if may_write and len(fetched) >= WORTH:
        _write_index(folder, {name: (listed[name], raw) for name, raw in (found | fetched).items()})
    return found | fetched


def _read_index(folder: Path) -> dict[str, tuple[str | None, str]]:
    """Return version and content of each state in the index; nothing if there is none, or it is damaged."""
    with (
        contextlib.suppress(FileNotFoundError, gzip.BadGzipFile, *DAMAGE),
        local(folder / INDEX) as copy,
        gzip.open(copy, "rt", encoding="utf-8") as file,
    ):
        return {str(name): (each[0], str(each[1])) for name, each in json.load(file).items()}
    return {}


def _write_index(folder: Path, states: dict[str, tuple[str | None, bytes]]) -> None:
    entries = {
        name: (version, content.decode("utf-8", "replace")) for name, (version, content) in states.items()
    }
    with replacing(folder / INDEX) as temporary, gzip.open(temporary, "wt", encoding="utf-8") as file:
        json.dump(entries, file)
