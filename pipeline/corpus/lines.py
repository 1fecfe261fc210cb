"""Lines of transcript files: UTF-8 with or without BOM, LF or CRLF."""

from __future__ import annotations

import gzip
import io
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import BinaryIO, cast

from pipeline.corpus.entry import Malformed
from pipeline.errors import UsageError
from pipeline.storage.paths import is_remote

BOM = b"\xef\xbb\xbf"
UTF_16 = (b"\xff\xfe", b"\xfe\xff")
HEAD = 100  # lines that recognition looks at


def read_lines(path: Path, shown: str | None = None) -> Iterator[tuple[str, str | Malformed]]:
    """Yield each line that is not blank, without its end, with its position `file:line`.

    `shown` is the file's name in positions, its own by default. A line that is not UTF-8 is Malformed.
    Only LF ends a line, so that a text may hold U+2028 and the like. A `.gz` is unpacked as it is read.
    Raises UsageError if the file cannot be read.
    """
    shown = shown or path.name
    try:
        with open_text(path) as file:
            for number, raw in enumerate(file, start=1):
                if number == 1:
                    raw = raw.removeprefix(BOM)
                if not raw.strip():
                    continue
                where = f"{shown}:{number}"
                try:
                    yield where, raw.decode().rstrip("\r\n")
                except UnicodeDecodeError as error:
                    yield where, Malformed(where, f"byte {error.start + 1} is not UTF-8")
    except (OSError, EOFError) as error:  # EOFError: a gzip file that ends early
        raise UsageError(
            f"cannot read the transcripts {path}: {getattr(error, 'strerror', None) or error}"
        ) from error


def open_text(path: Path) -> BinaryIO:
    """Open a transcript file, unpacked if it is gzip."""
    if path.suffix != ".gz":
        return path.open("rb")
    packed = io.BytesIO(path.read_bytes()) if is_remote(path) else path
    return cast(BinaryIO, gzip.open(packed))


def head(path: Path) -> list[str]:
    """Return the first lines, for recognition.

    Raises UsageError for a file that is all in another encoding.
    """
    with open_text(path) as file:
        if file.read(2) in UTF_16:
            raise UsageError(f"{path} is UTF-16; write it as UTF-8: iconv -f UTF-16 -t UTF-8")
    lines = [line for _, line in islice(read_lines(path), HEAD)]
    good = [line for line in lines if isinstance(line, str)]
    if len(good) * 2 < len(lines):
        raise UsageError(f"{path} is not UTF-8; convert it, from Shift JIS for one: iconv -f CP932 -t UTF-8")
    return good
