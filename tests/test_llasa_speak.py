"""`python -m pipeline speak`: texts in, sound files out, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from pipeline.__main__ import main

ROOT = Path(__file__).parents[1]
SAMPLE = ["--codec", "data/sample/codec-random", "--model", "data/sample/llasa-random", "--device", "cpu"]


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def speak(*arguments: object) -> int:
    return main(["speak", *map(str, arguments), *SAMPLE, "--max-codes", "25", "--seed", "1"])


def test_texts_of_a_file_become_numbered_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = tmp_path / "lines.txt"
    lines.write_text("\ufeffThe first line.\n\n二行目です。\n", encoding="utf-8")
    assert speak("And one more.", "--file", lines, "-o", tmp_path / "out") == 0
    files = sorted((tmp_path / "out").iterdir())
    assert [file.name for file in files] == ["0001.wav", "0002.wav", "0003.wav"]
    assert {soundfile.info(file).duration for file in files} == {0.5}
    assert "1.50 s of speech" in capsys.readouterr().out


def test_a_reference_clip_changes_the_voice_and_is_not_heard(tmp_path: Path) -> None:
    reference = tmp_path / "voice.wav"
    soundfile.write(reference, np.random.default_rng(0).normal(0, 0.1, 16_000), 16_000)
    reference.with_suffix(".txt").write_text("What is said.", encoding="utf-8")
    assert speak("Hello.", "-o", tmp_path / "plain.wav") == 0
    assert speak("Hello.", "-o", tmp_path / "cloned.wav", "--reference", reference) == 0
    plain, cloned = (soundfile.read(tmp_path / f"{name}.wav")[0] for name in ("plain", "cloned"))
    assert plain.shape == cloned.shape == (25 * 320,)
    assert not np.array_equal(plain, cloned)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["-o", "x.wav"], "nothing to say"),
        (["a", "b", "-o", "x.wav"], "2 texts do not fit into x.wav"),
        (["a", "-o", "x.aiff"], "write one of .wav"),
        (["a", "-o", "x.wav", "--reference", "nowhere.wav"], "there is no reference clip nowhere.wav"),
        (["a", "-o", "x.wav", "--top-p", "7"], "top_p is 7.0; it must be from 0.01 to 1"),
        (["a", "-o", "x.wav", "--file", "nowhere.txt"], "cannot read the texts of nowhere.txt"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert speak(*arguments) == 2
    assert sentence in capsys.readouterr().err
