"""The parts of the page that need no browser."""

from __future__ import annotations

import json
import string
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import crashing_decoder
import numpy as np
import pytest
import soundfile
from validate_helpers import make_dataset, sound_rows

from pipeline.errors import PipelineError, UsageError
from pipeline.runtime import REPOSITORY
from pipeline.ui import uploads, words
from pipeline.ui.examples import USUAL, examples
from pipeline.ui.sampling import read_sampling
from pipeline.ui.studio import Studio
from pipeline.ui.takes import Take, add_take

ENGLISH: Any = SimpleNamespace(headers={"accept-language": "en"}, session_hash="me")


def test_each_model_is_offered_single_sentences_that_it_can_say(tmp_path: Path) -> None:
    heard = json.loads((REPOSITORY / "data/sample/scores.json").read_text(encoding="utf-8"))
    dataset = make_dataset(tmp_path / "out", sound_rows(10)).root
    for name in ("sample", str(REPOSITORY / "data/sample/llasa")):
        offered = examples(name, dataset)
        assert len(offered) == 4
        said = {one["text"]: one["heard"] for one in heard["llasa, trained texts"]["transcripts"]}
        assert all(said[text] == text for text in offered)
    texts = [row["text"] for row in sound_rows(10)]
    assert set(examples("./lora", dataset)) <= set(texts)
    assert examples("./lora", None) == list(USUAL)


def test_every_sentence_has_the_same_values_in_both_languages() -> None:
    for english, japanese in words.SENTENCES.values():
        fields = [
            {name for _, name, _, _ in string.Formatter().parse(text) if name} for text in (english, japanese)
        ]
        assert fields[0] == fields[1]


def test_a_studio_loads_in_the_background_and_works_with_its_speaker() -> None:
    go = threading.Event()
    made = object()
    studio = Studio(lambda: (go.wait(10), made)[1], "model")  # type: ignore[arg-type, return-value]
    assert studio.loading
    work = studio.submit(lambda speaker: speaker)
    go.set()
    assert work.result(10) is made
    assert not studio.loading


def test_loading_and_every_work_of_the_page_run_in_one_thread_whoever_asks() -> None:
    studio = Studio(threading.get_ident, "model")  # type: ignore[arg-type]

    def visit(_: int) -> tuple[object, int]:
        return studio.submit(lambda loaded_in: (loaded_in, threading.get_ident())).result(10)

    with ThreadPoolExecutor(4) as visitors:
        ((loaded_in, used_in),) = set(visitors.map(visit, range(8)))
    assert used_in == loaded_in
    assert used_in != threading.get_ident()


def test_work_that_fails_fails_for_whoever_asked_and_the_next_goes_on() -> None:
    studio = Studio(object, "x")  # type: ignore[arg-type]
    failing, next_one = studio.submit(lambda _: 1 / 0), studio.submit(lambda _: 7)
    with pytest.raises(ZeroDivisionError):
        failing.result(10)
    assert next_one.result(10) == 7


def test_a_model_that_cannot_be_had_is_the_studios_error() -> None:
    def fail() -> None:
        raise UsageError("there is no model folder x")

    studio = Studio(fail, "x")  # type: ignore[arg-type]
    with pytest.raises(PipelineError, match="there is no model folder x"):
        studio.submit(lambda speaker: speaker).result(10)
    assert studio.error == "there is no model folder x"


def test_an_upload_is_read_in_another_process_and_one_that_crashes_it_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = tmp_path / "clip.wav"
    soundfile.write(clip, np.sin(np.arange(8_000) / 20).astype(np.float32), 8_000)
    assert len(uploads.read_upload(clip, 16_000, 2.0)) == 16_000
    with pytest.raises(UsageError, match=r"the recording clip.wav cannot be used: it lasts 1.00 s"):
        uploads.read_upload(clip, 16_000, 0.5)
    monkeypatch.setattr(uploads, "_read", crashing_decoder.crash)
    with pytest.raises(UsageError, match=r"the recording clip.wav cannot be used: it crashes its decoder"):
        uploads.read_upload(clip, 16_000, 2.0)


@pytest.mark.parametrize("seed", ["9" * 5_000, "-1", "1.5", "９９９９９９９９９９９", "x"])
def test_a_seed_that_is_none_is_one_sentence(seed: str) -> None:
    with pytest.raises(UsageError, match="is not a whole number") as said:
        read_sampling(ENGLISH, 0.8, 1.0, 50, 1.1, 100, seed)
    assert len(str(said.value)) < 120


@pytest.mark.parametrize("value", [None, "many", float("inf"), float("nan"), [1]])
def test_sampling_that_is_no_number_is_one_sentence(value: Any) -> None:
    with pytest.raises(UsageError, match=r"must be from|are no numbers"):
        read_sampling(ENGLISH, value, 1.0, 50, 1.1, 100, "")
    with pytest.raises(UsageError, match=r"must be from|are no numbers"):
        read_sampling(ENGLISH, 0.8, 1.0, value, 1.1, 100, "")


def test_no_visitor_gets_more_codes_than_the_page_offers() -> None:
    assert read_sampling(ENGLISH, 0.8, 1.0, 50, 1.1, 65_000, "7").max_codes == 2000


def test_a_visit_keeps_its_last_takes_the_newest_first_and_says_which_is_which() -> None:
    takes: list[Take] = []
    for number in range(9):
        takes = add_take(
            ENGLISH, takes, f"Text {number}. " + "x" * 100, number, 8_000, np.zeros(4_000, np.int16)
        )
    assert len(takes) == 6
    assert [take.label.split(" · ")[:2] for take in takes[:2]] == [["0.5 s", "seed 8"], ["0.5 s", "seed 7"]]
    assert takes[0].label.endswith("…")
    assert len(takes[0].label) < 100


def test_stopping_is_a_sessions_own_and_forgotten_at_the_next_start() -> None:
    studio = Studio(object, "x")  # type: ignore[arg-type]
    mine, other = studio.begin("me"), studio.begin("you")
    studio.stop("me")
    assert (mine(), other()) == (True, False)
    assert not studio.begin("me")()
