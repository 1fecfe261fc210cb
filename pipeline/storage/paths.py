"""Where files are: paths of this machine, or objects of a store that fsspec reaches (`s3://`, `gs://`, `hf://`).

A remote path is what `universal_pathlib` makes look like a `Path`. Credentials and endpoints come from the
environment, as each store's own tools read them (`AWS_ENDPOINT_URL`, `GOOGLE_APPLICATION_CREDENTIALS`,
`HF_TOKEN`).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, cast

from pipeline.errors import MissingPackage, PipelineError, UsageError, naming
from pipeline.runtime import ahead
from pipeline.storage.scratch import scratch_folder

EXTRAS = {
    "s3": "s3",
    "s3a": "s3",
    "gs": "gs",
    "gcs": "gs",
}  # protocol: extra of pyproject.toml that serves it
# Nothing that reads from any server, or through another scheme: a setting may come from a stranger's dataset.
STORES = frozenset((*EXTRAS, "hf", "abfs", "abfss", "az", "adl", "oci", "memory"))

READERS = 16  # files of a store that are read at a time

# Of an object's information, by store; the first that is there tells one content from another.
VERSION_KEYS = (
    *("ETag", "etag", "md5Hash", "blob_id", "oid"),
    *("LastModified", "last_modified", "mtime", "updated"),
)

T = TypeVar("T")
Made = TypeVar("Made")


def is_url(text: str) -> bool:
    """Return whether a setting names an object of a store."""
    return "://" in text


def is_remote(place: Path) -> bool:
    """Return whether a path is in a store."""
    return not isinstance(place, Path)


def resolve_path(text: str | Path) -> Path:
    """Return the path that a setting names, here or in a store.

    A store's listings are not kept, since other processes write to it. Raises MissingPackage or
    UsageError if the store cannot be reached from here.
    """
    if not isinstance(text, str):
        return text
    if not is_url(text):
        return Path(text).expanduser()
    protocol = text.partition("://")[0]
    if protocol not in STORES:
        known = ", ".join(f"{name}://" for name in ("s3", "gs", "hf"))
        raise UsageError(f"{text}: {protocol}:// is no object store: give a folder here, or one of {known}")
    extra = EXTRAS.get(protocol, "s3")
    try:
        from upath import UPath

        found = UPath(text.rstrip("/"), use_listings_cache=False)
        _ = found.fs
    except ImportError as error:
        raise MissingPackage(error.name or "universal_pathlib", extra, text) from error
    except ValueError as error:
        raise UsageError(f"{text}: {error}") from error
    return cast(Path, found)


@contextlib.contextmanager
def store_errors(place: Path) -> Iterator[None]:
    """Turn whatever a store says at the first contact into a UsageError.

    Each store has errors of its own: no credentials, no such bucket, no connection.
    """
    try:
        yield
    except PipelineError:
        raise
    except Exception as error:
        if not is_remote(place):
            raise
        said = " ".join(str(error).split()) or type(error).__name__
        raise UsageError(f"{place} cannot be reached ({said}): check address and credentials") from error


@contextlib.contextmanager
def _talking(place: Path) -> Iterator[None]:
    """Turn what a store says under way, each in words of its own, into a PipelineError."""
    try:
        yield
    except (PipelineError, FileNotFoundError):
        raise
    except Exception as error:
        if not is_remote(place):
            raise
        said = " ".join(str(error).split()) or type(error).__name__
        raise PipelineError(
            f"{place}: the object store fails ({said}): run the same command later, which goes on"
        ) from error


def store(place: Path) -> tuple[Any, str]:
    """Return the fsspec filesystem of a remote path, and the path in it."""
    remote: Any = place
    return remote.fs, remote.path.rstrip("/")  # a bucket's own path ends with one


@contextlib.contextmanager
def local(place: Path) -> Iterator[Path]:
    """Yield a local path with the content of `place`: itself, or a copy that is gone after the block.

    Raises FileNotFoundError if there is none.
    """
    if not is_remote(place):
        yield place
        return
    fs, path = store(place)
    with scratch_folder("download") as folder:
        copy = folder / place.name
        with _talking(place):
            fs.get_file(path, str(copy))
        yield copy


def upload(file: Path, target: Path) -> None:
    """Put a local file in a store; an object appears whole, in place of an earlier one, or not at all."""
    fs, path = store(target)
    with _talking(target):
        fs.put_file(str(file), path)


def contents(folder: Path, pattern: str) -> dict[str, bytes]:
    """Read the files of a folder that fit a glob pattern, by name; those of a store many at a time.

    One that vanishes meanwhile is skipped.
    """
    if is_remote(folder):
        fs, path = store(folder)
        with _talking(folder):
            names = [name.rpartition("/")[2] for name in fs.glob(f"{path}/{pattern}")]
        return fetch(folder, names)
    found = {}
    for each in folder.glob(pattern):
        with contextlib.suppress(FileNotFoundError), naming(each):
            found[each.name] = each.read_bytes()
    return found


def fetch(folder: Path, names: Iterable[str]) -> dict[str, bytes]:
    """Read objects right below a folder of a store, many at a time; one that vanished is skipped."""
    fs, path = store(folder)
    paths = [f"{path}/{name}" for name in names]
    with _talking(folder):
        read = fs.cat(paths, on_error="omit") if paths else {}
    return {name.rpartition("/")[2]: content for name, content in read.items()}


def read_each(place: Path, read: Callable[[T], Made], items: Iterable[T]) -> Iterator[Made]:
    """Yield what `read` makes of each item, in order.

    Of a store many are read at a time, since each takes as long as the store takes to answer.
    """
    if not is_remote(place):
        yield from map(read, items)
        return
    with ThreadPoolExecutor(READERS, thread_name_prefix="read") as pool:
        yield from ahead(pool, read, items, 2 * READERS)


def versions(folder: Path) -> dict[str, str | None]:
    """Return what tells one content from another of each object right below a folder of a store, by name.

    It is None where the store says nothing of the kind.
    """
    try:
        with _talking(folder):
            return {
                name: None if (mark := version_of(said)) is None else repr(mark)
                for name, said in objects(folder, below=False)
            }
    except FileNotFoundError:
        return {}


def version_of(info: Mapping[str, Any]) -> Any:
    """Return what a store says of an object that changes with its content; None if it says nothing."""
    return next((info[key] for key in VERSION_KEYS if info.get(key)), None)


def sizes(folder: Path) -> dict[str, int]:
    """Return the bytes of each file right below a folder, by name, with one listing; {} if there is none."""
    try:
        if is_remote(folder):
            with _talking(folder):
                return {name: int(said["size"]) for name, said in objects(folder, below=False)}
        with os.scandir(folder) as entries:
            return {entry.name: entry.stat().st_size for entry in entries}
    except FileNotFoundError:
        return {}


def objects(folder: Path, *, below: bool = True) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield what a store says of each object below a folder, or right in it only, by its relative path.

    Those of S3 and of Google's store are never all in memory: fsspec's listings are whole, so their pages are
    asked for one by one. Raises OSError.
    """
    fs, path = store(folder)
    prefix = path + "/"
    found: Iterable[tuple[str, Mapping[str, Any]]]
    if ask := PAGES.get(cast(Any, folder).protocol):
        bucket, _, prefix = prefix.partition("/")
        found = _by_pages(partial(ask, fs, bucket, prefix, "" if below else "/"))
    elif below:
        found = ((each["name"], each) for each in fs.find(path, detail=True).values())
    else:
        found = ((each["name"], each) for each in fs.ls(path, detail=True) if each["type"] == "file")
    for name, said in found:
        if name.startswith(prefix):
            yield name.removeprefix(prefix), said


Page = tuple[list[tuple[str, Mapping[str, Any]]], str | None]  # names and what is said of them; the next page


def _by_pages(ask: Callable[[str | None], Page]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    found, page = ask(None)
    yield from found
    while page is not None:
        found, page = ask(page)
        yield from found


def _page_of_s3(fs: Any, bucket: str, prefix: str, delimiter: str, page: str | None) -> Page:
    more = {} if page is None else {"ContinuationToken": page}
    listed = fs.call_s3("list_objects_v2", Bucket=bucket, Prefix=prefix, Delimiter=delimiter, **more)
    found = ((each["Key"], {"size": each["Size"], **each}) for each in listed.get("Contents", ()))
    return list(found), listed.get("NextContinuationToken")


def _page_of_google(fs: Any, bucket: str, prefix: str, delimiter: str, page: str | None) -> Page:
    wanted = {"prefix": prefix, "delimiter": delimiter or None, "pageToken": page}
    listed = fs.call("GET", "b/{}/o", bucket, json_out=True, **wanted)
    return [(each["name"], each) for each in listed.get("items", ())], listed.get("nextPageToken")


PAGES = {"s3": _page_of_s3, "s3a": _page_of_s3, "gs": _page_of_google, "gcs": _page_of_google}  # by protocol
