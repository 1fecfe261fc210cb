"""What every tab's callbacks share: errors as messages, queues, how codes are shown."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import gradio as gr
import numpy as np

from pipeline.errors import PipelineError

MODEL = "model"  # the queue of all that uses the model: one at a time, the others wait and see their place
SHOWN_CODES = 2000


def show_user_errors(callback: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a callback so that the user's errors appear as messages on the page."""

    @functools.wraps(callback)
    def once(*args: Any, **kwargs: Any) -> Any:
        try:
            return callback(*args, **kwargs)
        except PipelineError as error:
            raise gr.Error(str(error), print_exception=False) from error

    @functools.wraps(callback)
    def in_steps(*args: Any, **kwargs: Any) -> Any:
        try:
            yield from callback(*args, **kwargs)
        except PipelineError as error:
            raise gr.Error(str(error), print_exception=False) from error

    return in_steps if inspect.isgeneratorfunction(callback) else once


def players(i18n: Any, *keys: str) -> list[gr.Audio]:
    """Build players side by side, each named by its key."""
    with gr.Row(elem_classes="columns"):
        return [
            gr.Audio(label=i18n(key), interactive=False, buttons=["download"], elem_id=key, min_width=280)
            for key in keys
        ]


def listed(codes: np.ndarray) -> str:
    """Format codes for reading: `‹12 345 …›`, the first SHOWN_CODES of them."""
    more = f" … (+{len(codes) - SHOWN_CODES:,})" if len(codes) > SHOWN_CODES else ""
    return " ".join(map(str, codes[:SHOWN_CODES].tolist())) + more


def sound(waveform: np.ndarray, sample_rate: int) -> tuple[int, np.ndarray]:
    """Convert a float waveform to the 16-bit samples that a player takes."""
    return sample_rate, (np.clip(waveform, -1, 1) * 32767).astype(np.int16)
