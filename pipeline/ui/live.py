"""Sends speech to the browser while it is made; `page.js` plays it.

gradio's own streaming player needs the program ffmpeg, and is late by whole segments.
"""

from __future__ import annotations

import base64
import json

import gradio as gr
import numpy as np

from pipeline.ui.callbacks import sound


class LiveSound:
    """A hidden field whose every value is a piece of sound that the browser plays after the one before."""

    def __init__(self) -> None:
        self.field = gr.Textbox(visible="hidden", elem_id="live")
        self.field.change(None, self.field, js="piece => window.live.play(piece)", queue=False)

    @staticmethod
    def piece(take: str, waveform: np.ndarray, sample_rate: int) -> str:
        """Return the field's value for the next float32 (samples,) of `take`; another take stops this one."""
        samples = base64.b64encode(sound(waveform, sample_rate)[1].astype("<i2").tobytes()).decode()
        return json.dumps({"take": take, "rate": sample_rate, "samples": samples})
