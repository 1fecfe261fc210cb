"""A Hugging Face dataset with an Audio column: saved to disk, a folder of Parquet, or an id on the Hub.

The `datasets` library is imported when a dataset is opened. Audio is never decoded here: the source gives the
bytes that the dataset holds, or the file that it names. A locator is `split/row`, so rows keep theirs when
rows are appended. An id is the dataset's own if it has one, else the locator.
"""

from __future__ import annotations

import io
import json
import os
import re
import reprlib
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

from pipeline.audio.decoders import AudioError
from pipeline.audio.source import open_file
from pipeline.config import CorpusSettings
from pipeline.corpus.corpus import Corpus
from pipeline.corpus.entry import Entry, Malformed
from pipeline.corpus.fields import Fields
from pipeline.corpus.format import CorpusProbe, FolderFormat
from pipeline.corpus.formats.parquet import split_of
from pipeline.errors import UsageError
from pipeline.utterance import Reason

SAVED = ("dataset_info.json", "dataset_dict.json")  # what save_to_disk writes
STORED = ("*.parquet", "data/*.parquet", "*/*.parquet", "*.arrow")  # what load_dataset finds in a folder
HUB_ID = re.compile(r"[\w-][\w.-]*/[\w.-]+")  # owner/name; a bare name is rather a mistyped folder


@dataclass(frozen=True)
class DatasetSource:
    """Audio of a dataset's rows, read where it is asked for; opened once in each process."""

    name: str  # a folder or an id on the Hub
    split: str
    column: str
    leave: bool = False  # read any file that a row names

    @cached_property
    def _rows(self) -> Any:
        return open_dataset(self.name, self.split).select_columns([self.column])

    def __getstate__(self) -> dict[str, Any]:
        return {"name": self.name, "split": self.split, "column": self.column, "leave": self.leave}

    def stat(self, locator: str) -> tuple[int, int]:
        """Return the size in bytes and, for audio inside the dataset, a checksum in place of the time.

        A dataset's own files are rewritten whenever it is saved or fetched again, so their times say
        nothing.
        """
        audio = self._audio(locator)
        if isinstance(audio, bytes):
            return len(audio), zlib.crc32(audio)
        status = audio.stat()
        return status.st_size, status.st_mtime_ns

    def open(self, locator: str) -> BinaryIO:
        """Open the bytes in the dataset, else the file that it names.

        Raises FileNotFoundError if it has neither, AudioError if that file is outside of the dataset.
        """
        audio = self._audio(locator)
        return io.BytesIO(audio) if isinstance(audio, bytes) else open_file(audio)

    def _audio(self, locator: str) -> bytes | Path:
        audio = self._rows[int(locator.rpartition("/")[2])][self.column] or {}
        if content := audio.get("bytes"):
            return bytes(content)
        if path := audio.get("path"):
            return self._file(path)
        raise FileNotFoundError(f"row {locator} of {self.name} has no audio")

    def _file(self, path: str) -> Path:
        """Return the path of a file below the dataset, or in the cache that it was fetched to."""
        import datasets

        file = Path(self.name, path).absolute()
        homes = (self.name, datasets.config.HF_DATASETS_CACHE, datasets.config.HF_CACHE_HOME)
        if self.leave or any(Path(os.path.normpath(file)).is_relative_to(home) for home in homes):
            return file
        raise AudioError(Reason.OUTSIDE_CORPUS, f"its row names {path}, which is out of the dataset")


def entries(source: DatasetSource, fields: Fields) -> Iterator[Entry | Malformed]:
    """Yield the entries of all rows. Reads no audio."""
    rows = open_dataset(source.name, source.split).remove_columns([source.column])
    number = 0
    while number < len(rows):
        locator = f"{source.split}/{number}"
        where = f"{source.name}:{locator}"
        try:
            for row in rows.skip(number):
                locator = f"{source.split}/{number}"
                where = f"{source.name}:{locator}"
                entry = fields.entry({**row, source.column: locator}, where)
                number += 1
                yield replace(entry, id=locator, audio=locator) if isinstance(entry, Malformed) else entry
        except (ValueError, OverflowError) as error:  # text that is no UTF-8, dates past 9999
            number += 1
            yield Malformed(where, f"cannot be read: {reprlib.repr(str(error))}", locator, locator)


def open_dataset(name: str, split: str) -> Any:
    """Open the split as a `datasets.Dataset`, its Audio undecoded. Raises UsageError if it cannot be had."""
    import datasets

    folder = Path(name).expanduser()
    try:
        if folder.is_dir():
            _check_names(folder)
        if any((folder / file).is_file() for file in SAVED):
            opened = datasets.load_from_disk(folder)
            rows = opened[split] if isinstance(opened, datasets.DatasetDict) else opened
        else:
            rows = _load(folder, split) if folder.is_dir() else datasets.load_dataset(name, split=split)
    except KeyError:
        raise UsageError(
            f"{name} has the splits {', '.join(opened)}, not {split}; set corpus.hf_split"
        ) from None
    except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
        cause = error.__cause__ or error  # of loose audio files: that torchcodec is missing
        raise UsageError(
            f"{name} is no folder with audio here and cannot be loaded as a Hugging Face dataset "
            f"({' '.join(str(cause).split())}); give a local folder, hf://datasets/owner/name to have its "
            "files read as they are, or check the id and corpus.hf_split"
        ) from error
    for column, feature in rows.features.items():
        if isinstance(feature, datasets.Audio):
            rows = rows.cast_column(column, datasets.Audio(decode=False))
    return rows


def _load(folder: Path, split: str) -> Any:
    """Load a folder's Parquet or Arrow files by their names; its README could name files anywhere."""
    import datasets

    found = sorted({path for pattern in STORED for path in folder.glob(pattern)})
    kind = found[0].suffix if found else ".parquet"
    files: dict[str, list[str]] = {}
    for path in found:
        if path.suffix == kind:
            files.setdefault(split_of(path.relative_to(folder).as_posix()) or "train", []).append(str(path))
    if split not in files:
        raise ValueError(f"it has the splits {', '.join(files) or 'none'}, not {split}")
    return datasets.load_dataset(kind[1:], data_files={split: files[split]}, split=split)


def _check_names(folder: Path) -> None:
    """Raise UsageError if a saved dataset's own lists name files or splits out of it."""
    for path in (folder / "dataset_dict.json", *folder.glob("state.json"), *folder.glob("*/state.json")):
        if not path.is_file():
            continue
        try:
            listed = json.loads(path.read_bytes())
            names = [
                *listed.get("splits", ()),
                *(file["filename"] for file in listed.get("_data_files") or ()),
            ]
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise UsageError(f"{path} is not what save_to_disk writes: save the dataset again") from None
        for name in names:
            if not isinstance(name, str) or Path(name).name != name:
                raise UsageError(
                    f"{path} names {name!r}, which is out of the dataset: save the dataset again"
                )


def choose(rows: Any, name: str, settings: CorpusSettings) -> Fields:
    """Choose its fields: the audio is the Audio column. Raises UsageError if there is none, or no text."""
    import datasets

    audio = [column for column, feature in rows.features.items() if isinstance(feature, datasets.Audio)]
    wanted = settings.audio_column or next(iter(audio), None)
    if wanted not in audio:
        kinds = ", ".join(audio) or "none"
        raise UsageError(
            f"{name} has no Audio column {wanted or ''} (it has {kinds}); set corpus.audio_column"
        )
    others = Fields.choose((column for column in rows.column_names if column not in audio), settings)
    if others.text is None:
        raise UsageError(f"{name} has the columns {', '.join(rows.column_names)}; set corpus.text_column")
    return replace(others, audio=wanted)


def _fits(given: CorpusProbe) -> bool:
    folder = given.folder
    if given.settings.text is not None:
        return False
    if folder is None:
        return HUB_ID.fullmatch(given.settings.audio or "") is not None
    saved = any((folder / name).is_file() for name in SAVED)
    return saved or any(next(folder.glob(pattern), None) is not None for pattern in STORED)


def _open(given: CorpusProbe) -> Corpus:
    settings = given.settings
    name = str(given.folder.absolute()) if given.folder else settings.audio or ""
    fields = choose(open_dataset(name, settings.hf_split), name, settings)
    assert fields.audio is not None
    source = DatasetSource(name, settings.hf_split, fields.audio, settings.allow_remote)
    return Corpus("huggingface", source, lambda: entries(source, fields), settings.language)


FORMAT = FolderFormat("huggingface", "a folder or Hub id of a dataset with an Audio column", _fits, _open)
