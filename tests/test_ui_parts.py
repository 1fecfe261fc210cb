"""The parts of the page that need no browser."""

from __future__ import annotations

import string
import threading

import numpy as np
import pytest

from pipeline.errors import PipelineError, UsageError
from pipeline.ui import words
from pipeline.ui.pictures import spectrogram
from pipeline.ui.studio import Studio


def test_a_tone_is_a_bright_line_at_its_height() -> None:
    rate, tone = 16_000, 4_000
    picture = spectrogram(np.sin(np.arange(rate) * 2 * np.pi * tone / rate).astype(np.float32))
    assert picture.dtype == np.uint8
    assert picture.shape[0] == 257
    brightest = picture[:, picture.shape[1] // 2].sum(-1).argmax()
    assert abs(brightest - 128) <= 1  # halfway: 4 of 8 kHz


@pytest.mark.parametrize("samples", [0, 1, 511, 16_000 * 60])
def test_any_length_has_a_picture_of_bounded_width(samples: int) -> None:
    picture = spectrogram(np.zeros(samples, np.float32))
    assert 1 <= picture.shape[1] <= 901


def test_every_sentence_has_the_same_values_in_both_languages() -> None:
    for english, japanese in words.SENTENCES.values():
        fields = [
            {name for _, name, _, _ in string.Formatter().parse(text) if name} for text in (english, japanese)
        ]
        assert fields[0] == fields[1]


def test_a_studio_loads_in_the_background_and_hands_out_its_speaker() -> None:
    go = threading.Event()
    made = object()
    studio = Studio(lambda: (go.wait(10), made)[1], "model")  # type: ignore[arg-type, return-value]
    assert studio.loading
    go.set()
    assert studio.speaker() is made
    assert not studio.loading


def test_a_model_that_cannot_be_had_is_the_studios_error() -> None:
    def fail() -> None:
        raise UsageError("there is no model folder x")

    studio = Studio(fail, "x")  # type: ignore[arg-type]
    with pytest.raises(PipelineError, match="there is no model folder x"):
        studio.speaker()
    assert studio.error == "there is no model folder x"


def test_stopping_is_a_sessions_own_and_forgotten_at_the_next_start() -> None:
    studio = Studio(object, "x")  # type: ignore[arg-type]
    mine, other = studio.begin("me"), studio.begin("you")
    studio.stop("me")
    assert (mine(), other()) == (True, False)
    assert not studio.begin("me")()
