"""A known text gives each piece of speech its words, whatever was misheard, skipped or added."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from pipeline.segment.aligning import align
from pipeline.segment.gaps import align_letters

TALE = (
    "Chapter One. It was a dark night; the rain fell in torrents! “Who’s there?” said Mr. Smith. Nobody "
    "answered him. This long passage is never read aloud by anyone in this room, not even once. He went "
    "home, and slept."
)


def test_what_was_misheard_gets_the_author_s_words_with_their_punctuation():
    heard = ["it was a dark knight", "the rain fell in torrents", "whose there said mister smith"]
    texts, rest = align(heard, TALE.split(" Nobody")[0], 0.3)
    assert texts == [
        "It was a dark night;",
        "the rain fell in torrents!",
        "“Who’s there?” said Mr. Smith.",
    ]
    assert rest == ["Chapter One."]


def test_an_aside_has_no_text_and_a_passage_that_is_skipped_is_listed():
    heard = ["said mr smith nobody answered him", "um so anyway i like cheese", "he went home and", "slept"]
    texts, rest = align(heard, TALE, 0.3)
    assert texts == ["said Mr. Smith. Nobody answered him.", None, "He went home, and", "slept."]
    assert rest[-1] == "This long passage is never read aloud by anyone in this room, not even once."


def test_a_script_without_spaces_is_aligned_letter_by_letter():
    text = "今日はいい天気ですね。「散歩に行きましょう。」と彼は言った。明日は雨です。"
    texts, rest = align(
        ["今日はいい天気ですよね", "散歩に行きましょうと", "彼は言った", "明日は雨です"], text, 0.3
    )
    assert texts == ["今日はいい天気ですね。", "「散歩に行きましょう。」と", "彼は言った。", "明日は雨です。"]
    assert rest == []


def test_a_text_of_something_else_gives_no_words():
    texts, rest = align(["please hold the line", "press the pound key"], TALE, 0.3)
    assert texts == [None, None]
    assert rest == [TALE]


def test_a_word_of_which_nothing_is_heard_is_in_neither_piece_and_a_misheard_one_is():
    text = "Nobody answered him. Hours. He went home, and slept."
    texts, rest = align(["nobody answered hem", "he went home and slept"], text, 0.3)
    assert texts == ["Nobody answered him.", "He went home, and slept."]
    assert rest == ["Hours."]


@pytest.mark.parametrize("seed", range(2))
def test_thousands_of_words_with_errors_find_their_places(seed):
    random = np.random.default_rng(seed)
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
    words = ["".join(random.choice(letters, random.integers(2, 9))) for _ in range(3000)]
    cuts = [0, *sorted(random.choice(np.arange(1, 3000), 300, replace=False).tolist()), 3000]
    truth = [words[first:last] for first, last in pairwise(cuts)]
    heard = [" ".join("blah" if random.random() < 0.08 else word for word in part) for part in truth]
    texts, _ = align(heard, " ".join(words), 0.6)
    right = sum(text == " ".join(part) for text, part in zip(texts, truth, strict=True))
    assert right / len(truth) > 0.9


def test_one_long_gap_is_preferred_to_letters_strewn_over_it():
    pairs = align_letters("thecatsat", "thecat" + "xthaxtxsxexcxsxaxtx" * 3 + "sat")
    assert pairs[:, 0].tolist() == list(range(9))
    assert pairs[:6, 1].tolist() == list(range(6))
    assert pairs[6:, 1].tolist() == list(range(63, 66))


@pytest.mark.parametrize(
    ("text", "heard"),
    [
        ("We met on the twenty-first of May, in nineteen eighty-four.", "we met on the 21st of may in 1984"),
        (
            "Dial 2 now. It costs 1,250 crowns.",
            "dial two now it costs one thousand two hundred and fifty crowns",
        ),
        ("Room zero zero seven, please.", "room 007 please"),
    ],
)
def test_a_number_is_the_same_in_words_and_in_digits(text, heard):
    assert align([heard], text, 0.1, "en") == ([text], [])


def test_numbers_beside_each_other_go_to_the_pieces_that_say_them():
    text = "eleven twelve thirteen press star five twenty"
    assert align(["11, 12,", "13.", "press star. 5", "20"], text, 0.1, "en")[0] == [
        "eleven twelve",
        "thirteen",
        "press star five",
        "twenty",
    ]


@pytest.mark.parametrize(
    ("language", "text"), [("ja", "十二人です。"), ("de", "zwölf Leute."), ("xx", "12 a.")]
)
def test_numbers_are_spelled_in_the_language_of_the_text(language, text):
    heard = {"ja": "12人です", "de": "12 leute", "xx": "12 a"}[language]
    assert align([heard], text, 0.1, language)[0] == [text]
