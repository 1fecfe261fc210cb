"""A dataset repository on the Hugging Face Hub; the only module that imports huggingface_hub.

Contents are sent first and become visible with a commit. Failures that pass (a lost connection, 429, 5xx) are
waited out; a commit whose answer was lost is looked for before it is tried again.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx2
from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, get_token
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, RepositoryNotFoundError
from huggingface_hub.hf_api import RepoFile
from huggingface_hub.utils.tqdm import disable_progress_bars

from pipeline.errors import PipelineError, UsageError

FILES_PER_COMMIT = 200  # the Hub slows down on larger ones; most datasets need a single commit
PASSING = frozenset({408, 412, 429, 500, 502, 503, 504})  # status codes worth another try
WAITS = (2.0, 5.0, 15.0, 45.0, 120.0)  # seconds before each further try
LONGEST_WAIT = 600.0  # seconds, where the Hub itself says how long

T = TypeVar("T")


@dataclass(frozen=True)
class Head:
    """A branch as it is now."""

    commit: str
    files: dict[str, str]  # path: SHA-256 of a large file, git's blob hash of a small one


class Repository:
    """One branch of a dataset repository, `name` being USER/NAME. Raises UsageError without a token."""

    def __init__(self, name: str, revision: str | None = None) -> None:
        if get_token() is None:
            raise UsageError("not logged in to the Hugging Face Hub: run `hf auth login`, or set HF_TOKEN")
        disable_progress_bars()
        self._api = HfApi()
        self._name = name
        self._branch: dict[str, Any] = {"repo_type": "dataset", "revision": revision or "main"}
        self.url = f"{self._api.endpoint}/datasets/{name}" + (f"/tree/{revision}" if revision else "")

    def create(self, private: bool) -> None:
        """Make the repository and the branch if they are missing."""

        def make() -> None:
            self._api.create_repo(self._name, repo_type="dataset", private=private, exist_ok=True)
            if (branch := self._branch["revision"]) != "main":
                self._api.create_branch(self._name, branch=branch, repo_type="dataset", exist_ok=True)

        self._try(make)

    def head(self) -> Head:
        """Return the last commit and its files."""

        def read() -> Head:
            commit = self._api.repo_info(self._name, **self._branch).sha
            entries = self._api.list_repo_tree(self._name, recursive=True, **self._branch)
            files = [entry for entry in entries if isinstance(entry, RepoFile)]
            return Head(commit or "", {f.path: f.lfs.sha256 if f.lfs else f.blob_id for f in files})

        return self._try(read)

    def upload(self, path: str, local: Path) -> CommitOperationAdd:
        """Send a file's content, unless the Hub has it. `local` may go then; a commit shows the file."""
        addition = CommitOperationAdd(path, local)
        self._try(lambda: self._api.preupload_lfs_files(self._name, [addition], **self._branch))
        if addition.path_or_fileobj == str(local):  # so small that the Hub takes it with the commit
            addition.path_or_fileobj = local.read_bytes()
        return addition

    def text(self, path: str, content: str) -> CommitOperationAdd:
        """Return a small file, to be committed."""
        return CommitOperationAdd(path, content.encode())

    def commit(self, additions: Sequence[CommitOperationAdd], gone: Sequence[str], message: str) -> None:
        """Show the files in order, at most `FILES_PER_COMMIT` at once; delete those in `gone` at the end."""
        for lot, last in _lots(additions):
            self._try(lambda lot=lot, last=last: self._commit(lot, gone if last else (), message))  # type: ignore[misc]

    def _commit(self, additions: Sequence[CommitOperationAdd], gone: Sequence[str], message: str) -> None:
        """Make one commit on the head, unless an earlier try got through and only its answer was lost."""
        head = self.head()
        deletions = [CommitOperationDelete(path) for path in gone if path in head.files]
        shown = all(head.files.get(addition.path_in_repo) in _hashes(addition) for addition in additions)
        if shown and not deletions:
            return
        self._api.create_commit(
            self._name,
            [*additions, *deletions],
            commit_message=message,
            parent_commit=head.commit,
            **self._branch,
        )

    def _try(self, call: Callable[[], T]) -> T:
        """Return `call()`, tried again after passing failures; others become one sentence."""
        for seconds in (*WAITS, None):
            try:
                return call()
            except HFValidationError as error:
                raise UsageError(f"{self._name} cannot be a dataset's name: give USER/NAME") from error
            except ValueError as error:  # what the Hub says of a card or a file that it does not take
                raise PipelineError(
                    f"the Hub refused {self._name}: {' '.join(str(error).split())}"
                ) from error
            except (OSError, RuntimeError, httpx2.HTTPError) as error:
                failure = _behind(error)
                if not _passes(failure):
                    raise self._refusal(failure) from error
                if seconds is None:
                    raise PipelineError(
                        f"the Hub is out of reach for {self._name} ({_said(failure)}): run the same command "
                        "again later; what has been sent is not sent twice"
                    ) from error
                time.sleep(_stated_wait(failure) or seconds)
        raise AssertionError("unreachable: the last try returns or raises")

    def _refusal(self, failure: BaseException) -> BaseException:
        if not isinstance(failure, HfHubHTTPError):
            return failure
        if failure.response.status_code in (401, 403) or isinstance(failure, RepositoryNotFoundError):
            return UsageError(
                f"the Hub does not let this token write to {self._name}: check the name, and that the token "
                "has the right to write"
            )
        return PipelineError(f"the Hub refused {self._name} ({_said(failure)})")


def _lots(additions: Sequence[CommitOperationAdd]) -> Iterator[tuple[Sequence[CommitOperationAdd], bool]]:
    for start in range(0, len(additions), FILES_PER_COMMIT):
        yield additions[start : start + FILES_PER_COMMIT], start + FILES_PER_COMMIT >= len(additions)


def _hashes(addition: CommitOperationAdd) -> tuple[str, str]:
    """Return what a tree may say of the file: the hash of large file storage, or git's."""
    content = addition.path_or_fileobj
    blob = content if isinstance(content, bytes) else b""
    git = hashlib.sha1(b"blob %d\0" % len(blob) + blob).hexdigest()
    return addition.upload_info.sha256.hex(), git


def _behind(error: BaseException) -> BaseException:
    """Return the HTTP error that an error was raised from, or else the first cause of all."""
    while not isinstance(error, httpx2.HTTPError) and error.__cause__ is not None:
        error = error.__cause__
    return error


def _passes(failure: BaseException) -> bool:
    if isinstance(failure, HfHubHTTPError):
        return failure.response.status_code in PASSING
    # A RuntimeError without a cause is what an upload that failed is to hf_xet.
    return isinstance(failure, httpx2.TransportError | ConnectionError | TimeoutError | RuntimeError)


def _said(failure: BaseException) -> str:
    """Describe a failure in a few words. Its own message is not for logs: it can hold signed addresses."""
    if isinstance(failure, HfHubHTTPError):
        said = f": {failure.server_message}" if failure.server_message else ""
        return f"HTTP {failure.response.status_code}{said}"
    return type(failure).__name__


def _stated_wait(failure: BaseException) -> float | None:
    stated = failure.response.headers.get("Retry-After", "") if isinstance(failure, HfHubHTTPError) else ""
    return min(float(stated), LONGEST_WAIT) if stated.isdigit() else None


def download(name: str, folder: Path, revision: str | None = None) -> None:
    """Fetch the rows, settings and statistics of a published dataset, `name` being USER/NAME, into `folder`.

    What is there already is not fetched again. Raises UsageError if there is none, or the token may not
    read it; PipelineError if the Hub is out of reach.
    """
    try:
        HfApi().snapshot_download(
            name,
            repo_type="dataset",
            revision=revision,
            local_dir=folder,
            allow_patterns=["config.yaml", "stats.json", "data/*.parquet"],
        )
    except (HFValidationError, RepositoryNotFoundError) as error:
        raise UsageError(
            f"{name} is neither a folder here nor a dataset that the Hub lets this token read: give OUT or "
            "USER/NAME"
        ) from error
    except (OSError, httpx2.HTTPError) as error:
        said = _said(_behind(error))
        raise PipelineError(
            f"{name} cannot be fetched from the Hub ({said}): run the same command again"
        ) from error
