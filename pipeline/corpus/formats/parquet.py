"""Parquet with audio inside: a column of bytes, or of `{bytes, path}` as the datasets library writes it.

Reads a row group where it is asked for and copies nothing first; a few row groups stay in memory, bounded in
bytes. A locator is `file.parquet#row`, and so is an id where the table has none of its own. Of a folder with
several splits (`data/train-00000-of-00002.parquet`), `corpus.hf_split` says which one is read.
"""

from __future__ import annotations

import bisect
import io
import posixpath
import reprlib
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, BinaryIO

from pipeline.audio.decoders import AudioError
from pipeline.audio.source import AudioSource
from pipeline.config import CorpusSettings
from pipeline.corpus.corpus import Corpus, Files
from pipeline.corpus.entry import Entry, Malformed
from pipeline.corpus.fields import HERE, NAMES, Fields
from pipeline.corpus.format import CorpusProbe, FolderFormat
from pipeline.errors import UsageError
from pipeline.storage.paths import is_url
from pipeline.utterance import Reason

ENDINGS = (".parquet",)
CACHED_BYTES = 256 << 20  # of row groups that one process holds; the one in use is always held
BATCH = 1000  # rows read at a time for their texts


@dataclass(frozen=True)
class ParquetSource:
    """Audio of the rows of Parquet files that `files` opens."""

    files: AudioSource
    column: str
    root: str | None = None  # files that rows name must lie below it; None: anywhere

    @cached_property
    def _groups(self) -> _RowGroups:
        return _RowGroups(self.files, self.column)

    def __getstate__(self) -> dict[str, Any]:
        return {"files": self.files, "column": self.column, "root": self.root}

    def stat(self, locator: str) -> tuple[int, int]:
        """Return the stat of the whole Parquet file: a row's own size would cost reading its row group."""
        return self.files.stat(locator.rpartition("#")[0])

    def open(self, locator: str) -> BinaryIO:
        """Open the bytes in the row, else the file that it names.

        Raises FileNotFoundError if it has neither, AudioError if that file is outside of the corpus.
        """
        file, _, row = locator.rpartition("#")
        value = self._groups.value(file, int(row))
        content, path = (value.get("bytes"), value.get("path")) if isinstance(value, dict) else (value, None)
        if content:
            return io.BytesIO(content)
        if path:
            return self.files.open(str(path) if self.root is None else _inside(str(path), self.root))
        raise FileNotFoundError(f"row {row} of {file} has no audio")


def _inside(path: str, root: str) -> str:
    """Return a path that a row names. Raises AudioError if it leads out of the corpus."""
    if is_url(path) or not posixpath.normpath(posixpath.join(root, path)).startswith(root.rstrip("/") + "/"):
        raise AudioError(Reason.OUTSIDE_CORPUS, f"its row names {path}, which is out of the corpus")
    return path


class _RowGroups:
    """The row groups that were used last, up to `CACHED_BYTES`; threads may share it."""

    def __init__(self, files: AudioSource, column: str) -> None:
        self._files, self._column = files, column
        self._bounds: dict[str, list[int]] = {}  # first row of each group, and the number of rows
        self._held: OrderedDict[tuple[str, int], Any] = OrderedDict()
        self._bytes = 0  # of those
        self._lock = threading.Lock()

    def value(self, file: str, row: int) -> Any:
        """Return the audio of a row, as Python has it."""
        with self._lock:
            bounds = self._bounds.get(file) or self._bounds_of(file)
            if row >= bounds[-1]:
                raise FileNotFoundError(f"{file} has {bounds[-1]:,} rows and no row {row:,}")
            group = bisect.bisect_right(bounds, row) - 1
            return self._column_of(file, group)[row - bounds[group]].as_py()

    def _bounds_of(self, file: str) -> list[int]:
        with open_parquet(self._files, file) as opened:
            bounds = [0]
            for group in range(opened.metadata.num_row_groups):
                bounds.append(bounds[-1] + opened.metadata.row_group(group).num_rows)
        self._bounds[file] = bounds
        return bounds

    def _column_of(self, file: str, group: int) -> Any:
        key = file, group
        if key in self._held:
            self._held.move_to_end(key)
            return self._held[key]
        with open_parquet(self._files, file) as opened:
            read = opened.read_row_group(group, columns=[self._column]).column(self._column)
        self._held[key] = read
        self._bytes += read.nbytes
        while len(self._held) > 1 and self._bytes > CACHED_BYTES:
            self._bytes -= self._held.popitem(last=False)[1].nbytes
        return read


@contextmanager
def open_parquet(files: AudioSource, path: str) -> Iterator[Any]:
    """Open a `pyarrow.parquet.ParquetFile`. Raises UsageError if it is none, or turns out damaged."""
    import pyarrow
    import pyarrow.parquet

    try:
        with files.open(path) as file, pyarrow.parquet.ParquetFile(pyarrow.PythonFile(file, "r")) as opened:
            yield opened
    except (pyarrow.ArrowException, OSError) as error:
        raise UsageError(f"{path} cannot be read as Parquet: {' '.join(str(error).split())}") from error


def audio_column(schema: Any, settings: CorpusSettings) -> str | None:
    """Return the column that holds audio: as set, else by its type, binary or with a field `bytes`."""
    from pyarrow import types

    def holds_audio(kind: Any) -> bool:
        if types.is_struct(kind):
            return kind.get_field_index("bytes") >= 0 and holds_audio(kind.field("bytes").type)
        return bool(types.is_binary(kind) or types.is_large_binary(kind))

    found = [field.name for field in schema if holds_audio(field.type)]
    if settings.audio_column is not None:
        return settings.audio_column if settings.audio_column in found else None
    usual = [name for name in found if name.lower() in NAMES["audio"]]
    return next(iter(usual or found), None)


def entries(
    path: str, *, files: AudioSource, column: str, settings: CorpusSettings
) -> Iterator[Entry | Malformed]:
    """Yield the entries of a file. Reads no audio."""
    with open_parquet(files, path) as opened:
        names = [name for name in opened.schema_arrow.names if name != column]
        fields = Fields.choose(names, settings).whole
        parts = (fields.text, fields.id, fields.speaker, fields.language)
        wanted = [name for name in parts if name is not None and name in names]
        row = 0
        for batch in opened.iter_batches(BATCH, columns=wanted):
            for index in range(batch.num_rows):
                locator = f"{path}#{row}"
                row += 1
                try:
                    values = {name: batch.column(name)[index].as_py() for name in wanted}
                except (ValueError, OverflowError) as error:  # text that is no UTF-8, dates past 9999
                    yield Malformed(locator, f"cannot be read: {reprlib.repr(str(error))}")
                    continue
                yield fields.entry({**values, HERE: locator}, locator)


def _paths(given: CorpusProbe) -> list[str]:
    """Return the files of the split if names tell splits; else all."""
    paths, split = given.files(ENDINGS), given.settings.hf_split
    named = [path for path in paths if split_of(path) == split]
    return named or [path for path in paths if split_of(path) is None]


def split_of(path: str) -> str | None:
    """Return the split that a path tells as the Hub's datasets do.

    `test-00000-of-00001.parquet`, `test/0`.
    """
    folder, _, name = path.rpartition("/")
    for word in (name.partition("-")[0].removesuffix(".parquet"), folder.rpartition("/")[2]):
        if word in {"train", "validation", "test", "dev"}:
            return word
    return None


def _schema(given: CorpusProbe, path: str) -> Any:
    with open_parquet(given.source, path) as opened:
        return opened.schema_arrow


def _fits(given: CorpusProbe) -> bool:
    if given.settings.text is not None or given.folder is None:
        return False
    paths = _paths(given)
    return bool(paths) and audio_column(_schema(given, paths[0]), given.settings) is not None


def _open(given: CorpusProbe) -> Corpus:
    paths, settings, files = _paths(given), given.settings, given.source
    if not paths:
        raise UsageError(
            f"there is no .parquet of the split {settings.hf_split} below {given.audio_folder()}; "
            "set corpus.hf_split"
        )
    schema = _schema(given, paths[0])
    column = audio_column(schema, settings)
    if column is None:
        raise UsageError(
            f"{paths[0]} has no column of audio bytes among {', '.join(schema.names)}; "
            "set corpus.audio_column"
        )
    if Fields.choose(schema.names, settings).text is None:
        raise UsageError(f"{paths[0]} has the columns {', '.join(schema.names)}; set corpus.text_column")
    source = ParquetSource(
        files, column, None if settings.allow_remote else str(given.audio_folder().absolute())
    )
    read = Files(paths, partial(entries, files=files, column=column, settings=settings))
    return Corpus("parquet", source, read, settings.language)


FORMAT = FolderFormat("parquet", "Parquet files with a column of audio bytes", _fits, _open)
