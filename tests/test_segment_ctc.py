"""A CTC model tells where the words of a known text are, whatever the recogniser wrote."""

from __future__ import annotations

import pytest
import torch
from ctc_helpers import spoken, write_tone_model
from segment_helpers import record, segments

from pipeline.__main__ import main
from pipeline.errors import UsageError
from pipeline.recognise.ctc import CtcModel
from pipeline.recognise.loading import open_recogniser
from pipeline.segment.aligning import align


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_tone_model(tmp_path_factory.mktemp("tones"))


@pytest.fixture(scope="module")
def model(folder):
    return CtcModel(str(folder), torch.device("cpu"), half=False)


def hear(model, said, text):
    return model.hear(spoken(said), model.known(text))


def test_what_is_said_costs_less_than_what_is_not(model):
    text = "the rabbit who had a hat is now another line"
    heard = hear(model, "the rabbit had a hat", text)
    right = heard.cost("therabbithadahat")
    assert right < 1
    for wrong in ("therabbithadatie", "therabbithad", "therabbitwhohadahat", ""):
        assert heard.cost(wrong) > right + 2
    assert heard.cost("a" * 1000) == float("inf")


def test_the_border_is_where_the_sound_says_and_not_where_the_recogniser_does(model):
    text = "On it he said. No one was there, sir."
    said = ["on it he said no", "one was there sir"]
    heard = ["on it he said", "no one was there sir"]  # the recogniser took the word for the next piece's
    assert align(heard, text, 0.5)[0] == ["On it he said.", "No one was there, sir."]
    sounds = [hear(model, each, text.lower()) for each in said]
    assert align(heard, text, 0.5, sounds=sounds)[0] == ["On it he said. No", "one was there, sir."]


def test_what_the_recogniser_misheard_altogether_is_kept_if_the_sound_is_the_text_s(model):
    text = "There is no wind here. It is how it was. He sat down at noon."
    said = ["there is no wind here", "it is how it was", "he sat down at noon"]
    heard = ["there is no wind here", "it is hot ot waned", "he sat down at noon"]
    assert align(heard, text, 0.25)[0][1] is None
    sounds = [hear(model, each, text.lower()) for each in said]
    assert align(heard, text, 0.25, sounds=sounds)[0][1] == "It is how it was."


def test_a_folder_that_is_no_ctc_model_is_refused_in_a_sentence(tmp_path, folder):
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(UsageError, match="cannot be loaded"):
        CtcModel(str(tmp_path), torch.device("cpu"), half=False)
    with pytest.raises(UsageError, match="there is no CTC model folder"):
        CtcModel("./absent", torch.device("cpu"), half=False)


def test_a_folder_below_the_repository_is_loaded_from_anywhere(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("pipeline.runtime.REPOSITORY", folder.parent)
    monkeypatch.chdir(tmp_path)
    assert CtcModel(folder.name, torch.device("cpu"), half=False).known("the") == "eht"
    assert open_recogniser(folder.name).transcribe([spoken("hat")], "en")[0].text.lower() == "hat"


def test_segment_takes_the_model_beside_a_text_and_refuses_it_without_one(folder, tmp_path, capsys):
    record(tmp_path / "in/a.flac", [0, 1, 2])
    arguments = ["segment", str(tmp_path / "in"), "--asr", "fake:", "-o"]
    assert main([*arguments, str(tmp_path / "heard")]) == 0
    heard = " ".join(row["text"] for row in segments(tmp_path / "heard"))
    (tmp_path / "book.txt").write_text(heard, encoding="utf-8")
    model = ["--aligner", str(folder)]
    assert main([*arguments, str(tmp_path / "out"), "--align", str(tmp_path / "book.txt"), *model]) == 0
    given = [row["text"] for row in segments(tmp_path / "out")]
    assert given
    assert set(" ".join(given).split()) <= set(heard.split())
    assert main([*arguments, str(tmp_path / "none"), *model]) == 2
    assert "an aligner needs a text to align" in capsys.readouterr().err
