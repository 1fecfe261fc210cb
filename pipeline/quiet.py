"""Loading weights without the libraries' own bars and retries: what fails is said in one sentence."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet() -> Iterator[None]:
    """Hide transformers' progress bar and the hub's notices of retries for the length of the block."""
    from transformers.utils import logging as transformers_logging

    hub, shown = logging.getLogger("huggingface_hub"), transformers_logging.is_progress_bar_enabled()
    before = hub.level
    hub.setLevel(logging.ERROR)
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        hub.setLevel(before)
        if shown:
            transformers_logging.enable_progress_bar()  # type: ignore[no-untyped-call]
