"""How far what was heard is from a text: errors in words, or in characters if a language writes no spaces."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

UNSPACED = {"ja", "zh", "th", "lo", "km", "my", "yue"}  # languages scored by characters
SWAPPED = 0.7  # error rate from which something else is said than the text says


@dataclass(frozen=True)
class Errors:
    """Edits that turn the text into what was heard, and the text's length, in words or characters."""

    edits: int
    length: int

    @property
    def rate(self) -> float:
        """Edits by length."""
        return self.edits / max(self.length, 1)


def in_language(language: str | None, text: str, wanted: str | None) -> bool:
    """Return whether a row is in language `wanted` (None: any), by its column or its letters."""
    if wanted is None:
        return True
    if language is not None:
        return primary(language) == primary(wanted)
    return primary(wanted) != "en" or (text.isascii() and re.search("[A-Za-z]", text) is not None)


def primary(language: str) -> str:
    """Return `en` of `en-GB`."""
    return re.split("[-_]", language.lower())[0]


def unit(language: str | None, text: str) -> str:
    """Return what errors are counted in: word, or character if the language writes no spaces."""
    unspaced = primary(language) in UNSPACED if language else bool(re.search("[ぁ-ヿ一-鿿]", text))
    return "character" if unspaced else "word"


def count_errors(text: str, heard: str, language: str | None, by: str | None = None) -> Errors:
    """Compare after normalising both: case, punctuation and, in English, spellings and numbers.

    `by`: word or character; None: what `unit` says.
    """
    import jiwer

    reference, hypothesis = (normalise(given, language) for given in (text, heard))
    if (by or unit(language, text)) == "character":
        reference, hypothesis = (" ".join(given.replace(" ", "")) for given in (reference, hypothesis))
    if not reference:
        return Errors(len(hypothesis.split()), 0)
    if not hypothesis:
        return Errors(len(reference.split()), len(reference.split()))
    found = jiwer.process_words(reference, hypothesis)
    return Errors(found.substitutions + found.deletions + found.insertions, len(reference.split()))


def normalise(text: str, language: str | None) -> str:
    """Return the text as Whisper's papers score it."""
    english = primary(language) == "en" if language else text.isascii()
    return str(_normaliser(english)(text)).strip()


@lru_cache(maxsize=2)
def _normaliser(english: bool) -> Any:
    from transformers.models.whisper.english_normalizer import BasicTextNormalizer, EnglishTextNormalizer

    return EnglishTextNormalizer({}) if english else BasicTextNormalizer()  # type: ignore[no-untyped-call]
