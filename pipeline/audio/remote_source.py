"""Audio in an object store, read through a local cache of bounded size that many processes share.

Objects are fetched whole, once on each machine, so a tar or a long recording costs one request, and its clips
are then read from the disk. A copy is named by the object's address and version; the one used least recently
is deleted first.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import secrets
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from io import FileIO
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from pipeline.audio.source import AudioSource, FolderSource, open_file
from pipeline.errors import PipelineError
from pipeline.storage.on_disk import DiskMap
from pipeline.storage.paths import objects, resolve_path, store, version_of

FOLDERS = 4  # listings that a process keeps while it plans
OBJECTS = 1024  # versions that a process remembers while it loads
LOCKS = 64  # objects that may be fetched side by side; those of one lock wait for each other
SHARE = 16  # a process looks at the cache's size when it added this part of it
T = TypeVar("T")
TRIES, PAUSE = 3, 2.0  # for a store that does not answer; seconds, doubled each time


def source_of(root: Path, cache: Path | None, cache_bytes: int) -> AudioSource:
    """Return the source of the files below a place."""
    if isinstance(root, Path):
        return FolderSource(root.absolute())
    return RemoteSource(str(root).rstrip("/"), cache_at(cache, cache_bytes))


def cache_at(folder: Path | None, limit: int) -> Cache:
    """Return the cache in a folder, or in the usual one."""
    return Cache(folder or Path(tempfile.gettempdir()) / f"llasa-dataset-cache-{os.getuid()}", limit)


@dataclass(frozen=True)
class Cache:
    """Copies of objects on a local disk, at most `limit` bytes of them including those being fetched."""

    folder: Path
    limit: int

    def open(self, name: str, suffix: str, fetch: Callable[[Path], object]) -> FileIO:
        """Open the copy called `name`, made by `fetch` if it is missing.

        The open file stays readable when the copy is evicted.
        """
        key = hashlib.sha256(name.encode()).hexdigest()
        path = self.folder / key[:2] / f"{key}{suffix}"
        while True:
            with contextlib.suppress(FileNotFoundError):
                opened = path.open("rb", buffering=0)
                os.utime(opened.fileno())
                return opened
            with self._locked(int(key[:2], 16) % LOCKS):
                if not path.exists():
                    self._make_room()
                    self._fetch(path, fetch)

    def _fetch(self, path: Path, fetch: Callable[[Path], object]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        try:
            fetch(temporary)
            _added[self.folder] = _added.get(self.folder, self.limit) + temporary.stat().st_size
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)

    def _make_room(self) -> None:
        """Delete what was not used for longest, down to the limit less this process's share."""
        if _added.get(self.folder, self.limit) < self.limit // SHARE:
            return
        _added[self.folder] = 0
        copies = sorted(_copies(self.folder))
        total = sum(size for _, size, _ in copies)
        for _, size, path in copies:
            if total <= self.limit - self.limit // SHARE:
                break
            path.unlink(missing_ok=True)
            total -= size

    @contextlib.contextmanager
    def _locked(self, number: int) -> Iterator[None]:
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(self.folder / f".lock-{number}", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


_added: dict[Path, int] = {}  # bytes that this process added since it last looked at a cache's size


def _copies(folder: Path) -> Iterator[tuple[float, int, Path]]:
    """Return each copy's last use, size and path, and also what a killed process left half-fetched."""
    for path in folder.glob("??/*"):
        with contextlib.suppress(FileNotFoundError):
            status = path.stat()
            yield status.st_mtime, status.st_size, path


@dataclass(frozen=True)
class RemoteSource:
    """Objects below `root`, a URL; the locator is a path relative to it."""

    root: str
    cache: Cache

    @cached_property
    def _listing(self) -> Callable[[str], DiskMap[tuple[int, int]]]:
        return lru_cache(FOLDERS)(self._list)

    @cached_property
    def _object(self) -> Callable[[str], tuple[int, int]]:
        return lru_cache(OBJECTS)(self._look_up)

    def __getstate__(self) -> dict[str, Any]:
        return {"root": self.root, "cache": self.cache}

    def stat(self, locator: str) -> tuple[int, int]:
        """Return the size in bytes, and a number for the version in place of the time.

        Lists a folder at a time.
        """
        if locator.startswith("/"):  # a transcript named a local file
            return FolderSource(Path("/")).stat(locator)
        folder, _, name = locator.rpartition("/")
        with _listing:
            found = self._listing(folder).get(name)
        if found is None:
            raise FileNotFoundError(f"{self.root}/{locator} is not there")
        return found

    def open(self, locator: str) -> FileIO:
        """Open a copy in the cache. Raises PipelineError if the store does not answer."""
        if locator.startswith("/"):
            return open_file(Path(locator))
        fs, root = store(resolve_path(self.root))
        name = f"{self.root}/{locator}@{self._object(locator)[1]}"

        def fetch(copy: Path) -> None:
            _patient(lambda: fs.get_file(f"{root}/{locator}", str(copy)))

        return self.cache.open(name, PurePosixPath(locator).suffix, fetch)

    def _look_up(self, locator: str) -> tuple[int, int]:
        fs, root = store(resolve_path(self.root))
        return _size_version(_patient(lambda: fs.info(f"{root}/{locator}")))

    def _list(self, folder: str) -> DiskMap[tuple[int, int]]:
        place = resolve_path(f"{self.root}/{folder}".rstrip("/"))

        def listed() -> DiskMap[tuple[int, int]]:
            found = DiskMap[tuple[int, int]]()
            for name, info in objects(place, below=False):
                found[name] = _size_version(info)
            return found

        try:
            return _patient(listed)
        except FileNotFoundError:
            return DiskMap()


_listing = threading.Lock()  # planning asks from many threads, and one of them may list a folder


def _size_version(info: Mapping[str, Any]) -> tuple[int, int]:
    """Return the bytes of an object, and 56 bits that change with its content."""
    digest = hashlib.sha256(repr(version_of(info)).strip("'\"").encode()).digest()
    return int(info["size"] or 0), int.from_bytes(digest[:7], "big")


def _patient(ask: Callable[[], T]) -> T:
    """Call the store, and again after a pause if it fails.

    Raises FileNotFoundError for what is not there, PipelineError after several failures: no OSError,
    since a failing store must not pass for a fault of the clip.
    """
    for attempt in range(TRIES):
        try:
            return ask()
        except FileNotFoundError:
            raise
        except (OSError, TimeoutError) as error:
            if attempt == TRIES - 1:
                sentence = f"the object store cannot be read: {error}; run the same command again later"
                raise PipelineError(sentence) from error
            time.sleep(PAUSE * 2**attempt)
    raise AssertionError("unreachable")
