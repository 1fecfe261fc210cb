"""The first tab: text to speech, with a reference clip, and many lines at once."""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import wait
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np

from pipeline.errors import UsageError
from pipeline.llasa.normalise import normalise
from pipeline.llasa.sampling import Sampling
from pipeline.llasa.speaking import LONGEST_REFERENCE, Speech
from pipeline.llasa.voices import Voice
from pipeline.ui import words
from pipeline.ui.callbacks import MODEL, listed, show_user_errors, sound
from pipeline.ui.pictures import spectrogram
from pipeline.ui.studio import Studio
from pipeline.ui.uploads import read_upload

MOST_CHARACTERS = 4000  # of a text
MOST_LINES = 64
MOST_CODES = 2000  # of a sentence: 40 s
SEED_DIGITS = 10
BETWEEN_LOOKS = 0.3  # seconds between two looks at how far it is


class SpeakTab:
    """Builds the tab and answers its events; `row_voice` is where the dataset tab puts a voice."""

    def __init__(self, studio: Studio, i18n: Any, mode: str, examples: Sequence[str]) -> None:
        self.studio, self.mode, self.examples = studio, mode, examples
        with gr.Row(elem_classes="columns"):
            with gr.Column(min_width=320):
                self._build_inputs(i18n)
            with gr.Column(min_width=320):
                self._build_outputs(i18n)
        self._build_batch(i18n)
        self._connect()

    def _build_inputs(self, i18n: Any) -> None:
        self.text = gr.Textbox(
            label=i18n("text"),
            placeholder=i18n("text_hint"),
            lines=4,
            max_length=MOST_CHARACTERS,
            elem_id="text",
        )
        self.normalised = gr.Textbox(label=i18n("normalised"), interactive=False, elem_id="normalised")
        with gr.Row():
            self.generate = gr.Button(i18n("generate"), variant="primary", elem_id="generate")
            self.stop = gr.Button(i18n("stop"), variant="stop", elem_id="stop")
        gr.Examples([[one] for one in self.examples], [self.text], label=i18n("samples"))
        with gr.Accordion(i18n("voice"), open=False, elem_id="voice"):
            self.reference = gr.Audio(label=i18n("reference"), type="filepath", elem_id="reference")
            self.transcript = gr.Textbox(label=i18n("transcript"), elem_id="transcript")
            self.row_voice = gr.State(None)
            self.row_label = gr.Textbox(
                label=i18n("row_voice"), interactive=False, visible=False, elem_id="row_voice"
            )
        with gr.Accordion(i18n("sampling"), open=False, elem_id="sampling"):
            usual = Sampling()
            self.sampling = [
                gr.Slider(
                    0, 2, usual.temperature, step=0.05, label=i18n("temperature"), elem_id="temperature"
                ),
                gr.Slider(0.05, 1, usual.top_p, step=0.05, label=i18n("top_p")),
                gr.Slider(0, 500, usual.top_k, step=1, label=i18n("top_k")),
                gr.Slider(1, 2, usual.repetition_penalty, step=0.05, label=i18n("penalty")),
                gr.Slider(
                    25, MOST_CODES, usual.max_codes, step=25, label=i18n("max_codes"), elem_id="max_codes"
                ),
                gr.Textbox("", label=i18n("seed"), elem_id="seed"),
            ]

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

    def _build_batch(self, i18n: Any) -> None:
        with gr.Accordion(i18n("batch"), open=False, elem_id="batch"):
            self.lines = gr.Textbox(label=i18n("lines"), lines=4, elem_id="lines")
            self.generate_lines = gr.Button(i18n("generate_lines"), elem_id="generate_lines")
            self.results = gr.Dataframe(
                label=i18n("results"), interactive=False, wrap=True, elem_id="results"
            )
            self.download = gr.File(label=i18n("download"), interactive=False)

    def _connect(self) -> None:
        voice = [self.reference, self.transcript, self.row_voice]
        self.text.change(
            lambda text: normalise(text[:MOST_CHARACTERS], self.mode),
            self.text,
            self.normalised,
            queue=False,
            show_progress="hidden",
        )
        one: dict[str, Any] = {"concurrency_id": MODEL, "concurrency_limit": 1}
        outputs = [self.status, self.audio, self.picture, self.codes]
        self.generate.click(self.speak, [self.text, *voice, *self.sampling], outputs, **one)
        self.generate_lines.click(
            self.speak_lines,
            [self.lines, *voice, *self.sampling],
            [self.status, self.results, self.download],
            **one,
        )
        self.stop.click(self._stop, queue=False)

    @show_user_errors
    def speak(self, request: gr.Request, text: str, *rest: Any) -> Iterator[tuple[Any, ...]]:
        """Yield status, audio, spectrogram and codes of a text.

        `rest` holds the voice's inputs, then the sampling's.
        """
        spoken, stopped = yield from self._spoken([text], rest, request, others=3)
        one = spoken[0]
        yield (
            report(request, spoken, stopped),
            sound(one.waveform, one.sample_rate),
            spectrogram(one.waveform) if len(one.waveform) else None,
            listed(one.codes),
        )

    @show_user_errors
    def speak_lines(self, request: gr.Request, lines: str, *rest: Any) -> Iterator[tuple[Any, ...]]:
        """Yield status, table of results and a zip of the sound of each line."""
        _check_length(request, lines, MOST_LINES * MOST_CHARACTERS)
        texts = [line.strip() for line in lines.splitlines() if line.strip()]
        if len(texts) > MOST_LINES:
            raise UsageError(words.translate(request, "too_many", count=len(texts), most=MOST_LINES))
        spoken, stopped = yield from self._spoken(texts or [""], rest, request, others=2)
        rows = [[one.text, round(one.seconds, 2), len(one.codes)] for one in spoken]
        table = {"headers": words.columns(request, "lines"), "data": rows}
        yield report(request, spoken, stopped), table, _zipped(spoken)

    def _spoken(
        self, texts: list[str], rest: tuple[Any, ...], request: gr.Request, others: int
    ) -> Generator[tuple[Any, ...], None, tuple[list[Speech], bool]]:
        """Yield a status until the speeches are done, then those and whether they were stopped.

        Whoever leaves the page stops what it was doing.
        """
        if self.studio.loading:
            raise UsageError(words.translate(request, "not_ready"))
        session = str(request.session_hash)
        stopped = self.studio.begin(session)
        reference, transcript, row_voice, *sampling = rest
        for text in (*texts, transcript or ""):
            _check_length(request, text, MOST_CHARACTERS)
        now = (0, 0)

        def progress(done: int, codes: int) -> bool:
            nonlocal now
            now = done, codes
            return not stopped()

        settings = _sampling(request, *sampling)
        voice = row_voice if reference is None else self._voice(Path(reference), transcript)
        work = self.studio.submit(
            lambda speaker: speaker.speak(
                texts, sampling=settings, voice=voice, mode=self.mode, progress=progress
            )
        )
        try:
            while not wait([work], BETWEEN_LOOKS).done:
                status = words.translate(request, "working", done=now[0], codes=now[1])
                yield (status, *[gr.skip()] * others)
        except GeneratorExit:
            self.studio.stop(session)
            raise
        return work.result(), stopped()

    def _voice(self, reference: Path, transcript: str) -> Voice:
        rate = self.studio.submit(lambda speaker: speaker.codec.sample_rate).result()
        waveform = read_upload(reference, rate, LONGEST_REFERENCE)
        return self.studio.submit(lambda speaker: speaker.voice_of(waveform, transcript, self.mode)).result()

    def _stop(self, request: gr.Request) -> None:
        self.studio.stop(str(request.session_hash))


def report(request: gr.Request, spoken: list[Speech], stopped: bool) -> str:
    """Return the status line of finished speech: how long it took, and where the time went."""
    timings = spoken[0].timings
    codes = sum(len(one.codes) for one in spoken)
    first = words.translate(request, "stopped" if stopped else "done", total=timings.total)
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
        seed=spoken[0].seed,
    )
    cut = not stopped and not all(one.ended for one in spoken)
    return f"{first}\n{figures}{words.translate(request, 'cut') if cut else ''}"


def _sampling(
    request: gr.Request,
    temperature: float,
    top_p: float,
    top_k: float,
    penalty: float,
    max_codes: float,
    seed: str,
) -> Sampling:
    seed = seed.strip()
    if seed and not (seed.isdecimal() and len(seed) <= SEED_DIGITS):
        raise UsageError(words.translate(request, "bad_seed", seed=seed[:40]))
    try:
        codes = min(int(max_codes), MOST_CODES)
        return Sampling(temperature, top_p, int(top_k), penalty, codes, int(seed) if seed else None)
    except (TypeError, ValueError, OverflowError) as error:  # a slider sends none of these, a program may
        raise UsageError(words.translate(request, "bad_sampling")) from error


def _check_length(request: gr.Request, text: str, most: int) -> None:
    """Raise UsageError for a text that is too long; the browser's own limit binds nobody else."""
    if len(text) > most:
        raise UsageError(words.translate(request, "too_long", count=len(text), most=most))


def _zipped(spoken: list[Speech]) -> str:
    import soundfile

    folder = Path(tempfile.mkdtemp(prefix="llasa-"))
    archive = folder / "speech.zip"
    with zipfile.ZipFile(archive, "w") as zipped:
        for number, one in enumerate(spoken, 1):
            path = folder / f"{number:04d}.wav"
            soundfile.write(path, np.clip(one.waveform, -1, 1), one.sample_rate)
            zipped.write(path, path.name)
            path.unlink()
    return str(archive)
