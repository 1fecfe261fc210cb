"""Finds audio files below a folder by the names that transcripts give them, and by their names alone."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

from pipeline.audio.source import AudioSource, FolderSource
from pipeline.corpus.entry import Scope
from pipeline.corpus.file_table import File, FileTable
from pipeline.corpus.listing import is_so, nfc, right_in, walk
from pipeline.storage.paths import is_url

# In order of preference where one name comes in several: lossless first.
AUDIO_ENDINGS = (
    *(".wav", ".wave", ".flac", ".aiff", ".aif", ".aifc", ".au", ".caf", ".w64", ".rf64", ".sph", ".wv"),
    *(".opus", ".ogg", ".oga", ".m4a", ".mp4", ".aac", ".mp3", ".webm", ".wma", ".mka", ".amr", ".3gp"),
    *(".g722", ".voc"),
)
WINDOWS_DRIVE = re.compile(r"[A-Za-z]:/")


class AudioIndex:
    """The audio files below a folder, by name; iterated, their locators in order.

    A locator is the POSIX path relative to the folder, as the disk spells it. Files whose name is not valid
    Unicode cannot be named by any transcript or written to any output; they are in `unnameable`, with the
    offending bytes escaped.
    """

    def __init__(
        self,
        root: Path,
        ext: str | None = None,
        source: AudioSource | None = None,
        *,
        also: Path | None = None,
        leave: bool = False,
        listing: Iterable[str] | None = None,
    ) -> None:
        """Find the files below `root`, or those of a `listing`.

        A name may also lead to audio below `also`; with `leave`, to any file, and it may be a URL.
        """
        self.root = root.absolute()
        self._also, self._leave = also.absolute() if also is not None else self.root, leave
        self.source = source or FolderSource(self.root)  # opens the locators
        self.endings = AUDIO_ENDINGS if ext is None else ("." + ext.lower().lstrip("."),)
        self._known = frozenset([*self.endings, *AUDIO_ENDINGS])
        self._root_parts = [part for part in nfc(self.root.as_posix()).split("/") if part]
        if listing is None:
            here = partial(right_in, root, endings=self.endings)
            self._files = FileTable(walk(root, self.endings), self.without_ending, here)
        else:
            self._files = FileTable(listing, self.without_ending)
        self.any_below, self.unnameable = self._files.any_below, self._files.unnameable
        self.unnamed, self.name_none = self._files.unnamed, self._files.name_none

    def __bool__(self) -> bool:
        return bool(self._files)

    def __len__(self) -> int:
        return len(self._files)

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def without_ending(self, name: str) -> str:
        """Return `name` without an audio ending; other dots stay."""
        stem, dot, ending = name.rpartition(".")
        return stem if stem and dot + ending.lower() in self._known else name

    def near(self, folder: Path) -> str | None:
        """Return `folder` relative to the root, for `find`; None if it is not below it."""
        relative = posixpath.relpath(folder.absolute().as_posix(), self.root.as_posix())
        return None if relative.startswith("..") else nfc(relative.removeprefix("."))

    def find(
        self, name: str, near: str | None = None, scope: Scope = Scope.ANYWHERE, *, leave: bool = False
    ) -> list[str]:
        """Return the locators that `name` fits equally well: none, one, or several if it is ambiguous.

        `name` is an id, a file name or a path, with or without ending, in any Unicode form. Its
        folders must be those the file is in, as far as it names them: `b/1` is never `a/1.wav`. Of
        several matches the one beside the transcript (`near`) wins, then one at that path from the
        root, then those below `near`. A path out of the root is its own locator where `leave` (or
        the index) permits that; one from another machine matches by its end, if that includes a folder.
        """
        return [file.locator for file in self._fitting(name, near, scope, leave)]

    def take(
        self, name: str, near: str | None = None, scope: Scope = Scope.ANYWHERE, *, leave: bool = False
    ) -> list[str]:
        """Return what `find` does, and note that a transcript has named it: see `unnamed`."""
        files = self._fitting(name, near, scope, leave)
        self._files.name(files)
        return [file.locator for file in files]

    def _fitting(self, name: str, near: str | None, scope: Scope, leave: bool) -> Sequence[File]:
        if self._leave and is_url(name):
            return [_out_of_table(name.strip())]
        path = self._out(name, near)
        if path is not None:
            return self._absolute(path, leave or self._leave)
        name = _forward(name)
        plain = posixpath.normpath(name) if name else ""
        if scope is Scope.EXACT:
            return self._at(plain)
        for path in self._nearest_places(plain, near, scope) if plain else ():
            if found := self._same_stem(path, path.rpartition("/")[0]):
                return self._one_ending(found, plain)
        matches = [match for match in self._same_stem(plain) if self._ends_with(match, plain)]
        if near:
            below = [match for match in matches if match.plain.startswith(near + "/")]
            matches = below if scope is Scope.BELOW else below or matches
        if not matches and scope is Scope.ANYWHERE:
            return self._at(plain)
        return self._one_ending(matches, plain)

    def _nearest_places(self, name: str, near: str | None, scope: Scope) -> Iterator[str]:
        """Yield the paths that `name` means before any other, for which no further folder need be listed."""
        if near:
            yield posixpath.join(near, name)
        if not near or scope is Scope.ANYWHERE or name.startswith(near + "/"):
            yield name

    def is_outside(self, name: str, near: str | None = None) -> bool:
        """Return whether `name` is a URL, or the path of audio that is there but out of the corpus."""
        path = self._out(name, near)
        return is_url(name) or (path is not None and self._is_audio(Path(path)))

    def _out(self, name: str, near: str | None) -> str | None:
        """Return `name` as an absolute path if it is one, or begins with `..`; else None."""
        name = _forward(name)
        if is_absolute(name):
            return posixpath.normpath(name)
        plain = posixpath.normpath(name)
        if not plain.startswith("../"):
            return None
        return posixpath.normpath(posixpath.join(self.root.as_posix(), near or "", plain))

    def _at(self, path: str) -> Sequence[File]:
        matches = self._same_stem(path, path.rpartition("/")[0])
        if not matches and "/" in path and self._is_audio(self.root / path):  # through a linked folder
            return [_out_of_table(path)]
        return self._one_ending(matches, path)

    def _is_audio(self, path: Path) -> bool:
        return path.suffix.lower() in self.endings and path.is_absolute() and is_so(path.is_file)

    def _absolute(self, name: str, leave: bool) -> Sequence[File]:
        relative = posixpath.relpath(name, nfc(self.root.as_posix())) if name.startswith("/") else ".."
        if not relative.startswith(".."):
            return self._at(relative)
        if (leave or name.startswith(nfc(self._also.as_posix()) + "/")) and self._is_audio(Path(name)):
            return [_out_of_table(name)]
        parts = self.without_ending(name).split("/")
        best: list[File] = []
        longest = 2  # components in common at the least: the file and one folder
        for match in self._same_stem(name):
            common = _common_end(self._parts(match), parts)
            if common >= max(longest, match.plain.count("/") + 1):
                best = [*best, match] if common == longest else [match]
                longest = common
        return self._one_ending(best, name)

    def _same_stem(self, name: str, folder: str | None = None) -> list[File]:
        return self._files.of_stem(self.without_ending(name.rpartition("/")[2]), folder)

    def _parts(self, file: File) -> list[str]:
        return [*self._root_parts, *file.plain.split("/")]

    def _ends_with(self, file: File, name: str) -> bool:
        if "/" not in name:
            return True
        parts = self.without_ending(name).split("/")
        return self._parts(file)[-len(parts) :] == parts

    def _one_ending(self, matches: Sequence[File], name: str) -> Sequence[File]:
        """Choose among files that differ in their ending only: the one `name` has, else the best."""
        if len(matches) < 2 or len({self.without_ending(match.locator) for match in matches}) != 1:
            return matches
        wanted = posixpath.splitext(name)[1].lower()

        def rank(match: File) -> tuple[bool, int]:
            ending = posixpath.splitext(match.locator)[1].lower()
            return ending != wanted, self.endings.index(ending)

        return [min(matches, key=rank)]


def _out_of_table(locator: str) -> File:
    return File(0, locator, "")


def is_absolute(name: str) -> bool:
    """Return whether `name`, with forward slashes, starts at a root: `/data/1.wav`, `C:/data/1.wav`."""
    return name.startswith("/") or WINDOWS_DRIVE.match(name) is not None


def _forward(name: str) -> str:
    return nfc(name.strip()).replace("\\", "/")


def _common_end(left: Sequence[str], right: Sequence[str]) -> int:
    count = 0
    for a, b in zip(reversed(left), reversed(right), strict=False):
        if a != b:
            break
        count += 1
    return count
