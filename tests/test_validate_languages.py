"""A verdict does not blame data for a recogniser that does not speak its language."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from pipeline.__main__ import main
from pipeline.pretrained.identity import content_digest
from pipeline.recognise.recogniser import Heard
from pipeline.validate.listening.recognise import Judge
from pipeline.validate.listening.sample import SampleRow, with_languages

SAMPLE = Path(__file__).parents[1] / "data" / "sample"
TEXTS = {
    "fr": (
        "Bonjour tout le monde.",
        "Il fait beau aujourd'hui et nous allons au marché.",
        "Je ne sais pas quoi faire.",
        "Merci.",
    ),
    "es": ("Buenos días a todos.", "No sé qué hacer con este libro.", "El coche está delante de la casa."),
    "ru": (
        "Доброе утро всем.",
        "Я не знаю, что делать с этой книгой.",
        "Машина стоит перед домом.",
        "Спасибо.",
    ),
    "it": ("Buongiorno a tutti.", "Non so cosa fare con questo libro.", "La macchina è davanti alla casa."),
    "ja": ("おはようございます。", "今日は天気がいいですね。", "車は家の前にあります。"),
    "zh": ("大家早上好。", "今天天气很好，我们去市场吧。", "汽车停在房子前面。"),
}
ENGLISH = ("Please hold the line while your call is put through.", "He was not an ill disposed young man.")


class _Hearing:
    """Hears the same words in everything, in the languages of a Whisper."""

    def __init__(self, language):
        self.name, self.language, self.asked = "whisper", language, []

    def transcribe(self, waveforms, language):
        self.asked.append(language)
        return [Heard("something else altogether") for _ in waveforms]


def rows_of(texts, language=None):
    codes = np.arange(4)
    return [SampleRow(n, str(n), text, language, codes, "", None, None) for n, text in enumerate(texts)]


@pytest.mark.parametrize("language", TEXTS)
def test_texts_whose_language_nobody_names_are_known_by_it(language):
    assert {row.language for row in with_languages(rows_of(TEXTS[language]))} == {language}


def test_a_language_that_the_dataset_names_is_believed():
    assert [row.language for row in with_languages(rows_of(TEXTS["fr"], "oc"))] == ["oc"] * 4


@pytest.mark.parametrize("language", TEXTS)
def test_an_english_recogniser_judges_no_other_language_and_says_which_would(language):
    judge = Judge(_Hearing("en"), "tiny.en.pt")
    rows = with_languages(rows_of([*TEXTS[language], *ENGLISH]))
    assert [row.text for row in rows if judge.knows(row.language)] == list(ENGLISH)
    (note,) = judge.notes(rows)
    assert f"{len(TEXTS[language])} of {len(rows)}" in note
    assert f"({language})" in note
    assert "--asr openai/whisper" in note


def test_a_recogniser_of_many_languages_is_asked_in_each_and_judges_by_its_units():
    hearing = _Hearing(None)
    rows = with_languages(rows_of([*TEXTS["ja"], *ENGLISH]))
    found = Judge(hearing, "whisper").hear(rows, [np.ones(9, np.float32)] * len(rows), "source")
    assert hearing.asked == ["ja", "en"]
    assert [one["unit"] for one in found] == ["character"] * 3 + ["word"] * 2


@pytest.mark.parametrize(("stated", "asked"), [("en-GB", "en"), ("English", "en"), ("zh-CN", "zh")])
def test_a_language_may_be_named_in_any_way(stated, asked):
    hearing = _Hearing(None)
    judge = Judge(hearing, "whisper")
    assert judge.knows(stated)
    judge.hear(rows_of(["a text"], stated), [np.ones(9, np.float32)], "source")
    assert hearing.asked == [asked]


def test_a_language_that_no_recogniser_is_known_for_is_judged_when_the_user_says_so():
    assert not Judge(_Hearing(None), "whisper").knows("eo")
    assert "asr_language=eo" in Judge(_Hearing(None), "whisper").notes(rows_of(["Saluton"], "eo"))[0]
    assert Judge(_Hearing(None), "mine", "eo").knows("eo")
    assert not Judge(_Hearing("en"), "tiny.en.pt", "fr").knows("fr")


def test_a_french_corpus_is_not_failed_for_what_an_english_recogniser_hears(tmp_path, capsys):
    names = [path.stem for path in sorted((SAMPLE / "audio" / "prompts").glob("*.wav"))[:3]]
    (tmp_path / "audio").mkdir()
    for name in names:
        shutil.copy(SAMPLE / "audio" / "prompts" / f"{name}.wav", tmp_path / "audio")
    lines = [f"{name}:{text}\n" for name, text in zip(names, TEXTS["fr"], strict=False)]
    (tmp_path / "text.txt").write_text("".join(lines), encoding="utf-8")
    out = str(tmp_path / "out")
    made_with = ("--codec", str(SAMPLE / "codec-random"), "--num-workers", "0", "-o", out)
    assert main(["create", str(tmp_path / "audio"), str(tmp_path / "text.txt"), *made_with]) == 0
    main(["validate", out, "--exact", "0", "--asr", "build/models/tiny.en.pt"])
    metrics = json.loads((tmp_path / "out" / "report" / "metrics.json").read_text())
    words = {"The source says what the text says", "Words survive the codec"}
    outcomes = {check["title"]: check["outcome"] for check in metrics["checks"]}
    if not any("tiny.en" in one["package"] for one in metrics["missing"]):
        assert {outcomes[title] for title in words} == {"skipped"}
        assert "French (fr)" in capsys.readouterr().out
    assert "other_words_are_heard" not in metrics["suspects"]


def test_a_model_is_named_by_its_content(tmp_path):
    model = tmp_path / "lora"
    model.mkdir()
    (model / "adapter_model.safetensors").write_bytes(b"first")
    (model / "adapter_config.json").write_text(
        json.dumps({"base_model_name_or_path": str(tmp_path / "base")})
    )
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "config.json").write_text("{}")
    first = content_digest(model)
    (model / "checkpoint-10").mkdir()
    assert content_digest(model) == content_digest(shutil.copytree(model, tmp_path / "copy")) == first
    (model / "adapter_model.safetensors").write_bytes(b"other")  # as long, at the same time
    retrained = content_digest(model)
    (tmp_path / "base" / "config.json").write_text('{"a": 1}')
    assert len({first, retrained, content_digest(model)}) == 3
