"""What speaking one text and speaking many lines share: limits, stopping, the button, the status line."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import gradio as gr

from pipeline.errors import UsageError
from pipeline.llasa.speaking import Speech
from pipeline.ui import words
from pipeline.ui.callbacks import MODEL
from pipeline.ui.studio import Studio

MOST_CHARACTERS = 4000  # of a text
BETWEEN_LOOKS = 0.3  # seconds between two looks at how far it is


def check_length(request: gr.Request, text: str, most: int = MOST_CHARACTERS) -> None:
    """Raise UsageError for a text that is too long; the browser's own limit binds nobody else."""
    if len(text) > most:
        raise UsageError(words.translate(request, "too_long", count=len(text), most=most))


@contextmanager
def started(studio: Studio, request: gr.Request) -> Iterator[Callable[[], bool]]:
    """Yield what tells whether the visitor stopped; leaving the page stops too."""
    if studio.loading:
        raise UsageError(words.translate(request, "not_ready"))
    session = str(request.session_hash)
    try:
        yield studio.begin(session)
    except GeneratorExit:
        studio.stop(session)
        raise


def connect(
    button: gr.Button, key: str, callback: Callable[..., Any], inputs: Any, status: gr.Textbox, *outputs: Any
) -> None:
    """Call `callback` when the button is pressed, which shows meanwhile that it works.

    `key` is the button's label. What fails is a message; no status is left beside it.
    """

    def busy(request: gr.Request) -> Any:
        return gr.Button(words.label(request, "busy"), interactive=False)

    def free(request: gr.Request) -> Any:
        return gr.Button(words.label(request, key), interactive=True)

    def failed(request: gr.Request) -> tuple[Any, str]:
        return free(request), ""

    quiet: dict[str, Any] = {"queue": False, "show_progress": "hidden"}
    button.click(busy, None, button, **quiet)
    done = button.click(
        callback,
        inputs,
        [status, *outputs],
        concurrency_id=MODEL,
        concurrency_limit=1,
        show_progress="hidden",
    )
    done.success(free, None, button, **quiet)
    done.failure(failed, None, [button, status], **quiet)


def report(
    request: gr.Request, spoken: Sequence[Speech], stopped: bool, first_sound: float | None = None
) -> str:
    """Return the status line of finished speech: how long it took, and where the time went.

    `first_sound`: seconds until something was heard.
    """
    timings = spoken[-1].timings
    codes = sum(len(one.codes) for one in spoken)
    first = words.translate(request, "stopped" if stopped else "done", total=timings.total)
    if first_sound is not None:
        first += words.translate(request, "first_sound", seconds=first_sound)
    figures = words.translate(
        request,
        "figures",
        codes=codes,
        rate=codes / max(timings.generating, 1e-9),
        factor=sum(one.seconds for one in spoken) / max(timings.total, 1e-9),
        tokenising=timings.tokenising,
        generating=timings.generating,
        extracting=timings.extracting,
        decoding=timings.decoding,
        seed=spoken[-1].seed,
    )
    cut = not stopped and not all(one.ended for one in spoken)
    return f"{first}\n{figures}{words.translate(request, 'cut') if cut else ''}"
