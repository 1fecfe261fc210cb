"""The spectrogram that the page and the report draw."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.audio.spectrogram import PALETTE, picture


def test_a_higher_tone_is_a_bright_line_further_up() -> None:
    rows = []
    for tone in (300, 1_000, 4_000):
        drawn = picture(np.sin(np.arange(16_000) * 2 * np.pi * tone / 16_000).astype(np.float32), 16_000)
        column = drawn[:, drawn.shape[1] // 2]
        assert column.max() > 250
        assert np.median(column) < 60
        rows.append(int(column.argmax()))
    assert rows == sorted(rows, reverse=True)


@pytest.mark.parametrize("samples", [1, 511, 16_000 * 60])
def test_any_length_has_a_picture_of_bounded_width(samples: int) -> None:
    drawn = picture(np.zeros(samples, np.float32), 16_000, 900)
    assert drawn.shape[0] == 80
    assert 1 <= drawn.shape[1] <= 900
    assert PALETTE[drawn].shape == (*drawn.shape, 3)


def test_a_short_click_shows_also_where_frames_share_a_column() -> None:
    waveform = np.zeros(16_000 * 60, np.float32)
    waveform[500_000] = 1
    drawn = picture(waveform, 16_000, 100)
    assert drawn[40].max() > 200
    assert abs(int(drawn[40].argmax()) - 52) <= 1
