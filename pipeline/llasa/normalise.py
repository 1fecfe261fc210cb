"""Japanese text made plain for a model trained on it: one table of rules, applied in order.

Other languages are left as they are.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from typing import NamedTuple

from pipeline.errors import UsageError

KANA = "\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff"
KANJI = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff々〆〇\U00020000-\U0003134f"
LATIN = "A-Za-z\u00c0-\u024f"
PUNCTUATION = "。、!?…♪♡○"
MODES = ("auto", "ja", "off")


class Rule(NamedTuple):
    """What a rule is for, what it finds, and what it puts there."""

    purpose: str
    pattern: re.Pattern[str]
    replacement: str | Callable[[re.Match[str]], str]


def _compatible(match: re.Match[str]) -> str:
    return unicodedata.normalize("NFKC", match[0])


RULES = tuple(
    Rule(purpose, re.compile(pattern), replacement)
    for purpose, pattern, replacement in (
        ("half-width katakana and its marks to full width", "[\uff61-\uff9f]+", _compatible),
        ("full-width letters and digits to half width", "[０-９Ａ-Ｚａ-ｚ]+", _compatible),
        ("question and exclamation marks to half width", "[？！]", _compatible),
        ("spaces, tabs and invisible characters removed", "[\\s\u200b-\u200f\u2060\ufeff]+", ""),
        ("a decimal point is spoken", r"(?<=\d)[.．](?=\d)", "点"),
        ("full-width commas and stops", "，", "、"),
        ("full-width commas and stops", "．", "。"),
        ("dashes and waves are one long mark", "[\u2010-\u2015\u2212\u2500\u2501\u301c\uff5e~〰ー]+", "ー"),
        ("dots in a row are an ellipsis", r"\.{2,}|・{2,}|‥+", "…"),
        ("runs of an ellipsis shortened", "…{3,}", "……"),
        ("circles are one circle", "[●◯◎⚪⭕]", "○"),
        ("hearts are one heart", "[♥❤💕💗💖]", "♡"),
        ("notes are one note", "[♫♬♩🎵🎶]", "♪"),
        ("all else dropped", f"[^{KANA}{KANJI}{LATIN}0-9{PUNCTUATION}]", ""),
    )
)


def normalise(text: str, mode: str = "auto") -> str:
    """Return the text as the model is given it.

    `ja` applies the rules, `off` none, `auto` if there is kana.
    """
    if mode not in MODES:
        raise UsageError(f"normalise is {mode!r}; it must be one of {', '.join(MODES)}")
    if mode == "off" or (mode == "auto" and not is_japanese(text)):
        return text
    text = unicodedata.normalize("NFC", text)
    for rule in RULES:
        text = rule.pattern.sub(rule.replacement, text)
    return text


def is_japanese(text: str) -> bool:
    """Return whether a text holds kana, of either width."""
    return re.search(f"[{KANA}\uff66-\uff9f]", text) is not None
