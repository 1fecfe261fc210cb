"""A tiny LLASA of the real classes, built in memory, and a decoder of codes whose sound is known."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import torch

from pipeline.llasa import attention, tiny
from pipeline.llasa.compiling import as_it_is
from pipeline.llasa.decoder import Decoder, Session
from pipeline.llasa.sampling import Sampling
from pipeline.llasa_format.layout import Layout, read_layout
from pipeline.llasa_format.prompt import PromptFormat, read_prompt_format

torch.set_num_threads(1)  # models this small only lose by waiting for a second thread
CODEBOOK = 64
GREEDY = Sampling(temperature=0, max_codes=40)


@cache
def tokenizer() -> Any:
    return tiny.build_tokenizer(CODEBOOK)


@cache
def layout() -> Layout:
    return read_layout(tokenizer(), CODEBOOK, "tiny")


@cache
def prompts() -> PromptFormat:
    return read_prompt_format(tokenizer(), CODEBOOK, "tiny")


def model(seed: int = 0, **shape: Any) -> Any:
    made = tiny.build_model(tokenizer(), hidden=32, heads=4, kv_heads=2, seed=seed, **shape)
    attention.use(made, attention.SDPA)
    return made


def decoder(slots: int = 4, length: int = 512, seed: int = 0, **others: Any) -> Decoder:
    return Decoder(model(seed), layout(), slots=slots, length=length, **{"compiler": as_it_is, **others})


def run(session: Session) -> list[np.ndarray]:
    while not session.advance(1):
        pass
    return session.codes()


def speak(made: Decoder, texts: Sequence[str], *settings: Sampling) -> list[np.ndarray]:
    asked = [prompts().tokens(text) for text in texts]
    given = settings if len(settings) == len(texts) else [settings[0]] * len(texts)
    return run(made.start(asked, given))


def end_bias(made: Decoder, amount: float) -> None:
    """Make the end more (or never) likely than a random model has it."""
    made.bias = torch.zeros(CODEBOOK + 1)
    made.bias[made.end] = amount


class Ramp:
    """A codec whose sound of a code is that code's value, moved a little by the neighbours on both sides."""

    name = fingerprint = "ramp"
    codebook_size = CODEBOOK
    hop = 320
    sample_rate = 16_000
    output_sample_rate = 16_000

    def decode(self, codes: Sequence[np.ndarray]) -> list[np.ndarray]:
        return [self._sound(one) for one in codes]

    def _sound(self, codes: np.ndarray) -> np.ndarray:
        padded = np.pad(codes.astype(np.float32), 3)
        mixed = np.convolve(padded, np.full(7, 1 / 7, np.float32), mode="valid")
        return np.repeat(mixed, self.hop).astype(np.float32) / CODEBOOK
