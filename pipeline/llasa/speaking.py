"""Texts to speech: joins prompt, generator and codec. The command `speak` and the web page call it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipeline.errors import UsageError
from pipeline.llasa import sentences
from pipeline.llasa.generation import Generator, Request, Watch
from pipeline.llasa.joining import StreamDecoder, decode_joined
from pipeline.llasa.normalise import normalise
from pipeline.llasa.sampling import Sampling
from pipeline.llasa.voices import Voice, read_clip
from pipeline.llasa_format.prompt import PromptFormat

if TYPE_CHECKING:
    from torch import Tensor

    from pipeline.codec.protocol import Codec
    from pipeline.llasa.loading import ModelSettings

LONGEST_REFERENCE = 20.0  # seconds; longer ones leave no room in the 2,048 tokens that LLASA was trained on

Progress = Callable[[int, int], bool]  # sentences done, codes so far; False stops


@dataclass
class Timings:
    """Seconds that each part took."""

    tokenising: float = 0.0
    generating: float = 0.0
    extracting: float = 0.0
    decoding: float = 0.0

    @property
    def total(self) -> float:
        """All of them."""
        return self.tokenising + self.generating + self.extracting + self.decoding

    @contextmanager
    def adding_to(self, part: str) -> Iterator[None]:
        """Add the time inside the block to `part`, one of the fields."""
        started = time.perf_counter()
        yield
        setattr(self, part, getattr(self, part) + time.perf_counter() - started)


@dataclass
class Speech:
    """What a text became: `waveform`, float32 (samples,) at `sample_rate` Hz; `codes`, uint16 (n,).

    `ended` is false if a sentence ran into the length limit or was stopped.
    """

    text: str
    codes: np.ndarray
    waveform: np.ndarray
    sample_rate: int
    ended: bool
    seed: int
    timings: Timings = field(default_factory=Timings)  # of the whole batch that it was made in

    @property
    def seconds(self) -> float:
        """How long it sounds."""
        return len(self.waveform) / self.sample_rate


@dataclass
class _Script:
    """One text on its way: its sentences, and what has been said of them."""

    text: str
    sentences: list[str]
    sampling: Sampling
    said: list[Voice] = field(default_factory=list)
    ended: bool = True

    @property
    def codes(self) -> np.ndarray:
        return np.concatenate([np.empty(0, np.uint16), *(one.codes for one in self.said)])


class Speaker:
    """Speaks texts with one model and one codec."""

    def __init__(self, generator: Generator, prompts: PromptFormat, codec: Codec) -> None:
        self.generator, self.prompts, self.codec = generator, prompts, codec
        self.sample_rate: int = codec.output_sample_rate

    def speak(
        self,
        texts: Sequence[str],
        *,
        sampling: Sampling | None = None,
        voice: Voice | None = None,
        mode: str = "auto",
        progress: Progress | None = None,
    ) -> list[Speech]:
        """Speak every text, all at once, sentence by sentence.

        Each sentence continues the given voice and the sentence before it. `mode`: see `normalise`.
        Raises UsageError for a text without anything to say.
        """
        timings = Timings()
        scripts = [self._script(text, sampling or Sampling(), mode) for text in texts]
        rounds = max((len(script.sentences) for script in scripts), default=0)
        done = 0
        for turn in range(rounds):
            chosen = [script for script in scripts if turn < len(script.sentences)]
            watch = None if progress is None else _counted(progress, done, _codes_in(scripts))
            self._turn(chosen, turn, voice, timings, watch)
            done += len(chosen)
            if progress is not None and not progress(done, _codes_in(scripts)):
                for script in scripts:
                    script.ended = script.ended and len(script.sentences) <= turn + 1
                break
        return [self._heard(script, voice, timings) for script in scripts]

    def stream(
        self,
        text: str,
        *,
        sampling: Sampling | None = None,
        voice: Voice | None = None,
        mode: str = "auto",
        progress: Progress | None = None,
    ) -> Iterator[Speech]:
        """Speak one text in pieces, each heard while the next is generated; joined, they are the speech.

        Whether it ended by itself is known in the last piece.
        """
        script = self._script(text, sampling or Sampling(), mode)
        stream = StreamDecoder(self.codec, None if voice is None else voice.codes)
        timings = Timings()

        def piece(codes: np.ndarray, *, final: bool = False) -> Speech:
            with timings.adding_to("decoding"):
                waveform = stream.push(codes, final=final)
            return self._speech(script, codes, waveform, timings)

        for turn, sentence in enumerate(script.sentences):
            with timings.adding_to("tokenising"):
                request = self._request(script, turn, voice)
            watch = None if progress is None else _stopping(script, progress)
            script.said.append(Voice(sentence, np.empty(0, np.uint16)))
            coming = self.generator.stream(request, watch)
            while True:
                with timings.adding_to("generating"):
                    codes = next(coming, None)
                if codes is None:
                    break
                with timings.adding_to("extracting"):
                    script.said[-1] = script.said[-1].then(Voice("", codes))
                yield piece(codes)
            room = self.generator.max_tokens - len(request.prompt)
            script.ended &= len(script.said[-1].codes) < min(request.sampling.max_codes, room)
            if progress is not None and not progress(turn + 1, len(script.codes)):
                script.ended &= turn + 1 == len(script.sentences)
                break
        yield piece(np.empty(0, np.uint16), final=True)

    def warm_up(self) -> None:
        """Compile before the first request, for one text at a time and the usual sampling."""
        self.generator.warm_up(Request(self.prompts.tokens("a"), Sampling()))

    def voice_of_clip(self, path: Path, text: str, mode: str = "auto") -> Voice:
        """Turn a recording and its transcript into a voice. Raises UsageError if it cannot be used."""
        return self.voice_of(read_clip(path, self.codec.sample_rate, LONGEST_REFERENCE), text, mode)

    def voice_of(self, waveform: Tensor, text: str, mode: str = "auto") -> Voice:
        """Turn a clip, float32 (samples,) at the codec's rate, and its transcript into a voice."""
        import torch

        if not text.strip():
            raise UsageError("a reference clip needs its transcript: what is said in it")
        codes = self.codec.encode(waveform[None], torch.tensor([len(waveform)]))[0]
        return Voice(normalise(text, mode), codes)

    def decode(self, codes: np.ndarray, voice: Voice | None = None) -> np.ndarray:
        """Decode codes to their waveform, as the continuation of a voice."""
        return decode_joined(self.codec, codes, None if voice is None else voice.codes)

    def _script(self, text: str, sampling: Sampling, mode: str) -> _Script:
        found = [normalised for one in sentences.split(text) if (normalised := normalise(one, mode).strip())]
        if not found:
            raise UsageError(
                "there is nothing to say: the text is empty" + (" once normalised" if text else "")
            )
        return _Script(text, found, sampling.seeded())

    def _turn(
        self,
        scripts: list[_Script],
        turn: int,
        voice: Voice | None,
        timings: Timings,
        watch: Watch | None,
    ) -> None:
        """Speak sentence number `turn` of each script."""
        with timings.adding_to("tokenising"):
            requests = [self._request(script, turn, voice) for script in scripts]
        with timings.adding_to("generating"):
            spoken = self.generator.generate(requests, watch)
        with timings.adding_to("extracting"):
            for script, one in zip(scripts, spoken, strict=True):
                script.said.append(Voice(script.sentences[turn], one.codes))
                script.ended = script.ended and one.ended

    def _request(self, script: _Script, turn: int, voice: Voice | None) -> Request:
        """Write the prompt of a sentence, after as much of the voice and last sentence as fits."""
        sentence = script.sentences[turn]
        before = script.said[-1] if script.said and len(script.said[-1].codes) else None
        contexts = [voice.then(before), voice] if voice and before else [voice or before, voice]
        wanted = min(script.sampling.max_codes, self.generator.max_tokens // 2)
        for context in contexts:
            prompt = context.prompt(self.prompts, sentence) if context else self.prompts.tokens(sentence)
            if len(prompt) + wanted <= self.generator.max_tokens:
                break
        seed = ((script.sampling.seed or 0) + turn) % 2**32  # each sentence its own, all from the one given
        return Request(prompt, replace(script.sampling, seed=seed))

    def _heard(self, script: _Script, voice: Voice | None, timings: Timings) -> Speech:
        with timings.adding_to("decoding"):
            waveform = self.decode(script.codes, voice)
        return self._speech(script, script.codes, waveform, timings)

    def _speech(self, script: _Script, codes: np.ndarray, waveform: np.ndarray, timings: Timings) -> Speech:
        seed = script.sampling.seed or 0
        return Speech(script.text, codes, waveform, self.sample_rate, script.ended, seed, timings)


def _codes_in(scripts: Sequence[_Script]) -> int:
    return sum(len(script.codes) for script in scripts)


def _stopping(script: _Script, progress: Progress) -> Watch:
    """Watch the next sentence of a script, which has not ended by itself if it is stopped."""
    counted = _counted(progress, len(script.said), len(script.codes))

    def watch(codes: int) -> bool:
        goes_on = counted(codes)
        script.ended &= goes_on
        return goes_on

    return watch


def _counted(progress: Progress, done: int, before: int) -> Watch:
    return lambda codes: progress(done, before + codes)


def open_speaker(
    settings: ModelSettings, codec: Codec, *, server: str | None = None, server_model: str | None = None
) -> Speaker:
    """Open a speaker with a model here, or with the one at `server`, whose tokenizer is still read here."""
    from pipeline.llasa import loading
    from pipeline.llasa.generation import LocalGenerator
    from pipeline.llasa.server import ServerGenerator
    from pipeline.llasa_format.prompt import read_prompt_format
    from pipeline.llasa_format.tokenizer import load_tokenizer

    if server is not None:
        tokenizer = load_tokenizer(settings.name, settings.revision)
        remote = ServerGenerator(
            server,
            tokenizer,
            codebook_size=codec.codebook_size,
            model=server_model,
            max_tokens=settings.max_tokens,
        )
        return Speaker(remote, read_prompt_format(tokenizer, codec.codebook_size, settings.name), codec)
    loaded = loading.load(settings, codec.codebook_size)
    generator = LocalGenerator(
        loaded, batch=settings.batch, max_tokens=settings.max_tokens, compile=settings.compile
    )
    return Speaker(generator, loaded.prompts, codec)
