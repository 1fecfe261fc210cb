"""The training prompt: the tokens around a text, after which a LLASA model continues with speech codes.

The user's turn holds the text between its markers, the assistant's turn the codes between theirs. A chat
template spells what stands around them. A tokenizer without a template is taken to be one of a model trained
on bare rows, as LLaSA_training's memmaps are: https://github.com/zhenye234/LLaSA_training
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from pipeline.errors import UsageError
from pipeline.llasa_format import DATE
from pipeline.llasa_format.chat_template import render_ids
from pipeline.llasa_format.layout import SPEECH_START, TEXT_END, TEXT_START, Layout, read_layout
from pipeline.ragged import Ragged, from_lists

INSTRUCTION = "Convert the text to speech:"  # opens the user's turn, before the marked text


def break_markers(text: str) -> str:
    """Return `text` without the markers of the LLASA layout: `<|s_12|>` becomes `< |s_12|>`."""
    return text.replace("<|", "< |")


@dataclass(frozen=True)
class PromptFormat:
    """How one tokenizer spells a prompt: `opening`, the marked text, `middle`, the marked codes."""

    tokenizer: Any
    layout: Layout
    opening: tuple[int, ...]  # ids up to the text's start marker, which is left out
    middle: tuple[int, ...]  # ids from the text's end marker to the speech's start marker, both left out

    @property
    def overhead(self) -> int:
        """How many tokens a sample has besides its codes and its text with both markers."""
        return len(self.opening) + len(self.middle) + 2

    @property
    def eos(self) -> int:
        """The tokenizer's end-of-text id."""
        return int(self.tokenizer.eos_token_id)

    @property
    def padding(self) -> int:
        """The tokenizer's padding id, or its end of text."""
        found = self.tokenizer.pad_token_id
        return self.eos if found is None else int(found)

    @cached_property
    def digest(self) -> str:
        """Sixteen hex digits that change when the same texts would give other tokens."""
        digest = hashlib.sha256(self.tokenizer.backend_tokenizer.to_str().encode())
        digest.update(repr((self.opening, self.middle)).encode())
        return digest.hexdigest()[:16]

    def tokens(self, text: str) -> list[int]:
        """Return the ids of the prompt for `text`, up to and with the marker after which codes follow."""
        text_ids = self.encode([text])[1].values.tolist()
        return [*self.opening, *text_ids, *self.middle, self.layout.speech_start]

    def encode(self, texts: Sequence[str]) -> tuple[list[str], Ragged]:
        """Return the texts, every control token in them broken up, and their int32 ids with both markers."""
        escaped = [break_markers(text) for text in texts]
        ids = self._encode(escaped)
        owner = np.repeat(np.arange(len(ids)), ids.lengths)
        controls = np.bincount(owner[np.isin(ids.values, self._control_ids)], minlength=len(ids))
        if not (controls > 2).any():  # the two markers are each text's own
            return escaped, ids
        escaped = [
            self.escape(text) if count > 2 else text for text, count in zip(escaped, controls, strict=True)
        ]
        return escaped, self._encode(escaped)

    def escape(self, text: str) -> str:
        """Break up every control token in `text`, so that it is read as the characters it is.

        A tokenizer may have control tokens of its own beside those of the LLASA layout.
        """
        text = break_markers(text)
        controls = set(self._control_ids.tolist())
        while found := controls.intersection(self.tokenizer.encode(text, add_special_tokens=False)):
            for spelling in self.tokenizer.convert_ids_to_tokens(sorted(found)):
                text = text.replace(spelling, f"{spelling[0]} {spelling[1:]}")
        return text

    @cached_property
    def _control_ids(self) -> np.ndarray:
        layout = self.layout
        markers = [layout.text_start, layout.text_end, layout.speech_start, layout.speech_end]
        added = list(self.tokenizer.get_added_vocab().values())
        return np.unique(np.concatenate([np.array(markers + added, np.int64), layout.code_ids]))

    def _encode(self, texts: Sequence[str]) -> Ragged:
        marked = [f"{TEXT_START}{text}{TEXT_END}" for text in texts]
        encoded = self.tokenizer.backend_tokenizer.encode_batch_fast(marked, add_special_tokens=False)
        return from_lists([encoding.ids for encoding in encoded])


def read_prompt_format(tokenizer: Any, codebook_size: int, name: str, date: str = DATE) -> PromptFormat:
    """Ask a tokenizer, called `name` in errors, for the prompt of a codec with `codebook_size` codes.

    Raises UsageError if it lacks a marker or code, or if its chat template drops the markers.
    """
    layout = read_layout(tokenizer, codebook_size, name)
    tokenizer.backend_tokenizer.no_truncation()  # a tokenizer's file may ask for either
    tokenizer.backend_tokenizer.no_padding()
    if not tokenizer.chat_template:
        return PromptFormat(tokenizer, layout, (), ())
    turns = [
        {"role": "user", "content": INSTRUCTION + TEXT_START},
        {"role": "assistant", "content": SPEECH_START},
    ]
    ids = render_ids(tokenizer, turns, name, date_string=date)
    if ids.count(layout.text_start) != 1 or ids.count(layout.speech_start) != 1:
        raise UsageError(f"the chat template of {name} does not keep the markers: use a LLASA tokenizer")
    text, speech = ids.index(layout.text_start), ids.index(layout.speech_start)
    return PromptFormat(tokenizer, layout, tuple(ids[:text]), tuple(ids[text + 1 : speech]))
