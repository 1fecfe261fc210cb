"""A CTC model, such as Wav2Vec2ForCTC, that says how well letters fit a waveform."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torchaudio.functional import forced_align

from pipeline.errors import UsageError
from pipeline.recognise.huggingface import dtype_on, loading
from pipeline.recognise.recogniser import RATE

WRONG = 6.0  # nats that a letter costs, about, where another one is said
FLOOR = -10.0  # least log-probability of a frame: a model may be sure and wrong


@dataclass(frozen=True)
class Emissions:
    """What a model hears in a waveform: log-probabilities, float16 (frames, 1 + letters), the blank first.

    `letters` are those whose columns are kept: 0.4 MB an hour each.
    """

    log_probs: np.ndarray
    letters: str

    def cost(self, letters: str) -> float:
        """Return how many of `letters` are not what is said, by the likeliest way to place them in time.

        Letters that the model does not know fit anything; more letters than there are frames never fit.
        """
        log_probs = torch.from_numpy(self.log_probs).float()[None]
        tokens = [place + 1 for letter in letters if (place := self.letters.find(letter)) >= 0]
        if not tokens:
            return -float(log_probs[..., 0].sum()) / WRONG
        repeats = sum(one == two for one, two in pairwise(tokens))
        if len(tokens) + repeats > log_probs.shape[1]:
            return math.inf
        _, scores = forced_align(log_probs, torch.tensor([tokens], dtype=torch.int32))
        return -float(scores.sum()) / WRONG


class CtcModel:
    """A model by Hugging Face id or folder."""

    def __init__(self, name: str, device: torch.device, half: bool) -> None:
        """Load it. Raises UsageError if that fails or its tokens are not letters."""
        from transformers import AutoFeatureExtractor, AutoModelForCTC, AutoTokenizer

        dtype = dtype_on(device, half)
        with loading(name, "CTC model") as found:
            load = {"trust_remote_code": False}
            extractor: Any = AutoFeatureExtractor
            self._features: Any = extractor.from_pretrained(found, **load)
            tokenizer: Any = AutoTokenizer.from_pretrained(found, **load)
            model: Any = AutoModelForCTC.from_pretrained(found, dtype=dtype, **load)
        self._model: Any = model.to(device).eval()
        self._device, self._dtype = device, dtype
        self._blank = int(tokenizer.pad_token_id)
        vocabulary = tokenizer.get_vocab()
        self._gap: int | None = vocabulary.get(getattr(tokenizer, "word_delimiter_token", None) or " ")
        single = sorted((token, place) for token, place in vocabulary.items() if len(token) == 1)
        self._places = {token.lower(): place for token, place in single if token.isalnum()}
        if not self._places:
            raise UsageError(f"{name} cannot align: its tokens are not letters; give a CTC model of letters")
        if self._features.sampling_rate != RATE:
            raise UsageError(
                f"{name} hears {self._features.sampling_rate:,} Hz: give a model for {RATE:,} Hz"
            )

    def known(self, text: str) -> str:
        """Return the letters of a text that the model knows, each once."""
        return "".join(sorted(set(text) & self._places.keys()))

    @torch.inference_mode()
    def hear(self, waveform: np.ndarray, letters: str) -> Emissions:
        """Hear a waveform, float32 (n,) at 16 kHz, for the likelihood of `letters`, which the model knows."""
        inputs = self._features(waveform, sampling_rate=RATE, return_tensors="pt")
        values = next(iter(inputs.values())).to(self._device, self._dtype)
        found = self._model(values).logits[0].float().log_softmax(dim=-1)
        blank = found[:, self._blank]
        if self._gap is not None:  # words are told apart by their letters here
            blank = torch.logaddexp(blank, found[:, self._gap])
        kept = found[:, [self._places[letter] for letter in letters]]
        both = torch.cat([blank[:, None], kept], dim=1).clamp(min=FLOOR)
        return Emissions(both.half().cpu().numpy(), letters)
