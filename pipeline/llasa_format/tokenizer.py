"""What exporting needs of a tokenizer: ids of texts, of codes, and of the conversation around them.

The user asks for a text between its markers, the assistant answers with the codes between theirs. Training
programs let the chat template spell that with a placeholder for the text and one for the codes, and so does
this module.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from pipeline.errors import UsageError
from pipeline.export.ragged import Ragged, from_lists
from pipeline.llasa_format.prompt import INSTRUCTION, neutralise


class Layout(Protocol):
    """Ids of the markers and codes in a tokenizer (pipeline.llasa_format.layout has it)."""

    @property
    def text_start(self) -> int: ...  # noqa: D102
    @property
    def text_end(self) -> int: ...  # noqa: D102
    @property
    def speech_start(self) -> int: ...  # noqa: D102
    @property
    def speech_end(self) -> int: ...  # noqa: D102
    @property
    def code_ids(self) -> np.ndarray: ...  # noqa: D102


@dataclass(frozen=True)
class Tokens:
    """A tokenizer in the LLASA layout, ready to make samples."""

    layout: Layout
    tokenizer: Any
    harmless: Callable[[str], str]  # breaks up what this tokenizer takes for a control token in a text
    controls: np.ndarray  # int64: ids that no text may hold
    opening: tuple[int, ...]  # of the conversation, up to the text's start marker
    middle: tuple[int, ...]  # from the text's end marker to the speech's start marker, both left out
    padding: int  # the tokenizer's own, or its end of text
    eos: int
    digest: str  # of vocabulary and template: samples are the same while it is

    def spoken(self, texts: Sequence[str]) -> tuple[list[str], Ragged]:
        """Texts without control tokens, and their ids, each between its two markers."""
        cleaned = [neutralise(text) for text in texts]
        ids = self._encode(cleaned)
        rows = np.repeat(np.arange(len(ids)), ids.lengths)
        found = np.bincount(rows[np.isin(ids.values, self.controls)], minlength=len(ids)) > 2  # the markers
        if not found.any():
            return cleaned, ids
        cleaned = [self.harmless(text) if bad else text for text, bad in zip(cleaned, found, strict=True)]
        return cleaned, self._encode(cleaned)

    def _encode(self, texts: Sequence[str]) -> Ragged:
        start, end = (
            self.tokenizer.convert_ids_to_tokens(i) for i in (self.layout.text_start, self.layout.text_end)
        )
        wrapped = [f"{start}{text}{end}" for text in texts]
        encoded = self.tokenizer.backend_tokenizer.encode_batch_fast(wrapped, add_special_tokens=False)
        return from_lists([encoding.ids for encoding in encoded])

    @property
    def overhead(self) -> int:
        """Tokens of a prompt and its answer beside the text (with its markers) and the codes."""
        return len(self.opening) + len(self.middle) + 2


def read_tokens(
    tokenizer: Any, layout: Layout, harmless: Callable[[str], str], date: str, name: str
) -> Tokens:
    """Ask `tokenizer`, called `name` in errors. UsageError when its codes or template do not serve."""
    if len(layout.code_ids) and np.any(np.diff(layout.code_ids) != 1):
        raise UsageError(
            f"the code tokens of {name} are not numbered one after the other, as LLASA trainers take them to "
            "be: use a LLASA tokenizer"
        )
    if tokenizer.eos_token_id is None:
        raise UsageError(f"{name} has no end-of-text token, which trainers pad with: use a LLASA tokenizer")
    tokenizer.backend_tokenizer.no_truncation()  # what a file of a tokenizer may ask for
    tokenizer.backend_tokenizer.no_padding()
    opening, middle = _conversation(tokenizer, layout, date, name)
    padding = tokenizer.pad_token_id
    return Tokens(
        layout=layout,
        tokenizer=tokenizer,
        harmless=harmless,
        controls=_controls(tokenizer, layout),
        opening=opening,
        middle=middle,
        padding=tokenizer.eos_token_id if padding is None else padding,
        eos=tokenizer.eos_token_id,
        digest=_digest(tokenizer, opening, middle),
    )


def _controls(tokenizer: Any, layout: Layout) -> np.ndarray:
    markers = [layout.text_start, layout.text_end, layout.speech_start, layout.speech_end]
    added = list(tokenizer.get_added_vocab().values())
    return np.unique(np.concatenate([np.array(markers + added, np.int64), layout.code_ids]))


def _conversation(
    tokenizer: Any, layout: Layout, date: str, name: str
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    if not tokenizer.chat_template:
        raise UsageError(f"{name} has no chat template, so no prompt can be made: use a LLASA tokenizer")
    text, speech = (tokenizer.convert_ids_to_tokens(i) for i in (layout.text_start, layout.speech_start))
    turns = [
        {"role": "user", "content": INSTRUCTION + text},
        {"role": "assistant", "content": speech},
    ]
    ids: list[int] = tokenizer.apply_chat_template(turns, tokenize=True, return_dict=False, date_string=date)
    if ids.count(layout.text_start) != 1 or ids.count(layout.speech_start) != 1:
        raise UsageError(f"the chat template of {name} does not keep the markers: use a LLASA tokenizer")
    at, then = ids.index(layout.text_start), ids.index(layout.speech_start)
    return tuple(ids[:at]), tuple(ids[at + 1 : then])


def _digest(tokenizer: Any, *pieces: Sequence[int]) -> str:
    digest = hashlib.sha256(tokenizer.backend_tokenizer.to_str().encode())
    digest.update(repr(pieces).encode())
    return digest.hexdigest()[:16]


def load_tokenizer(name: str) -> Any:
    """The tokenizer of a folder or Hugging Face id. UsageError when it cannot be had."""
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(name)
    except (OSError, ValueError) as error:
        raise UsageError(
            f"no tokenizer at {name}: give a folder with tokenizer.json, or a Hugging Face id within reach"
        ) from error
