"""The first tab: text to speech, heard while it is made; voices, earlier takes and many lines at once."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from queue import Empty, SimpleQueue
from typing import Any

import gradio as gr
import numpy as np

from pipeline.audio.spectrogram import PALETTE, picture
from pipeline.llasa.normalise import normalise
from pipeline.llasa.speaking import Speaker, Speech
from pipeline.ui import words
from pipeline.ui.callbacks import listed, show_user_errors, sound
from pipeline.ui.generating import BETWEEN_LOOKS, MOST_CHARACTERS, check_length, connect, report, started
from pipeline.ui.lines import Lines
from pipeline.ui.live import LiveSound
from pipeline.ui.sampling import read_sampling, sampling_inputs
from pipeline.ui.studio import Studio
from pipeline.ui.takes import Take, Takes, add_take
from pipeline.ui.voice import VoiceInputs

GATHERED = 0.05  # seconds in which pieces are sent as one: a browser may skip a value that another follows
PICTURE_WIDTH = 1200  # columns, at most

Updates = tuple[Any, ...]


class SpeakTab:
    """Builds the tab and answers its events; `voice.row_voice` is where the dataset tab puts a voice."""

    def __init__(self, studio: Studio, i18n: Any, mode: str, examples: Sequence[str]) -> None:
        self.studio, self.mode = studio, mode
        with gr.Row(elem_classes="columns"):
            with gr.Column(min_width=320):
                self._build_inputs(i18n, examples)
            with gr.Column(min_width=320):
                self._build_outputs(i18n)
        self.lines = Lines(studio, i18n, mode, self.voice, self.sampling, self.status)
        self._connect()

    def _build_inputs(self, i18n: Any, examples: Sequence[str]) -> None:
        self.text = gr.Textbox(
            label=i18n("text"),
            placeholder=i18n("text_hint"),
            lines=4,
            max_length=MOST_CHARACTERS,
            elem_id="text",
        )
        self.normalised = gr.Textbox(label=i18n("normalised"), interactive=False, elem_id="normalised")
        with gr.Row():
            self.generate = gr.Button(
                i18n("generate"), variant="primary", interactive=False, elem_id="generate"
            )
            self.stop = gr.Button(i18n("stop"), variant="stop", elem_id="stop")
        gr.Checkbox(True, label=i18n("aloud"), interactive=True, elem_id="aloud", container=False)
        gr.Examples([[one] for one in examples], [self.text], label=i18n("samples"))
        self.voice = VoiceInputs(self.studio, i18n, self.mode)
        with gr.Accordion(i18n("sampling"), open=False, elem_id="sampling"):
            self.sampling = sampling_inputs(i18n)

    def _build_outputs(self, i18n: Any) -> None:
        self.status = gr.Textbox(label=i18n("status"), interactive=False, lines=3, elem_id="status")
        self.audio = gr.Audio(label=i18n("speech"), interactive=False, elem_id="speech", buttons=["download"])
        gr.Markdown(i18n("spectrogram"), elem_id="spectrogram_label")  # a label of the image lies over it
        self.picture = gr.Image(
            show_label=False, interactive=False, height=220, elem_id="spectrogram", buttons=[]
        )
        self.codes = gr.Textbox(
            label=i18n("codes"), interactive=False, lines=3, max_lines=6, elem_id="codes", buttons=["copy"]
        )
        self.live = LiveSound()
        self.takes = Takes(i18n)

    def _connect(self) -> None:
        self.text.change(
            lambda text: normalise(text[:MOST_CHARACTERS], self.mode),
            self.text,
            self.normalised,
            queue=False,
            show_progress="hidden",
        )
        outputs = [self.live.field, self.audio, self.picture, self.codes, self.takes.state]
        inputs = [self.text, self.takes.state, *self.voice.inputs, *self.sampling]
        connect(self.generate, "generate", self.speak, inputs, self.status, *outputs)
        self.stop.click(self._stop, queue=False, js="() => window.live.stop()")

    @show_user_errors
    def speak(
        self,
        request: gr.Request,
        text: str,
        takes: list[Take],
        reference: Any,
        transcript: str,
        row: Any,
        *sampling: Any,
    ) -> Iterator[Updates]:
        """Yield status and sound while a text is spoken, then the take: player, spectrogram and codes."""
        with started(self.studio, request) as stopped:
            for each in (text, transcript or ""):
                check_length(request, each)
            settings = read_sampling(request, *sampling)
            voice = self.voice.read(reference, transcript, row)
            began, done, first_sound = time.perf_counter(), 0, None
            coming: SimpleQueue[Speech | None] = SimpleQueue()
            made: list[Speech] = []

            def progress(sentences: int, _: int) -> bool:
                nonlocal done
                done = sentences
                return not stopped()

            def send(speaker: Speaker) -> None:
                for piece in speaker.stream(
                    text, sampling=settings, voice=voice, mode=self.mode, progress=progress
                ):
                    coming.put(piece)

            work = self.studio.submit(send)
            work.add_done_callback(lambda _: coming.put(None))
            take = f"{request.session_hash} {began}"
            goes_on = True
            while goes_on:
                came = _gathered(coming)
                goes_on = None not in came
                made += (new := [one for one in came if one is not None])
                heard = _joined(new)
                if first_sound is None and len(heard):
                    first_sound = time.perf_counter() - began
                codes = sum(len(one.codes) for one in made)
                yield (
                    words.translate(request, "working", done=done, codes=codes),
                    self.live.piece(take, heard, made[-1].sample_rate) if len(heard) else gr.skip(),
                    *[gr.skip()] * 4,
                )
            work.result()
            whole = replace(
                made[-1], codes=np.concatenate([one.codes for one in made]), waveform=_joined(made)
            )
            yield self._finished(request, whole, takes, stopped(), first_sound)

    def _stop(self, request: gr.Request) -> None:
        self.studio.stop(str(request.session_hash))

    def _finished(
        self, request: gr.Request, speech: Speech, takes: list[Take], stopped: bool, first_sound: float | None
    ) -> Updates:
        rate, samples = sound(speech.waveform, speech.sample_rate)
        return (
            report(request, [speech], stopped, first_sound),
            gr.skip(),
            (rate, samples),
            PALETTE[picture(speech.waveform, rate, PICTURE_WIDTH)] if len(samples) else None,
            listed(speech.codes),
            add_take(request, takes, speech.text, speech.seed, rate, samples),
        )


def _gathered(coming: SimpleQueue[Speech | None]) -> list[Speech | None]:
    """Return what came, after waiting for something for BETWEEN_LOOKS; nothing, if nothing did."""
    try:
        came = [coming.get(timeout=BETWEEN_LOOKS)]
    except Empty:
        return []
    time.sleep(GATHERED)
    while not coming.empty():
        came.append(coming.get())
    return came


def _joined(speeches: Sequence[Speech]) -> np.ndarray:
    return np.concatenate([np.empty(0, np.float32), *(one.waveform for one in speeches)])
