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
from typing import Protocol

import numpy as np
from rapidfuzz.distance import Levenshtein

from pipeline.segment.gaps import align_letters
from pipeline.segment.letters import Letters

ANCHORS = (24, 12, 7)  # letters of a run that must be unique, tried in turn
LARGEST = 6_000_000  # letters heard times letters of text that are aligned without an anchor
SKIPPED = 0.8  # cost of a letter of text that is in neither of two pieces; one heard wrong costs 1
NEAR = 60  # letters of text on each side of a border that may belong to either piece
SENTENCE_END = re.compile(r"[.!?。！？…:;][\"'”’)\]」』]*\s*$")


class Sound(Protocol):
    """A piece of speech to compare letters with."""

    def cost(self, letters: str) -> float:
        """Return how many of the letters are not what is said in it, all of it."""
        ...


@dataclass(frozen=True)
class Spelled:
    """A piece of speech by the letters that a recogniser heard in it."""

    letters: str

    def cost(self, letters: str) -> float:
        """See `Sound.cost`."""
        return Levenshtein.distance(self.letters, letters)


def align(
    heard: Sequence[str],
    text: str,
    max_error: float,
    language: str | None = None,
    sounds: Sequence[Sound] | None = None,
) -> tuple[list[str | None], list[str]]:
    """Return the passage of `text` for each piece of speech, by what was heard in it, in the order of time.

    None where more than the share `max_error` of its letters is not what was said. `sounds` are the pieces by
    another measure than what was heard. Also returns the passages that no piece has.
    """
    pieces, author = [Letters.of(each, language) for each in heard], Letters.of(text, language)
    starts = np.concatenate([[0], np.cumsum([len(each.letters) for each in pieces], dtype=int)])
    places = _places("".join(each.letters for each in pieces), author.letters)
    spans = [_span(places[first:last]) for first, last in pairwise(starts)]
    known = [number for number, span in enumerate(spans) if span is not None]
    edges: dict[int, list[int]] = {number: list(spans[number] or ()) for number in known}
    for number in known:
        edges[number] = [_word_start(author, edges[number][0]), _word_end(author, edges[number][1])]
    measures = [Spelled(each.letters) for each in pieces] if sounds is None else sounds
    for before, after in pairwise(known):
        _settle(author, measures[before], measures[after], edges[before], edges[after])
    matches: list[str | None] = [None] * len(pieces)
    for number, (first, last) in edges.items():
        said = author.letters[first:last]
        costs = {Spelled(pieces[number].letters).cost(said), measures[number].cost(said)}
        if said and min(costs) <= max_error * max(len(said), len(pieces[number].letters)):
            matches[number] = author.passage(first, last)
    return matches, _rest(author, [tuple(edges[number]) for number in known if matches[number] is not None])


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


def _settle(author: Letters, before: Sound, after: Sound, left: list[int], right: list[int]) -> None:
    """Move the end of `left` and the start of `right` to where they fit what was said best.

    Words between them that neither piece sounds like are in neither.
    """
    if right[0] - left[1] > NEAR:
        return  # something between them was not said
    lowest, highest = max(left[0], left[1] - NEAR), min(right[1], right[0] + NEAR)
    borders = [number for number in range(lowest, highest + 1) if author.begins_word(number)]
    ends = {number: before.cost(author.letters[left[0] : number]) for number in borders}
    starts = {number: after.cost(author.letters[number : right[1]]) for number in borders}

    def cost(pair: tuple[int, int]) -> tuple[float, bool, int]:
        end, start = pair
        sentence = bool(SENTENCE_END.search(author.text[max(0, author.place(end) - 8) : author.place(end)]))
        return ends[end] + starts[start] + SKIPPED * (start - end), not sentence, abs(end - left[1])

    if borders:
        left[1], right[0] = min(combinations_with_replacement(borders, 2), key=cost)


def _rest(author: Letters, spans: Sequence[tuple[int, ...]]) -> list[str]:
    """Return the passages outside all spans."""
    ends = [0, *(last for _, last in spans)]
    begins = [*(first for first, _ in spans), len(author.letters)]
    rest = (author.passage(end, begin) for end, begin in zip(ends, begins, strict=True))
    return [passage for passage in rest if passage]
