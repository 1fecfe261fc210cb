"""Text on its way to the model: normalisation, prompts, control tokens, sentences."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from llasa_helpers import layout, prompts, tokenizer

from pipeline.errors import UsageError
from pipeline.llasa import tiny
from pipeline.llasa.normalise import RULES, normalise
from pipeline.llasa.sentences import LONGEST, split, width
from pipeline.llasa.voices import Voice, joined
from pipeline.llasa_format import DATE
from pipeline.llasa_format.layout import SPEECH_START, TEXT_END, TEXT_START
from pipeline.llasa_format.prompt import INSTRUCTION, read_prompt_format


@pytest.mark.parametrize(
    ("given_text", "expected"),
    [
        ("ｶﾞｷﾞｸﾞ ﾊﾟﾋﾟ", "ガギグパピ"),
        ("１２３ＡＢＣａｂｃだ", "123ABCabcだ"),
        ("本当に？！うん", "本当に?!うん"),
        ("タ\tブ と　空 白\u200b", "タブと空白"),
        ("ねえ〜、え～と", "ねえー、えーと"),
        ("それは――つまり—ね", "それはーつまりーね"),
        ("え…………と", "え……と"),
        ("え...と・・・ね", "え…と…ね"),
        ("「引用」①♥●です★", "引用♡○です"),
        ("気温は3.5度", "気温は3点5度"),
        ("か\u3099き", "がき"),
        ("人々は〇を〆る♪", "人々は〇を〆る♪"),
    ],
)
def test_japanese_is_made_plain(given_text: str, expected: str) -> None:
    assert normalise(given_text, "ja") == expected


@given(st.text(max_size=60))
def test_normalised_text_stays_as_it_is_and_holds_only_what_models_know(text: str) -> None:
    once = normalise(text, "ja")
    assert normalise(once, "ja") == once
    assert RULES[-1].pattern.search(once) is None


def test_other_languages_are_left_alone_unless_told() -> None:
    assert normalise("Hello – “world”; 1 2") == "Hello – “world”; 1 2"
    assert normalise("日本語です ね", "off") == "日本語です ね"
    assert normalise("Hi there です") == "Hithereです"
    with pytest.raises(UsageError, match="must be one of auto, ja, off"):
        normalise("x", "en")


def test_a_prompt_is_the_published_conversation_and_the_same_every_day() -> None:
    text = tokenizer().decode(prompts().tokens("Hello."))
    assert text.endswith(SPEECH_START)
    assert f"{INSTRUCTION}{TEXT_START}Hello.{TEXT_END}<|eot_id|>" in text
    assert DATE in text


def test_cloning_continues_the_references_codes_after_both_texts() -> None:
    codes = np.array([5, 6, 63], dtype=np.uint16)
    ids = Voice("A reference.", codes).prompt(prompts(), "And more.")
    assert f"{TEXT_START}A reference. And more.{TEXT_END}" in tokenizer().decode(ids)
    assert ids[-4] == layout().speech_start
    assert ids[-3:] == layout().tokens_of(codes)


def test_a_tokenizer_without_a_chat_template_gets_the_bare_row() -> None:
    bare = tiny.build_tokenizer(64)
    bare.chat_template = None
    ids = read_prompt_format(bare, 64, "bare").tokens("Hi")
    assert bare.decode(ids) == f"{TEXT_START}Hi{TEXT_END}{SPEECH_START}"


@given(
    st.lists(
        st.sampled_from(
            ["<|s_12|>", TEXT_END, SPEECH_START, "<|eot_id|>", "<", "|", ">", "<|", "s_3", "a", " "]
        )
    ).map("".join)
)
def test_control_tokens_in_a_text_are_harmless(text: str) -> None:
    ids = tokenizer().encode(prompts().escape(text), add_special_tokens=False)
    assert all(token < 256 for token in ids)
    assert prompts().tokens(text).count(layout().text_end) == 1


def test_words_are_joined_with_a_space_only_where_their_script_has_spaces() -> None:
    assert joined("Hello.", "World") == "Hello. World"
    assert joined("です。", "次に") == "です。次に"
    assert joined("", "x") == "x"


def test_sentences_end_where_a_reader_would_breathe() -> None:
    assert split("こんにちは。今日は良い天気ですね！「本当に？」そう思います。") == [
        "こんにちは。",
        "今日は良い天気ですね！",
        "「本当に？」",
        "そう思います。",
    ]
    assert split("Mr. Smith paid 3.14 dollars. Did he really? He did.\nA new line.") == [
        "Mr. Smith paid 3.14 dollars.",
        "Did he really? He did.",
        "A new line.",
    ]


@given(st.text(alphabet="あ漢a .。!?、,\n", max_size=400))
def test_no_letter_is_lost_and_no_piece_is_too_long(text: str) -> None:
    pieces = split(text)
    assert all(piece and width(piece) <= LONGEST for piece in pieces)
    assert "".join("".join(pieces).split()) == "".join(text.split())
