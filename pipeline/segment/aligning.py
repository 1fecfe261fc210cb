"""Gives each piece of speech its words from a known text, by what the recogniser heard in it.

Letters and digits of both are compared one by one, whatever the language. Runs that occur once in the text
and once in what was heard are anchors; between them an alignment with cheap long gaps finds the rest, so that
a passage that was not read, or an aside that is not in the text, is one gap. Where two pieces meet, their
border in the text is the one between two words that fits what was heard on both sides best.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement, pairwise

import numpy as np
from rapidfuzz.distance import Levenshtein

from pipeline.recognise.error_rate import normalise
from pipeline.segment.gaps import align_letters

ANCHORS = (24, 12, 7)  # letters of a run that must be unique, tried in turn
LARGEST = 6_000_000  # letters heard times letters of text that are aligned without an anchor
TAIL = 200  # letters on each side of a border that are compared
SKIPPED = 0.6  # cost of a letter of text that is in neither of two pieces; one heard wrong costs 1
NEAR = 12  # letters of text on each side of a border that may belong to either piece
UNSPACED = re.compile(r"[぀-ヿ㐀-鿿＀-￯ก-๿]")  # every letter of such writing may begin a word
SENTENCE_END = re.compile(r"[.!?。！？…:;][\"'”’)\]」』]*\s*$")


@dataclass(frozen=True)
class Letters:
    """The letters and digits of a text, in lower case, and where each is in it."""

    text: str
    letters: str
    places: list[int]

    @classmethod
    def of(cls, text: str) -> Letters:
        """Take the letters and digits out of a text."""
        found = [
            (letter, place)
            for place, each in enumerate(text)
            if each.isalnum()
            for letter in each.lower()
            if letter.isalnum()
        ]
        return cls(text, "".join(letter for letter, _ in found), [place for _, place in found])

    def begins_word(self, number: int) -> bool:
        """Return whether a word may begin at letter `number`; the end counts too."""
        if number in (0, len(self.letters)):
            return True
        before, here = self.places[number - 1], self.places[number]
        between = self.text[before + 1 : here]
        return bool(between and not re.fullmatch(r"['’-]", between)) or bool(UNSPACED.match(self.text[here]))

    def passage(self, first: int, last: int) -> str:
        """Return the text of letters [first, last), with the punctuation that belongs to them."""
        if first >= last:
            return ""
        end = self.places[last] if last < len(self.letters) else len(self.text)
        begin = self.places[first]
        while begin > 0 and self.text[begin - 1] in "\"'“‘(「『¿¡":
            begin -= 1
        return " ".join(self.text[begin:end].rstrip(" \n\t\r\"'“‘(「『¿¡—–-").split()) + _closing(
            self.text[begin:end]
        )


def align(
    heard: Sequence[str], text: str, max_error: float, language: str | None = None
) -> tuple[list[str | None], list[str]]:
    """Return the passage of `text` for each piece of speech, by what was heard in it, in the order of time.

    None where more than the share `max_error` of its letters were heard differently, also when both are
    normalised as `language` is scored (sixteenth, 16th). Also returns the passages that no piece has.
    """
    pieces, author = [Letters.of(each) for each in heard], Letters.of(text)
    starts = np.concatenate([[0], np.cumsum([len(each.letters) for each in pieces], dtype=int)])
    places = _places("".join(each.letters for each in pieces), author.letters)
    spans = [_span(places[first:last]) for first, last in pairwise(starts)]
    known = [number for number, span in enumerate(spans) if span is not None]
    edges: dict[int, list[int]] = {number: list(spans[number] or ()) for number in known}
    for number in known:
        edges[number] = [_word_start(author, edges[number][0]), _word_end(author, edges[number][1])]
    for before, after in pairwise(known):
        _settle(author, pieces[before].letters, pieces[after].letters, edges[before], edges[after])
    matches: list[str | None] = [None] * len(pieces)
    for number, (first, last) in edges.items():
        passage = author.passage(first, last)
        if passage and _misread(heard[number], passage, language) <= max_error:
            matches[number] = passage
    return matches, _rest(author, [tuple(edges[number]) for number in known if matches[number] is not None])


def _misread(heard: str, passage: str, language: str | None) -> float:
    """Return the share of letters that differ, as they are or after normalising, whichever is less."""

    def share(one: str, two: str) -> float:
        one, two = Letters.of(one).letters, Letters.of(two).letters
        return Levenshtein.distance(one, two) / max(len(one), len(two), 1)

    plain = share(heard, passage)
    if language is None or plain == 0:
        return plain
    return min(plain, share(normalise(heard, language), normalise(passage, language)))


def _closing(text: str) -> str:
    """Return the quotation mark or bracket that ends a passage, which `rstrip` took with the opening ones."""
    match = re.search(r"[\w.!?,;:…]([\"'’”)]+)\s*[\"'“‘(]*\s*$", text)
    return match[1].replace("“", "") if match else ""


def _places(heard: str, text: str) -> np.ndarray:
    """Return for each letter heard its letter of the text; -1 for none."""
    places = np.full(len(heard), -1)
    _fill(places, heard, text, 0, 0, ANCHORS)
    return places


def _fill(places: np.ndarray, heard: str, text: str, at: int, into: int, runs: Sequence[int]) -> None:
    """Align `heard`, which begins at letter `at`, with `text`, which begins at letter `into`."""
    if not heard or not text:
        return
    if heard == text:
        places[at : at + len(heard)] = np.arange(into, into + len(text))
    elif not runs:
        if len(heard) * len(text) <= LARGEST:
            pairs = align_letters(heard, text)
            places[at + pairs[:, 0]] = into + pairs[:, 1]
    else:
        ends = (0, 0)
        for first, second in [*_anchors(heard, text, runs[0]), (len(heard), len(text))]:
            rest = heard[ends[0] : first], text[ends[1] : second]
            _fill(places, *rest, at + ends[0], into + ends[1], runs[1:])
            if first < len(heard):
                places[at + first : at + first + runs[0]] = np.arange(runs[0]) + into + second
            ends = first + runs[0], second + runs[0]


def _anchors(heard: str, text: str, run: int) -> list[tuple[int, int]]:
    """Return places of runs that both have once: the longest chain that goes forward in both, no overlaps."""
    theirs = _unique(text, run)
    pairs = [(place, theirs[key]) for key, place in _unique(heard, run).items() if key in theirs]
    chain: list[tuple[int, int]] = []
    for first, second in _longest_rise(sorted(pairs)):
        if not chain or (first >= chain[-1][0] + run and second >= chain[-1][1] + run):
            chain.append((first, second))
    return chain


def _unique(text: str, run: int) -> dict[str, int]:
    """Return the runs of a text that occur once, and where."""
    found: dict[str, int] = {}
    for place in range(len(text) - run + 1):
        key = text[place : place + run]
        found[key] = -1 if key in found else place
    return {key: place for key, place in found.items() if place >= 0}


def _longest_rise(pairs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the longest part of `pairs` whose second numbers rise (patience sorting)."""
    tops: list[int] = []  # smallest last second number of a rise of each length
    last: list[int] = []  # which pair that is
    before: list[int] = []  # the pair before each pair
    for number, (_, second) in enumerate(pairs):
        length = bisect_left(tops, second)
        tops[length : length + 1] = [second]
        last[length : length + 1] = [number]
        before.append(last[length - 1] if length else -1)
    rise, at = [], last[-1] if last else -1
    while at >= 0:
        rise.append(pairs[at])
        at = before[at]
    return rise[::-1]


def _span(places: np.ndarray) -> tuple[int, int] | None:
    """Return the letters of the text that a piece's letters are in; None if fewer than a third are in it."""
    found = places[places >= 0]
    return (int(found[0]), int(found[-1]) + 1) if len(found) * 3 > len(places) else None


def _word_start(author: Letters, number: int) -> int:
    while not author.begins_word(number):
        number -= 1
    return number


def _word_end(author: Letters, number: int) -> int:
    while not author.begins_word(number):
        number += 1
    return number


def _settle(author: Letters, before: str, after: str, left: list[int], right: list[int]) -> None:
    """Move the end of `left` and the start of `right` to where they fit what was heard best.

    Words between them that neither piece sounds like are in neither.
    """
    if right[0] - left[1] > NEAR:
        return  # something between them was not said
    lowest, highest = max(left[0], left[1] - NEAR), min(right[1], right[0] + NEAR)
    borders = [number for number in range(lowest, highest + 1) if author.begins_word(number)]
    if not borders:
        return

    def cost(pair: tuple[int, int]) -> tuple[float, bool, int]:
        end, start = pair
        one = Levenshtein.distance(before[-TAIL:], author.letters[left[0] : end][-TAIL:])
        two = Levenshtein.distance(after[:TAIL], author.letters[start : right[1]][:TAIL])
        sentence = bool(SENTENCE_END.search(author.text[: _place(author, end)][-8:]))
        return one + two + SKIPPED * (start - end), not sentence, abs(end - left[1])

    left[1], right[0] = min(combinations_with_replacement(borders, 2), key=cost)


def _place(author: Letters, number: int) -> int:
    return author.places[number] if number < len(author.letters) else len(author.text)


def _rest(author: Letters, spans: Sequence[tuple[int, ...]]) -> list[str]:
    """Return the passages outside all spans."""
    ends = [0, *(last for _, last in spans)]
    begins = [*(first for first, _ in spans), len(author.letters)]
    rest = (author.passage(end, begin) for end, begin in zip(ends, begins, strict=True))
    return [passage for passage in rest if passage]
