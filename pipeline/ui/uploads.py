"""Reads what visitors upload in a process apart: a file that crashes its decoder must not end the page."""

from __future__ import annotations

from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import UsageError
from pipeline.llasa.voices import DECODING_SECONDS, read_clip
from pipeline.loader.processes import fork_server

if TYPE_CHECKING:
    from torch import Tensor

GRACE = 30.0  # seconds beyond the decoder's own limit, in which the process starts


def read_upload(path: Path, rate: int, max_seconds: float) -> Tensor:
    """See `read_clip`; whatever the file does to its decoder is a UsageError too."""
    import torch

    context = fork_server()
    answers, answer = context.Pipe(duplex=False)
    child = context.Process(target=_read, args=(path, rate, max_seconds, answer), daemon=True)
    child.start()
    answer.close()
    try:
        if not answers.poll(DECODING_SECONDS + GRACE):
            raise UsageError(f"the recording {path.name} cannot be used: decoding it takes too long")
        found = answers.recv()
    except EOFError as error:
        raise UsageError(f"the recording {path.name} cannot be used: it crashes its decoder") from error
    finally:
        child.kill()
        child.join()
        answers.close()
    if isinstance(found, str):
        raise UsageError(found)
    return torch.from_numpy(found)


def _read(path: Path, rate: int, max_seconds: float, answer: Connection) -> None:
    """Send the samples, or the sentence that says why there are none."""
    try:
        answer.send(read_clip(path, rate, max_seconds).numpy())
    except UsageError as error:
        answer.send(str(error))
