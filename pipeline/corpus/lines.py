"""Lines and texts of transcript files, in any encoding that `encodings.py` recognises.

Lines end at LF, or at CR in a file that has only those, so that a text may hold U+2028 and the like. A `.gz`
is unpacked as it is read.
"""

from __future__ import annotations

import codecs
import gzip
import io
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, TypeVar, cast

from pipeline.config import CorpusSettings
from pipeline.corpus import encodings
from pipeline.corpus.entry import Malformed
from pipeline.errors import UsageError, naming
from pipeline.storage.paths import is_remote, read_each

HEAD = 100  # lines that recognition looks at
SAMPLE = 1 << 16  # bytes that the encoding is recognised by
MAX_LINE = 1 << 22  # characters; a longer line is no entry
TOO_LONG = f"is longer than {MAX_LINE:,} characters"
MAX_TEXT = 1 << 26  # bytes; a larger file is no transcript of one recording

T = TypeVar("T")


def read_lines(path: Path, settings: CorpusSettings) -> Iterator[tuple[str, str | Malformed]]:
    """Yield each line that is not blank, without its end, with its position `file:line`.

    A line that is too long or not in the file's encoding is Malformed. Raises UsageError if the file cannot
    be read or its encoding is not told.
    """
    with _as_usage(path), open_text(path) as file:
        sample = file.read(SAMPLE)
        end = max(sample.rfind(b"\n"), sample.rfind(b"\r")) + 1 if len(sample) == SAMPLE else 0
        try:
            encoding = encodings.recognise(sample[:end] or sample, settings)
        except encodings.Undecodable as error:
            raise UsageError(f"{path} {error}") from None
        file.seek(0)
        for number, raw in enumerate(_raw_lines(file, encoding, sample), start=1):
            where = f"{path.name}:{number}"
            if isinstance(raw, str):
                yield where, Malformed(where, raw)
            else:
                raw = raw.removeprefix(codecs.BOM_UTF8) if number == 1 else raw
                if raw.strip():
                    yield where, _decoded(raw, encoding, where)


def _decoded(raw: bytes, encoding: str, where: str) -> str | Malformed:
    encoding = encodings.UTF_8 if encodings.is_wide(encoding) else encoding  # `_raw_lines` converts it
    try:
        return raw.decode(encoding).rstrip("\r\n")
    except UnicodeDecodeError as error:
        return Malformed(where, f"byte {error.start + 1} is not {encodings.name_of(encoding)}")


def _raw_lines(file: BinaryIO, encoding: str, sample: bytes) -> Iterator[bytes | str]:
    """Yield the lines' bytes, those of UTF-16 as UTF-8; for one that cannot be had, why."""
    if encodings.is_wide(encoding):
        yield from _recoded_lines(file, encoding, "utf-8")
    elif b"\n" not in sample and b"\r" in sample:
        yield from _recoded_lines(file, "latin-1", "latin-1")  # which keeps every byte
    else:
        while line := file.readline(MAX_LINE):
            if len(line) < MAX_LINE or line.endswith(b"\n"):
                yield line
                continue
            while (rest := file.readline(MAX_LINE)) and not rest.endswith(b"\n"):
                pass
            yield TOO_LONG


def _recoded_lines(file: BinaryIO, encoding: str, into: str) -> Iterator[bytes | str]:
    """Yield lines that LF ends, or CR where the first ones have no LF, in another encoding."""
    decoder = codecs.getincrementaldecoder(encoding)("surrogatepass" if into == "utf-8" else "strict")
    rest, end, skips = "", "", False
    while chunk := file.read(SAMPLE):
        rest += decoder.decode(chunk)
        end = end or ("\r" if "\n" not in rest and "\r" in rest else "\n")
        *whole, rest = rest.split(end)
        for line in whole:
            yield TOO_LONG if skips or len(line) > MAX_LINE else line.encode(into, "surrogatepass")
            skips = False
        if len(rest) > MAX_LINE:
            rest, skips = "", True
    if skips:
        yield TOO_LONG
    elif rest:
        yield rest.encode(into, "surrogatepass")
    try:
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        yield "is cut off within a character"


@contextmanager
def _as_usage(path: Path) -> Iterator[None]:
    try:
        with naming(path):
            yield
    except (OSError, EOFError, zlib.error) as error:  # EOFError: a gzip file that ends early
        said = getattr(error, "strerror", None) or error
        raise UsageError(f"cannot read the transcripts {path}: {said}") from error


def open_text(path: Path) -> BinaryIO:
    """Open a transcript file, unpacked if it is gzip."""
    if path.suffix != ".gz":
        opened = path.open("rb")
        return io.BufferedReader(cast(io.RawIOBase, opened)) if is_remote(path) else opened
    packed = io.BytesIO(path.read_bytes()) if is_remote(path) else path
    return cast(BinaryIO, gzip.open(packed))


def read_items(path: Path, prefix: str) -> Iterator[tuple[str, Any]]:
    """Yield the items of a JSON file below `prefix`, as ijson names it, each with its place, `file:item N`.

    The file is never in memory whole. Where it cannot be read on, a Malformed is the last item.
    """
    import ijson

    number = 0
    with _as_usage(path), open_text(path) as file:
        if file.read(3) != codecs.BOM_UTF8:
            file.seek(0)
        try:
            for number, item in enumerate(ijson.items(file, prefix, use_float=True), start=1):
                yield f"{path.name}:item {number}", item
        except (ijson.JSONError, ValueError, OverflowError, RecursionError) as error:
            where = f"{path.name}:item {number + 1}"
            yield (
                where,
                Malformed(where, f"is where the JSON cannot be read on: {' '.join(str(error).split())}"),
            )


def beginning(path: Path) -> str:
    """Return the first 64 KiB of a file, whatever their line ends, for recognition."""
    with _as_usage(path), open_text(path) as file:
        return file.read(SAMPLE).decode("utf-8-sig", "replace")


def head(path: Path, settings: CorpusSettings) -> list[str]:
    """Return the first lines that can be read, for recognition. Raises UsageError as `read_lines` does."""
    lines = islice(read_lines(path, settings), HEAD)
    return [line for _, line in lines if isinstance(line, str)]


def read_text(path: Path, where: str, settings: CorpusSettings) -> str | Malformed:
    """Return all of a small transcript file, or why its text cannot be had. Raises UsageError."""
    return decoded(read_content(path), where, settings)


def read_content(path: Path) -> bytes | str:
    """Return the bytes of a small transcript file, or why they cannot be had. Raises UsageError."""
    try:
        with _as_usage(path), path.open("rb") as file:
            content = file.read(SAMPLE)
            if len(content) == SAMPLE:
                content += file.read(MAX_TEXT)
    except UsageError as error:
        if isinstance(error.__cause__, PermissionError):
            return "may not be read"
        raise
    return content if len(content) <= MAX_TEXT else f"is larger than {MAX_TEXT >> 20} MiB"


def read_many(root: Path, items: Iterable[T], path_of: Callable[[T], str]) -> Iterator[tuple[T, bytes | str]]:
    """Yield each item with what `read_content` returns of its file below `root`; see `read_each`."""
    return read_each(root, lambda item: (item, read_content(root / path_of(item))), items)


def decoded(content: bytes | str, where: str, settings: CorpusSettings) -> str | Malformed:
    """Return the text of what `read_content` returned, or why it cannot be had."""
    if isinstance(content, str):
        return Malformed(where, content)
    try:
        return encodings.decode(content, settings)
    except ValueError as error:
        return Malformed(where, str(error))
