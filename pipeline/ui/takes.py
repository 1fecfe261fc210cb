"""The takes of a visit: what was spoken last, each to hear beside the others and to download."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr
import numpy as np

from pipeline.ui import words

KEPT = 6  # takes of a visit
SHOWN_TEXT = 60  # characters of a take's text


@dataclass(frozen=True, eq=False)
class Take:
    """One speech: 16-bit samples (n,) at `sample_rate` Hz, and what it is called."""

    label: str
    sample_rate: int
    samples: np.ndarray


class Takes:
    """Shows the takes before the newest, the last one first. `state` holds all, the newest first."""

    def __init__(self, i18n: Any) -> None:
        self.state = gr.State([])

        @gr.render(inputs=self.state, show_progress="hidden", queue=False)  # type: ignore[untyped-decorator]
        def show(takes: list[Take]) -> None:
            if len(takes) > 1:
                gr.Markdown(i18n("takes"), elem_id="takes_label")
            for number, take in enumerate(takes[1:], 1):
                gr.Audio(
                    (take.sample_rate, take.samples),
                    label=take.label,
                    interactive=False,
                    buttons=["download"],
                    elem_id=f"take_{number}",
                    elem_classes="take",
                )


def add_take(
    request: gr.Request, takes: list[Take], text: str, seed: int, sample_rate: int, samples: np.ndarray
) -> list[Take]:
    """Return the takes with a new one before them, and without those beyond KEPT."""
    shown = text if len(text) <= SHOWN_TEXT else text[:SHOWN_TEXT].rstrip() + "…"
    seconds = len(samples) / sample_rate
    label = words.translate(request, "take", seconds=seconds, seed=seed, text=shown)
    return [Take(label, sample_rate, samples), *takes][:KEPT]
