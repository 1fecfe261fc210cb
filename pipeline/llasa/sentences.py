"""Cuts a long text where a reader would breathe, at Japanese and Western punctuation."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pipeline.llasa.voices import WIDE, joined

LONGEST = 160  # letters, a wide one counted as two: about 11 s, so that the sentence before fits in as well
SHORTEST = 8  # shorter sentences are spoken with their neighbour: a lone word has no melody

# A sentence ends after Japanese stops at once, after Western ones only before a space or the end, so that
# 3.14 and example.com stay whole; closing quotes and brackets belong to it. Common abbreviations do not end
# one.
_STOPS = re.compile(
    r"[。！？♪♡]+[」』）】”’\")]*"
    r"|(?<!\bMr)(?<!\bDr)(?<!\bMs)(?<!\bSt)(?<!\bMrs)(?<!\bvs)(?<!\be\.g)(?<!\bi\.e)[.!?…]+[\"'”’)\]」』）]*(?=\s|$)"
    r"|[!?…]+[」』）]*(?=[\u3041-\u30ff\u3400-\u9fff「『（])"
    r"|\n+"
)
_PAUSES = re.compile("(?<=[、，,;；:：\\s])")


def width(text: str) -> int:
    """Count the letters of a text, those of scripts without spaces twice."""
    return len(text) + len(WIDE.findall(text))


def split(text: str, longest: int = LONGEST) -> list[str]:
    """Return the text's sentences, none wider than `longest`, none empty; together they hold every word."""
    pieces = [part for sentence in _cut(text, _STOPS) for part in _bounded(sentence, longest)]
    return _merged(pieces, longest)


def _cut(text: str, pattern: re.Pattern[str]) -> Iterator[str]:
    start = 0
    for match in pattern.finditer(text):
        piece = text[start : match.end()].strip()
        if piece:
            yield piece
        start = match.end()
    rest = text[start:].strip()
    if rest:
        yield rest


def _bounded(sentence: str, longest: int) -> Iterator[str]:
    """Cut a sentence that is too long: at pauses, and anywhere within what has none."""
    piece = ""
    for part in _PAUSES.split(sentence):
        for unit in [part] if width(part) <= longest else part:
            if width(piece) + width(unit) > longest:
                yield piece.strip()
                piece = ""
            piece += unit
    yield piece.strip()


def _merged(pieces: list[str], longest: int) -> list[str]:
    """Join very short pieces to the one before them."""
    merged: list[str] = []
    for piece in pieces:
        short = merged and min(width(merged[-1]), width(piece)) < SHORTEST
        if short and width(merged[-1]) + width(piece) < longest:
            merged[-1] = joined(merged[-1], piece)
        else:
            merged.append(piece)
    return merged
