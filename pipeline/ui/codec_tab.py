"""The second tab: a clip to codes and back, to hear what the codec keeps."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import gradio as gr
import torch

from pipeline.errors import UsageError
from pipeline.llasa.voices import read_clip
from pipeline.ui import words
from pipeline.ui.callbacks import MODEL, listed, players, show_user_errors, sound
from pipeline.ui.studio import Studio

MOST_SECONDS = 40.0


class CodecTab:
    """Builds the tab and answers its event."""

    def __init__(self, studio: Studio, i18n: Any) -> None:
        self.studio = studio
        clip = gr.Audio(label=i18n("clip"), type="filepath", elem_id="clip")
        button = gr.Button(i18n("round_trip"), variant="primary", elem_id="round_trip")
        status = gr.Textbox(label=i18n("status"), interactive=False, elem_id="codec_status")
        before, after = players(i18n, "original", "decoded")
        codes = gr.Textbox(
            label=i18n("codes"), interactive=False, lines=3, max_lines=6, elem_id="codec_codes"
        )
        button.click(
            self.round_trip,
            clip,
            [status, before, after, codes],
            concurrency_id=MODEL,
            concurrency_limit=1,
        )

    @show_user_errors
    def round_trip(self, clip: str | None, request: gr.Request) -> tuple[Any, ...]:
        """Return status, the clip as the codec hears it, decoded, and its codes."""
        if clip is None:
            raise UsageError(words.translate(request, "no_clip"))
        if self.studio.loading:
            raise UsageError(words.translate(request, "not_ready"))
        speaker = self.studio.speaker()
        waveform = read_clip(Path(clip), speaker.codec.sample_rate, MOST_SECONDS)
        started = time.perf_counter()
        codes = speaker.codec.encode(waveform[None], torch.tensor([len(waveform)]))[0]
        decoded = speaker.decode(codes)
        status = words.translate(
            request,
            "round_trip",
            total=time.perf_counter() - started,
            codes=len(codes),
            seconds=len(waveform) / speaker.codec.sample_rate,
        )
        before = sound(waveform.numpy(), speaker.codec.sample_rate)
        return status, before, sound(decoded, speaker.sample_rate), listed(codes)
