"""Audio by URLs that stand in transcripts, which `corpus.allow_remote` permits: whatever fsspec fetches."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from pipeline.audio.remote_source import Cache
from pipeline.audio.source import AudioSource
from pipeline.storage.paths import is_url


@dataclass(frozen=True)
class UrlSource:
    """The files of another source, and those that URLs name, fetched whole into the cache of copies."""

    files: AudioSource
    cache: Cache

    def stat(self, locator: str) -> tuple[int, int]:
        """See `AudioSource.stat`. The time of a URL is a checksum of what its server says about it."""
        if not is_url(locator):
            return self.files.stat(locator)
        info = _fetched(locator, lambda fs, path: fs.info(path))
        told = sorted((key, repr(value)) for key, value in info.items())
        return int(info.get("size") or 0), zlib.crc32(repr(told).encode())

    def open(self, locator: str) -> BinaryIO:
        """See `AudioSource.open`."""
        if not is_url(locator):
            return self.files.open(locator)
        name = f"{locator}@{self.stat(locator)[1]}"
        suffix = PurePosixPath(locator.partition("::")[0].partition("?")[0]).suffix

        def fetch(copy: Path) -> None:
            _fetched(locator, lambda fs, path: fs.get_file(path, str(copy)))

        return self.cache.open(name, suffix, fetch)


def _fetched(url: str, ask: Any) -> Any:
    """Return what `ask` does with the URL's filesystem and path. Raises OSError, whatever goes wrong there.

    Each filesystem has errors of its own, and a protocol that is not known or needs a package is one too.
    """
    from fsspec.core import url_to_fs

    try:
        return ask(*url_to_fs(url))
    except OSError:
        raise
    except Exception as error:
        raise OSError(f"{url} cannot be fetched: {' '.join(str(error).split())}") from error
