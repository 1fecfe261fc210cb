"""The second tab: a clip to codes and back, to hear what the codec keeps."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import torch

from pipeline.errors import UsageError
from pipeline.llasa.speaking import Speaker
from pipeline.ui import words
from pipeline.ui.callbacks import listed, players, show_user_errors, sound
from pipeline.ui.generating import connect
from pipeline.ui.studio import Studio
from pipeline.ui.uploads import read_upload

MOST_SECONDS = 40.0


class CodecTab:
    """Builds the tab and answers its event."""

    def __init__(self, studio: Studio, i18n: Any) -> None:
        self.studio = studio
        clip = gr.Audio(label=i18n("clip"), type="filepath", elem_id="clip")
        self.button = gr.Button(
            i18n("round_trip"), variant="primary", interactive=False, elem_id="round_trip"
        )
        status = gr.Textbox(label=i18n("status"), interactive=False, elem_id="codec_status")
        before, after = players(i18n, "original", "decoded")
        codes = gr.Textbox(
            label=i18n("codes"), interactive=False, lines=3, max_lines=6, elem_id="codec_codes"
        )
        connect(self.button, "round_trip", self.round_trip, clip, status, before, after, codes)

    @show_user_errors
    def round_trip(self, clip: str | None, request: gr.Request) -> tuple[Any, ...]:
        """Return status, the clip as the codec hears it, decoded, and its codes."""
        if clip is None:
            raise UsageError(words.translate(request, "no_clip"))
        if self.studio.loading:
            raise UsageError(words.translate(request, "not_ready"))
        rate = self.studio.submit(lambda speaker: speaker.codec.sample_rate).result()
        waveform = read_upload(Path(clip), rate, MOST_SECONDS)

        def there_and_back(speaker: Speaker) -> tuple[np.ndarray, np.ndarray, int, float]:
            started = time.perf_counter()
            codes = speaker.codec.encode(waveform[None], torch.tensor([len(waveform)]))[0]
            return codes, speaker.decode(codes), speaker.sample_rate, time.perf_counter() - started

        codes, decoded, own_rate, total = self.studio.submit(there_and_back).result()
        seconds = len(waveform) / rate
        status = words.translate(request, "round_trip", total=total, codes=len(codes), seconds=seconds)
        return status, sound(waveform.numpy(), rate), sound(decoded, own_rate), listed(codes)
