"""Errors a user can cause. Each carries one sentence: what, where, what to do.

Entry points turn them into that sentence and an exit status, as they do with what the system refuses (a full
disk, too few file handles); anything else is a bug and keeps its traceback.
"""

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

MACHINES = frozenset(  # what no other argument mends: the disk's fault, the memory's, the system's limits
    (errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ESTALE)
)
REMEDIES = {
    errno.ENOSPC: "free some space",
    errno.EDQUOT: "free some space or ask for a larger quota",
    errno.EMFILE: "allow more open files (ulimit -n), or take fewer processes (--num-workers)",
    errno.ENFILE: "close other programs: the machine has no file handles left",
    errno.EIO: "check the disk",
    errno.EACCES: "get the right to it, or take another folder",
    errno.EPERM: "get the right to it, or take another folder",
    errno.EROFS: "take a folder that can be written to",
}


class PipelineError(Exception):
    """Base of every error that a user can mend; `exit_status` is what the process ends with."""

    exit_status = 1


class UsageError(PipelineError):
    """Bad arguments, a bad configuration, or an output folder made with other settings."""

    exit_status = 2


class TooManyRejected(PipelineError):
    """More clips were rejected than `max_reject_rate` allows; the dataset is complete all the same."""

    exit_status = 3


CONSTRAINTS = Path(__file__).parents[1] / "constraints.txt"  # in the repository; a wheel goes without
PIP = "pip install -c constraints.txt" if CONSTRAINTS.exists() else "pip install"


class MissingPackage(UsageError):
    """An optional package is needed and is not installed."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        project = "." if CONSTRAINTS.exists() else "llasa-dataset"
        super().__init__(f"{purpose} needs the package {package}: {PIP} '{project}[{extra}]'")


@contextlib.contextmanager
def naming(path: object) -> Iterator[None]:
    """Give an OSError of the block that names no file, as a failed write does not, the name of `path`."""
    try:
        yield
    except OSError as error:
        if error.errno is not None and error.filename is None:
            error.filename = str(path)
        raise


def of_the_machine(error: BaseException | None) -> OSError | None:
    """Return the error if it says that the machine failed, and not that a file is wrong or missing."""
    return error if isinstance(error, OSError) and error.errno in MACHINES else None


def refusal(error: OSError) -> str:
    """Return the sentence for what the system refused: which file, why, what to do."""
    assert error.errno is not None
    where = f"{error.filename}: " if error.filename is not None else ""
    remedy = REMEDIES.get(error.errno, "mend that")
    return f"{where}{os.strerror(error.errno)}; {remedy}, then run the same command again, which goes on"
