"""The letters of a text, its numbers spelled out: "twelve" and a recogniser's "12" have the same ones."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

NUMBER = re.compile(r"\d+(?:[.,]\d+)*(?:(?:st|nd|rd|th)\b)?")
GROUPED = re.compile(r"[.,](?=\d{3}(?!\d))")  # between the thousands of a number
YEARS = range(1100, 2100)  # English reads these in pairs of digits
LONGEST = 6  # digits of a number that is read as one; longer ones are read digit by digit
UNSPACED = re.compile(r"[぀-ヿ㐀-鿿＀-￯ก-๿]")  # every letter of such writing may begin a word
CLOSING = re.compile(r"[\w.!?,;:…]([\"'”’)]+)\s*[\"'“‘(]*\s*$")


@dataclass(frozen=True)
class Letters:
    """The letters of a text, in lower case, and where each is in it: those of a number where it begins."""

    text: str
    letters: str
    places: list[int]

    @classmethod
    def of(cls, text: str, language: str | None = None) -> Letters:
        """Take the letters out of a text; digits stay where the language is not known."""
        found = list(_letters(text, language))
        return cls(text, "".join(letter for letter, _ in found), [place for _, place in found])

    def place(self, number: int) -> int:
        """Return where letter `number` is in the text; the text's end for the number after the last."""
        return self.places[number] if number < len(self.letters) else len(self.text)

    def begins_word(self, number: int) -> bool:
        """Return whether a word may begin at letter `number`; the end counts too."""
        if number in (0, len(self.letters)):
            return True
        before, here = self.places[number - 1], self.places[number]
        between = re.sub(r"^[\d.,]*\d", "", self.text[before + 1 : here])  # the rest of a number
        spaced = bool(between) and not re.fullmatch(r"['’-]", between)
        return spaced or (before < here and bool(UNSPACED.match(self.text[here])))

    def passage(self, first: int, last: int) -> str:
        """Return the text of letters [first, last), with the punctuation that belongs to them."""
        if first >= last:
            return ""
        begin, end = self.places[first], self.place(last)
        while begin > 0 and self.text[begin - 1] in "\"'“‘(「『¿¡":
            begin -= 1
        passage = self.text[begin:end]
        closing = CLOSING.search(
            passage
        )  # a quotation mark or bracket, which `rstrip` takes with opening ones
        shown = " ".join(passage.rstrip(" \n\t\r\"'“‘(「『¿¡—–-").split())
        return shown + (closing[1].replace("“", "") if closing else "")


def _letters(text: str, language: str | None) -> Iterator[tuple[str, int]]:
    end = 0
    for number in NUMBER.finditer(text):
        yield from _plain(text, end, number.start())
        spelled = spell(number[0], language)
        yield from ((letter, number.start()) for letter, _ in _plain(spelled, 0, len(spelled)))
        end = number.end()
    yield from _plain(text, end, len(text))


def _plain(text: str, begin: int, end: int) -> Iterator[tuple[str, int]]:
    for place in range(begin, end):
        if text[place].isalnum():
            yield from ((letter, place) for letter in text[place].lower() if letter.isalnum())


@lru_cache(maxsize=10_000)
def spell(number: str, language: str | None) -> str:
    """Return a number, as NUMBER finds it, in the words in which it is most likely read.

    It stays as it is where the language is not known, or has no such words in num2words.
    """
    if language is None:
        return number
    from num2words import num2words

    digits = number.rstrip("stndrh")
    value = GROUPED.sub("", digits).replace(",", ".")
    year = language == "en" and len(digits) == 4 and digits.isdecimal() and int(digits) in YEARS
    kind = "ordinal" if digits != number else "year" if year else "cardinal"
    one = value.count(".") < 2 and len(value) <= LONGEST and not re.match(r"0\d", value)
    parts = [value] if one else re.findall(r"\d", value)
    try:
        return " ".join(num2words(float(p) if "." in p else int(p), to=kind, lang=language) for p in parts)
    except (NotImplementedError, ArithmeticError, LookupError, TypeError, ValueError):
        return number
