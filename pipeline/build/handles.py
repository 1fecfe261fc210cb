"""Whether a run may open as many files as its loading processes need: without, they fail one by one."""

from __future__ import annotations

import contextlib
import resource

from pipeline.errors import UsageError

OF_THE_RUN = 24  # files that a run without loading processes has open, with some to spare
OF_A_WORKER = 8  # pipes, and the batches that are on their way through shared memory
PLENTY = 65_536


def allow_files(workers: int) -> None:
    """Raise this process's limit of open files as far as the system lets it.

    Raises UsageError if that is too few for `workers` loading processes.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = PLENTY if hard == resource.RLIM_INFINITY else min(hard, PLENTY)
    if soft != resource.RLIM_INFINITY and soft < most:
        with contextlib.suppress(ValueError, OSError):  # macOS allows fewer than it says
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
            soft = most
    needed = OF_THE_RUN + OF_A_WORKER * workers
    if workers and soft != resource.RLIM_INFINITY and soft < needed:
        raise UsageError(
            f"this process may have {soft} files open, and {workers} loading processes need {needed}: "
            "allow more (ulimit -n), or take fewer (--num-workers; 0 needs none)"
        )
