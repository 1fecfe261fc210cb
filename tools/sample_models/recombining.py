"""New sentences out of the prompts' words: unmixed, so few prompts are learned by heart and not read.

Whisper's attention says where each word of a known text is in its clip. Runs of words of several prompts, or
whole prompts one after the other, are joined: their texts with spaces, their codes end to end. A model that
is trained on these, made anew for each pass, has to find the words in the text.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
import whisper
from whisper import timing

from pipeline.dataset.reader import Dataset
from pipeline.llasa_format.prompt import PromptFormat
from sample_models.llasa_data import IGNORED, Sample
from sample_models.prompts import SAMPLE_RATE, Prompt

CODE_RATE = 50  # codes a second
MARGIN = 3  # codes (60 ms) kept before the first word of a run and after its last
NEAR = 3  # codes on each side of a border in which the quietest place is taken as the border
WHOLE, FOLLOWED = 0.3, 0.3  # shares of samples: one prompt as it is, and prompts one after another
MOST_RUNS, MOST_WORDS = 4, 6  # of a mixed sentence, and of a run in it


@dataclass(frozen=True, slots=True)
class Timed:
    """A prompt's words and codes, uint16 (n,); word w sounds from code `borders[w]` to `borders[w + 1]`."""

    text: str
    words: list[str]
    codes: np.ndarray
    borders: np.ndarray

    def run(self, first: int, last: int) -> tuple[str, np.ndarray]:
        """Words [first, last) and their codes."""
        return " ".join(self.words[first:last]), self.codes[self.borders[first] : self.borders[last]]


def align(prompts: Sequence[Prompt], dataset: Path, checkpoint: Path) -> list[Timed]:
    """Find the words of each prompt that is in the dataset and has at least one word for Whisper."""
    rows = pa.concat_tables(Dataset(dataset).tables(["id", "code"])).to_pylist()
    codes = {row["id"]: np.asarray(row["code"], np.uint16) for row in rows}
    model = whisper.load_model(str(checkpoint), device="cpu")
    tokenizer = whisper.tokenizer.get_tokenizer(model.is_multilingual, language="en", task="transcribe")
    timed = []
    for prompt in prompts:
        if prompt.name not in codes or not prompt.text:
            continue
        clip = torch.from_numpy(prompt.waveform)
        mel = whisper.log_mel_spectrogram(whisper.pad_or_trim(clip, 30 * SAMPLE_RATE), model.dims.n_mels)
        tokens = tokenizer.encode(" " + prompt.text)
        found = timing.find_alignment(model, tokenizer, tokens, mel, len(clip) // 160)
        words = prompt.text.split()
        spans = _spans(words, [(each.word, each.start, each.end) for each in found])
        timed.append(
            Timed(prompt.text, words, codes[prompt.name], _borders(spans, prompt, len(codes[prompt.name])))
        )
    return timed


def _spans(words: list[str], found: list[tuple[str, float, float]]) -> list[tuple[float, float]]:
    """Start and end of each word, in seconds, from those of the pieces that Whisper makes of it."""
    owners = np.repeat(np.arange(len(words)), [len(word) for word in words])
    place, spans = 0, [[0.0, 0.0] for _ in words]
    for piece, start, end in found:
        letters = len(piece.replace(" ", ""))
        if letters:
            first, last = owners[place], owners[min(place + letters, len(owners)) - 1]
            if place == 0 or owners[place - 1] != first:
                spans[first][0] = start
            spans[last][1] = end
        place += letters
    return [(start, end) for start, end in spans]


def _borders(spans: list[tuple[float, float]], prompt: Prompt, codes: int) -> np.ndarray:
    """Where each word begins, in codes, and where the last ends: at the quietest place near Whisper's."""
    hop = SAMPLE_RATE // CODE_RATE
    padded = np.pad(prompt.waveform, (0, max(0, codes * hop - len(prompt.waveform))))[: codes * hop]
    loudness = np.convolve((padded.reshape(codes, hop) ** 2).mean(1), [0.25, 0.5, 0.25], "same")
    borders = [max(0, round(spans[0][0] * CODE_RATE) - MARGIN)]
    for (_, end), (start, _) in pairwise(spans):
        guess = round((end + start) / 2 * CODE_RATE)
        first = max(borders[-1] + 1, guess - NEAR)
        near = loudness[first : guess + NEAR + 1]
        borders.append(min(codes, first + int(near.argmin())) if len(near) else min(codes, borders[-1] + 1))
    borders.append(min(codes, max(borders[-1] + 1, round(spans[-1][1] * CODE_RATE) + 2 * MARGIN)))
    return np.array(borders)


class Mixer:
    """Makes the samples of a pass: prompts as they are, several after each other, and mixed sentences."""

    def __init__(self, timed: Sequence[Timed], prompts: PromptFormat, longest: int) -> None:
        self.timed = [each for each in timed if len(each.codes) <= longest]
        self.prompts, self.longest = prompts, longest

    def passing(self, count: int, draw: np.random.Generator) -> list[Sample]:
        """As many samples, of at most `longest` codes."""
        return [self._sample(*self._drawn(draw)) for _ in range(count)]

    def _drawn(self, draw: np.random.Generator) -> tuple[str, np.ndarray]:
        kind = draw.random()
        parts = [self._prompt(draw)]
        if kind >= WHOLE + FOLLOWED:
            parts = [self._run(draw) for _ in range(draw.integers(1, MOST_RUNS + 1))]
        elif kind >= WHOLE:
            parts += [self._prompt(draw) for _ in range(draw.integers(1, 3))]
        while len(parts) > 1 and sum(len(codes) for _, codes in parts) > self.longest:
            parts.pop()
        text = " ".join(text for text, _ in parts)
        if kind >= WHOLE + FOLLOWED:
            text = _as_sentence(text, draw)
        return text, np.concatenate([codes for _, codes in parts])

    def _prompt(self, draw: np.random.Generator) -> tuple[str, np.ndarray]:
        chosen = self.timed[draw.integers(len(self.timed))]
        return chosen.text, chosen.codes

    def _run(self, draw: np.random.Generator) -> tuple[str, np.ndarray]:
        chosen = self.timed[draw.integers(len(self.timed))]
        length = min(len(chosen.words), int(draw.integers(1, MOST_WORDS + 1)))
        first = int(draw.integers(len(chosen.words) - length + 1))
        return chosen.run(first, first + length)

    def _sample(self, text: str, codes: np.ndarray) -> Sample:
        prompt, layout = self.prompts.tokens(text), self.prompts.layout
        speech = [*layout.tokens_of(codes), layout.speech_end]
        ids = np.array([*prompt, *speech])
        return Sample(ids, np.concatenate([np.full(len(prompt), IGNORED), speech]))


def _as_sentence(text: str, draw: np.random.Generator) -> str:
    """A mixed text as people write: mostly a capital and a full stop, now and then without."""
    text = text.rstrip(".,;:!?")
    if draw.random() < 0.7:
        text = text[:1].upper() + text[1:]
    return text + "." if draw.random() < 0.7 else text
