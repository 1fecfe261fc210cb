"""What a corpus format must tell about itself, and what it is given to look at."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Protocol

from pipeline.audio.remote_source import cache_at, source_of
from pipeline.audio.source import AudioSource
from pipeline.config import CorpusSettings
from pipeline.corpus import lines
from pipeline.corpus.audio_index import AudioIndex
from pipeline.corpus.corpus import Corpus
from pipeline.corpus.entry import Item
from pipeline.corpus.listing import scan
from pipeline.corpus.urls import UrlSource
from pipeline.errors import UsageError
from pipeline.runtime import find_file
from pipeline.storage.paths import is_url, resolve_path, store_errors

USUAL_FILES = (  # transcripts looked for in the audio folder where no text is given
    *(
        f"{name}.{ending}"
        for name in ("metadata", "transcripts", "transcript", "manifest")
        for ending in ("csv", "tsv", "jsonl", "json", "txt")
    ),
    "validated.tsv",  # Common Voice
)
TABLES = (".csv", ".tsv", ".jsonl", ".list")  # one such file in the audio folder is taken whatever its name


@dataclass(frozen=True)
class CorpusProbe:
    """The settings, and what can be seen of the corpus without reading all of it; looked up once."""

    settings: CorpusSettings
    take_usual: bool = True  # transcripts by a usual name in the audio folder, where no text is given
    _heads: dict[Path, list[str]] = field(default_factory=dict, init=False, repr=False)

    @cached_property
    def folder(self) -> Path | None:
        """The audio folder, if the setting names one."""
        path = resolve_path(_here_or_shipped(self.settings.audio or ""))
        with store_errors(path):
            return path if self.settings.audio and path.is_dir() else None

    @cached_property
    def text(self) -> Path | None:
        """The transcript file or folder: as given, else one of the usual names in the audio folder."""
        if self.settings.text is not None:
            path = resolve_path(_here_or_shipped(self.settings.text))
            with store_errors(path):
                if not (path.is_file() or path.is_dir()):
                    raise UsageError(f"there is no transcript file or folder {path}")
            return path
        if self.folder is None or not self.take_usual:
            return None
        usual = [self.folder / name for name in USUAL_FILES]
        found = [path for path in usual if path.is_file()]
        tables = [] if found else list(scan(self.folder, TABLES, below=False))
        return found[0] if found else self.folder / tables[0] if len(tables) == 1 else None

    @property
    def text_file(self) -> Path | None:
        """The transcripts, if they are one file."""
        return self.text if self.text is not None and self.text.is_file() else None

    @property
    def text_folder(self) -> Path | None:
        """The folder to look for transcripts in, unless they are one file."""
        return self.folder if self.text is None else self.text if self.text.is_dir() else None

    def head(self, path: Path) -> list[str]:
        """Return the first lines of a transcript file, for recognition."""
        if path not in self._heads:
            self._heads.clear()  # of a corpus with a file in each folder one is looked at after the other
            self._heads[path] = lines.head(path, self.settings)
        return self._heads[path]

    def beginning(self, path: Path) -> str:
        """Return the first 64 KiB of a transcript file."""
        return lines.beginning(path)

    @cached_property
    def index(self) -> AudioIndex:
        """The audio files. Raises UsageError if there is no folder."""
        settings = self.settings
        return AudioIndex(
            self.audio_folder(), settings.ext, self.source, also=self.text_folder, leave=settings.allow_remote
        )

    def files(self, endings: tuple[str, ...]) -> list[str]:
        """List files of the audio folder with one of `endings` (lower case), sorted."""
        return list(scan(self.audio_folder(), endings))

    @property
    def source(self) -> AudioSource:
        """Opens the files of the audio folder."""
        cache = Path(self.settings.cache).expanduser() if self.settings.cache else None
        limit = round(self.settings.cache_gb * 1e9)
        files = source_of(self.audio_folder(), cache, limit)
        return UrlSource(files, cache_at(cache, limit)) if self.settings.allow_remote else files

    def audio_folder(self) -> Path:
        """Return the folder. Raises UsageError if there is none."""
        if self.folder is None:
            raise UsageError(
                f"there is no audio folder {self.settings.audio}, and it is no owner/name on the Hub"
            )
        return self.folder

    def corpus(self, kind: str, read: Callable[[], Iterator[Item]]) -> Corpus:
        """Return a corpus whose entries name files of the audio folder."""
        return Corpus(kind, self.index.source, read, self.settings.language, self.index)


class Format(Protocol):
    """A corpus format: its name for `--transcripts`, how it is recognised, and how it is opened."""

    @property
    def name(self) -> str:
        """Its name for `--transcripts`."""
        ...

    @property
    def known_by(self) -> str:
        """What it is recognised by, for the error that nothing fits."""
        ...

    def fits(self, given: CorpusProbe) -> bool:
        """Return whether what is given is such a corpus."""
        ...

    def open(self, given: CorpusProbe) -> Corpus:
        """Open it. Raises UsageError if it is no such corpus."""
        ...


@dataclass(frozen=True)
class FolderFormat:
    """A format that is a layout of folders. See `Format`."""

    name: str
    known_by: str
    fits: Callable[[CorpusProbe], bool]
    open: Callable[[CorpusProbe], Corpus]


@dataclass(frozen=True)
class FileFormat:
    """A format that is one transcript file over a folder of audio. See `Format`.

    `matches` looks at the file's first lines, `entries` reads it. Both take the file and the folder's probe.
    """

    name: str
    known_by: str
    matches: Callable[[Path, CorpusProbe], bool]
    entries: Callable[[Path, CorpusProbe], Iterator[Item]]

    def fits(self, given: CorpusProbe) -> bool:
        """See `Format.fits`."""
        path = given.text_file
        return path is not None and given.folder is not None and self.matches(path, given)

    def open(self, given: CorpusProbe) -> Corpus:
        """See `Format.open`."""
        path = given.text_file
        if path is None:
            where = (
                f"{given.text} is a folder"
                if given.text
                else f"{given.settings.audio} has none by a usual name"
            )
            raise UsageError(
                f"--transcripts {self.name} reads one transcript file, and {where}; name the file"
            )
        return given.corpus(self.name, lambda: self.entries(path, given))


def says_columns(settings: CorpusSettings) -> bool:
    """Return whether settings of columns were given, which are then how a file of columns is read."""
    usual = CorpusSettings()
    return any(
        getattr(settings, key) != getattr(usual, key) for key in ("split_word", "file_index", "text_index")
    )


def _here_or_shipped(name: str) -> str:
    """Return `name`, or where the sample corpus of that name came along with the package."""
    return name if is_url(name) else str(find_file(name) or name)
