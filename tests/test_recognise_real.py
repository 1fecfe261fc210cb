"""Whisper hears the same by its own file, by transformers and by faster-whisper, and CTC models are heard."""

from __future__ import annotations

import sys
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from ctc_helpers import spoken, write_tone_model
from rapidfuzz.distance import Levenshtein
from segment_helpers import PROMPTS, prompt

from pipeline.recognise.error_rate import count_errors
from pipeline.recognise.loading import open_recogniser
from pipeline.runtime import find_file

WHISPER = find_file("build/models/tiny.en.pt")
needs_whisper = pytest.mark.skipif(WHISPER is None, reason="python tools/fetch_whisper.py")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Whisper tiny.en as transformers and as faster-whisper take it."""
    root = tmp_path_factory.mktemp("whisper")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(Path(__file__).parents[1])
        patch.setattr(sys, "argv", ["", str(WHISPER), str(root / "hf"), "--faster", str(root / "ct2")])
        from tools.convert_whisper import main

        before = torch.is_grad_enabled()
        main()
        torch.set_grad_enabled(before)
    return root


@needs_whisper
def test_transformers_hears_what_openai_s_package_does_as_surely(folders):
    clips = [prompt(number) for number in range(4)]
    ours = open_recogniser(str(folders / "hf"), "cpu")
    assert ours.language == "en"
    theirs = open_recogniser(str(WHISPER), "cpu").transcribe(clips, None)
    for one, two in zip(ours.transcribe(clips, None), theirs, strict=True):
        assert (one.text, one.language) == (two.text, "en")
        assert one.confidence == pytest.approx(two.confidence, abs=0.05)


@needs_whisper
def test_faster_whisper_hears_the_words_and_when_they_are_said(folders):
    recogniser = open_recogniser(f"faster-whisper:{folders / 'ct2'}", "cpu")
    heard = recogniser.transcribe([prompt(number) for number in range(4)], "en")
    said = " ".join(PROMPTS.values())
    assert count_errors(said, " ".join(each.text for each in heard), "en").rate < 0.15
    assert all(0.3 < each.confidence <= 1 and each.language == "en" for each in heard)
    words = recogniser.words(prompt(0), "en")
    assert " ".join(word.text for word in words).strip(".") == "Weasels have eaten our phone system"
    assert all(one.start <= one.end <= two.end for one, two in pairwise(words))


def test_a_ctc_model_is_a_recogniser_that_knows_when_its_words_are_said(tmp_path):
    recogniser = open_recogniser(str(write_tone_model(tmp_path)), "cpu")
    waveform = spoken("it is now or later")
    [heard] = recogniser.transcribe([waveform], None)
    assert Levenshtein.distance(heard.text.lower().replace(" ", ""), "itisnoworlater") <= 1
    assert heard.confidence is None
    words = recogniser.words(waveform, None)
    assert " ".join(word.text for word in words) == heard.text
    assert all(one.end <= two.start for one, two in pairwise(words))
