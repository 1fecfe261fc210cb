"""Many lines at once: a text a line, spoken in batches, as a table and a zip of sound files."""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from concurrent.futures import wait
from pathlib import Path
from typing import Any

import gradio as gr

from pipeline.audio.encode import encoded
from pipeline.errors import UsageError
from pipeline.llasa.speaking import Speech
from pipeline.ui import words
from pipeline.ui.callbacks import show_user_errors
from pipeline.ui.generating import BETWEEN_LOOKS, MOST_CHARACTERS, check_length, connect, report, started
from pipeline.ui.sampling import read_sampling
from pipeline.ui.studio import Studio
from pipeline.ui.voice import VoiceInputs

MOST_LINES = 64


class Lines:
    """Builds the accordion and answers its button; voice and sampling are those of the single text."""

    def __init__(
        self,
        studio: Studio,
        i18n: Any,
        mode: str,
        voice: VoiceInputs,
        sampling: list[Any],
        status: gr.Textbox,
    ) -> None:
        self.studio, self.mode, self.voice = studio, mode, voice
        with gr.Accordion(i18n("batch"), open=False, elem_id="batch"):
            lines = gr.Textbox(label=i18n("lines"), lines=4, elem_id="lines")
            self.generate = gr.Button(i18n("generate_lines"), interactive=False, elem_id="generate_lines")
            results = gr.Dataframe(label=i18n("results"), interactive=False, wrap=True, elem_id="results")
            download = gr.File(label=i18n("download"), interactive=False)
        inputs = [lines, *voice.inputs, *sampling]
        connect(self.generate, "generate_lines", self.speak_lines, inputs, status, results, download)

    @show_user_errors
    def speak_lines(
        self, request: gr.Request, lines: str, reference: Any, transcript: str, row: Any, *sampling: Any
    ) -> Iterator[tuple[Any, ...]]:
        """Yield status, table of results and a zip of the sound of each line."""
        with started(self.studio, request) as stopped:
            check_length(request, lines, MOST_LINES * MOST_CHARACTERS)
            texts = [line.strip() for line in lines.splitlines() if line.strip()] or [""]
            if len(texts) > MOST_LINES:
                raise UsageError(words.translate(request, "too_many", count=len(texts), most=MOST_LINES))
            for text in (*texts, transcript or ""):
                check_length(request, text)
            settings = read_sampling(request, *sampling)
            voice = self.voice.read(reference, transcript, row)
            now = (0, 0)

            def progress(done: int, codes: int) -> bool:
                nonlocal now
                now = done, codes
                return not stopped()

            work = self.studio.submit(
                lambda speaker: speaker.speak(
                    texts, sampling=settings, voice=voice, mode=self.mode, progress=progress
                )
            )
            while not wait([work], BETWEEN_LOOKS).done:
                yield words.translate(request, "working", done=now[0], codes=now[1]), gr.skip(), gr.skip()
            spoken = work.result()
            rows = [[one.text, round(one.seconds, 2), len(one.codes)] for one in spoken]
            table = {"headers": words.columns(request, "lines"), "data": rows}
            yield report(request, spoken, stopped()), table, _zipped(spoken)


def _zipped(spoken: Sequence[Speech]) -> str:
    archive = Path(tempfile.mkdtemp(prefix="llasa-")) / "speech.zip"
    with zipfile.ZipFile(archive, "w") as zipped:
        for number, one in enumerate(spoken, 1):
            zipped.writestr(f"{number:04d}.wav", encoded(one.waveform.clip(-1, 1), one.sample_rate, "WAV"))
    return str(archive)
