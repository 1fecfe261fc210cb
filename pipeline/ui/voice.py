"""The voice to speak with: a clip and its transcript, or a row that was chosen in the dataset tab."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from pipeline.llasa.speaking import LONGEST_REFERENCE
from pipeline.llasa.voices import Voice
from pipeline.ui.studio import Studio
from pipeline.ui.uploads import read_upload


class VoiceInputs:
    """Builds the inputs; `inputs` are those whose values `read` takes."""

    def __init__(self, studio: Studio, i18n: Any, mode: str) -> None:
        self.studio, self.mode = studio, mode
        with gr.Accordion(i18n("voice"), open=False, elem_id="voice"):
            self.reference = gr.Audio(label=i18n("reference"), type="filepath", elem_id="reference")
            self.transcript = gr.Textbox(label=i18n("transcript"), elem_id="transcript")
            self.row_voice = gr.State(None)
            self.row_label = gr.Textbox(
                label=i18n("row_voice"), interactive=False, visible=False, elem_id="row_voice"
            )
        self.inputs = [self.reference, self.transcript, self.row_voice]

    def read(self, reference: str | None, transcript: str, row_voice: Voice | None) -> Voice | None:
        """Return the clip's voice, else the row's. Raises UsageError if the clip cannot be used."""
        if reference is None:
            return row_voice
        rate = self.studio.submit(lambda speaker: speaker.codec.sample_rate).result()
        waveform = read_upload(Path(reference), rate, LONGEST_REFERENCE)
        return self.studio.submit(lambda speaker: speaker.voice_of(waveform, transcript, self.mode)).result()
