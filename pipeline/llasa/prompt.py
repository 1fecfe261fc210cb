"""From a text, and perhaps a reference, to the tokens that a LLASA model continues with speech.

Knows the tokenizer and the prompt's wording; nothing of the model. The wording is that of the published
models: https://huggingface.co/HKUSTAudio/Llasa-1B
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.llasa_format.layout import SPEECH_START, TEXT_END, TEXT_START, Layout
from pipeline.llasa_format.prompt import DATE, INSTRUCTION, neutralise

WIDE = re.compile(
    "[\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef…♪♡○\U00020000-\U0003134f]"
)  # scripts without spaces


@dataclass(frozen=True)
class Voice:
    """Speech to go on from: what was said, and its codes, uint16 of shape (n,)."""

    text: str
    codes: np.ndarray

    def then(self, other: Voice) -> Voice:
        """This and then the other, as one."""
        return Voice(joined(self.text, other.text), np.concatenate([self.codes, other.codes]))


class Prompter:
    """Writes prompts with one tokenizer."""

    def __init__(self, tokenizer: Any, layout: Layout) -> None:
        self.tokenizer, self.layout = tokenizer, layout
        self._controls = {
            *tokenizer.get_added_vocab().values(),
            *(layout.text_start, layout.text_end, layout.speech_start, layout.speech_end),
            *layout.code_ids.tolist(),
        }

    def tokens(self, text: str, voice: Voice | None = None) -> list[int]:
        """Token ids up to where the speech of `text` begins; with a voice, as the continuation of its
        speech.
        """
        spoken = text if voice is None else joined(voice.text, text)
        ids = self._wrapped(self.harmless(spoken))
        return ids if voice is None else ids + self.layout.tokens_of(voice.codes)

    def harmless(self, text: str) -> str:
        """The text with every control token in it broken up, so that it is read as the characters it is.

        Past those of the LLASA layout a tokenizer may have its own, so the result is looked at, too.
        """
        text = neutralise(text)
        while True:
            ids = self.tokenizer.encode(text, add_special_tokens=False)
            found = {token for token in ids if token in self._controls}
            if not found:
                return text
            for spelling in self.tokenizer.convert_ids_to_tokens(sorted(found)):
                text = text.replace(spelling, f"{spelling[0]} {spelling[1:]}")

    def _wrapped(self, text: str) -> list[int]:
        request = f"{INSTRUCTION}{TEXT_START}{text}{TEXT_END}"
        if self.tokenizer.chat_template is None:  # trained on bare rows, as LLaSA_training's memmaps are
            bare = f"{TEXT_START}{text}{TEXT_END}{SPEECH_START}"
            ids: list[int] = self.tokenizer.encode(bare, add_special_tokens=False)
            return ids
        messages = [{"role": "user", "content": request}, {"role": "assistant", "content": SPEECH_START}]
        return list(
            self.tokenizer.apply_chat_template(
                messages, continue_final_message=True, date_string=DATE, return_dict=False
            )
        )


def joined(first: str, second: str) -> str:
    """Two texts as one, with a space between them where their script has spaces."""
    if not first or not second:
        return first or second
    spaceless = WIDE.match(first[-1]) or WIDE.match(second[0])
    return first + ("" if spaceless else " ") + second


def codes_of_tokens(ids: Sequence[int], layout: Layout) -> np.ndarray:
    """The speech codes among token ids up to the first END, uint16 of shape (n,). Other tokens are left
    out.
    """
    array = np.asarray(ids, dtype=np.int64)
    ended = np.flatnonzero(array == layout.speech_end)
    array = array[: ended[0]] if len(ended) else array
    table = np.full(max(int(layout.code_ids.max()), int(array.max(initial=0))) + 1, -1, dtype=np.int64)
    table[layout.code_ids] = np.arange(layout.codebook_size)
    codes = table[array]
    return codes[codes >= 0].astype(np.uint16)
