"""The sampling's sliders, and what their values mean."""

from __future__ import annotations

from typing import Any

import gradio as gr

from pipeline.errors import UsageError
from pipeline.llasa.sampling import Sampling
from pipeline.ui import words

MOST_CODES = 2000  # of a sentence: 40 s
SEED_DIGITS = 10


def sampling_inputs(i18n: Any) -> list[gr.Slider | gr.Textbox]:
    """Build the inputs whose values `read_sampling` takes, in that order."""
    usual = Sampling()
    return [
        gr.Slider(0, 2, usual.temperature, step=0.05, label=i18n("temperature"), elem_id="temperature"),
        gr.Slider(0.05, 1, usual.top_p, step=0.05, label=i18n("top_p")),
        gr.Slider(0, 500, usual.top_k, step=1, label=i18n("top_k")),
        gr.Slider(1, 2, usual.repetition_penalty, step=0.05, label=i18n("penalty")),
        gr.Slider(25, MOST_CODES, usual.max_codes, step=25, label=i18n("max_codes"), elem_id="max_codes"),
        gr.Textbox("", label=i18n("seed"), elem_id="seed"),
    ]


def read_sampling(
    request: gr.Request,
    temperature: float,
    top_p: float,
    top_k: float,
    penalty: float,
    max_codes: float,
    seed: str,
) -> Sampling:
    """Return the values as a Sampling of at most MOST_CODES. Raises UsageError if they make none."""
    seed = seed.strip()
    if seed and not (seed.isdecimal() and len(seed) <= SEED_DIGITS):
        raise UsageError(words.translate(request, "bad_seed", seed=seed[:40]))
    try:
        codes = min(int(max_codes), MOST_CODES)
        return Sampling(temperature, top_p, int(top_k), penalty, codes, int(seed) if seed else None)
    except (TypeError, ValueError, OverflowError) as error:  # a slider sends none of these, a program may
        raise UsageError(words.translate(request, "bad_sampling")) from error
