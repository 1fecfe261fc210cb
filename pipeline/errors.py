"""Errors a user can cause. Each carries one sentence: what, where, what to do.

Entry points turn them into that sentence and an exit status; anything else is a bug and keeps its traceback.
"""


class PipelineError(Exception):
    """Base of every error that a user can mend; `exit_status` is what the process ends with."""

    exit_status = 1


class UsageError(PipelineError):
    """Bad arguments, a bad configuration, or an output folder made with other settings."""

    exit_status = 2


class TooManyRejected(PipelineError):
    """More clips were rejected than `max_reject_rate` allows; the dataset is complete all the same."""

    exit_status = 3


class MissingPackage(UsageError):
    """An optional package is needed and is not installed."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(
            f"{purpose} needs the package {package}: pip install -c constraints.txt '.[{extra}]'"
        )
