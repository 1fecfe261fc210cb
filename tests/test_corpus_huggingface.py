"""A Hugging Face dataset is a corpus: its rows are utterances, its audio is given as it is stored."""

from __future__ import annotations

import io
import json
import pickle
from collections.abc import Callable
from functools import partial
from pathlib import Path

import datasets
import pyarrow.parquet as pq
import pytest
import soundfile
from corpus_helpers import Read

from pipeline.config import CorpusSettings
from pipeline.corpus import open_corpus
from pipeline.errors import UsageError
from pipeline.utterance import Reason, Utterance

ROWS = 3


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


@pytest.fixture
def rows(make_clip: Callable[..., Path], tmp_path: Path) -> datasets.Dataset:
    """Three rows whose audio is inside the dataset."""
    clips = [make_clip(f"{number}.wav") for number in range(ROWS)]
    data = {
        "audio": [{"bytes": clip.read_bytes(), "path": None} for clip in clips],
        "sentence": ["one", "two", "三"],
        "speaker_id": [7, 7, 8],
        "locale": ["en", "en", None],
    }
    return datasets.Dataset.from_dict(data).cast_column("audio", datasets.Audio(decode=False))


def saved(rows: datasets.Dataset, folder: Path) -> None:
    rows.save_to_disk(folder)


def saved_splits(rows: datasets.Dataset, folder: Path) -> None:
    datasets.DatasetDict({"train": rows, "test": rows.select([0])}).save_to_disk(folder)


def parquet(rows: datasets.Dataset, folder: Path) -> None:
    (folder / "data").mkdir(parents=True)
    rows.to_parquet(folder / "data/train-00000-of-00001.parquet")


@pytest.mark.parametrize("store", [saved, saved_splits, parquet])
def test_a_dataset_on_disk_is_read_however_it_was_stored(
    rows: datasets.Dataset,
    store: Callable[[datasets.Dataset, Path], None],
    tmp_path: Path,
    make_clip: Callable[..., Path],
) -> None:
    store(rows, tmp_path / "set")
    read = Read(tmp_path / "set", language="ja", transcripts="huggingface")
    assert read.kind == "huggingface"
    assert read.all[0] == Utterance("train/0", "train/0", "one", "7", "en")
    assert read.all[2] == Utterance("train/2", "train/2", "三", "8", "ja")
    source = pickle.loads(pickle.dumps(read.corpus.source))  # as a loader worker gets it
    opened = source.open("train/1")
    assert isinstance(opened, io.BytesIO)
    assert soundfile.info(opened).frames == 4800
    size, _ = source.stat("train/1")
    assert size == (tmp_path / "audio/1.wav").stat().st_size
    assert source.stat("train/0") != source.stat("train/2")


def test_a_dataset_that_only_names_files_gives_their_paths(
    make_clip: Callable[..., Path], tmp_path: Path
) -> None:
    clip = make_clip("a.wav")
    data = {"id": ["x", "y"], "speech": [{"bytes": None, "path": str(clip)}, None], "text": ["one", "two"]}
    rows = datasets.Dataset.from_dict(data).cast_column("speech", datasets.Audio(decode=False))
    (tmp_path / "set").mkdir()
    pq.write_table(rows.data.table, tmp_path / "set/train.parquet")  # save_to_disk would take the audio in
    read = Read(tmp_path / "set", transcripts="huggingface", allow_remote=True)
    assert read.texts == {"x": "one", "y": "two"}
    with read.corpus.source.open("train/0") as opened:
        assert opened.read() == clip.read_bytes()
    assert read.corpus.source.stat("train/0") == (clip.stat().st_size, clip.stat().st_mtime_ns)
    with pytest.raises(FileNotFoundError, match="train/1"):
        read.corpus.source.stat("train/1")


def test_a_row_without_text_is_rejected(rows: datasets.Dataset, tmp_path: Path) -> None:
    rows = rows.remove_columns("sentence").add_column("text", ["one", None, "three"])
    rows.save_to_disk(tmp_path / "set")
    read = Read(tmp_path / "set")
    assert read.reasons == {"train/1": Reason.MALFORMED_TRANSCRIPT}
    assert list(read.texts) == ["train/0", "train/2"]


def test_a_split_or_column_that_is_not_there_is_an_error_that_names_those_that_are(
    rows: datasets.Dataset, tmp_path: Path
) -> None:
    saved_splits(rows, tmp_path / "set")
    for settings, words in (
        ({"hf_split": "dev"}, "the splits train, test, not dev"),
        ({"audio_column": "sentence"}, r"no Audio column sentence \(it has audio\)"),
        ({"text_column": "words"}, "corpus.text_column"),
    ):
        with pytest.raises(UsageError, match=words):
            open_corpus(CorpusSettings.model_validate({"audio": str(tmp_path / "set"), **settings}))


def test_a_dataset_that_cannot_be_had_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(UsageError, match=r"someone/speech is no folder .* give a local folder"):
        open_corpus(CorpusSettings(audio="someone/speech"))


def test_loose_audio_files_on_the_hub_are_sent_to_their_address(
    make_clip: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_clip("set/a.wav").parent
    as_the_hub_has_it = partial(datasets.load_dataset, "audiofolder", data_dir=str(folder))
    monkeypatch.setattr(datasets, "load_dataset", lambda name, split: as_the_hub_has_it(split=split))
    with pytest.raises(UsageError, match=r"'torchcodec'.*; give .* hf://datasets/owner/name"):
        open_corpus(CorpusSettings(audio="someone/speech"))


def test_a_saved_dataset_s_lists_lead_nowhere_else(rows: datasets.Dataset, tmp_path: Path) -> None:
    rows.save_to_disk(tmp_path / "set")
    state = json.loads((tmp_path / "set/state.json").read_text())
    for name in ("../elsewhere.arrow", "/etc/passwd", ["x"], "https://127.0.0.1:9/x.arrow"):
        state["_data_files"] = [{"filename": name}]
        (tmp_path / "set/state.json").write_text(json.dumps(state))
        with pytest.raises(UsageError, match="out of the dataset"):
            Read(tmp_path / "set")
    for broken in ("[]", "{", '{"_data_files": 3}'):
        (tmp_path / "set/state.json").write_text(broken)
        with pytest.raises(UsageError, match="not what save_to_disk writes"):
            Read(tmp_path / "set")


def test_a_readme_in_a_folder_of_parquet_is_not_asked_for_files(
    rows: datasets.Dataset, tmp_path: Path
) -> None:
    parquet(rows, tmp_path / "set")
    config = "configs:\n- config_name: default\n  data_files: http://127.0.0.1:9/x.parquet\n"
    (tmp_path / "set/README.md").write_text(f"---\n{config}---\n")
    assert list(Read(tmp_path / "set", transcripts="huggingface").texts.values()) == ["one", "two", "三"]
    with pytest.raises(UsageError, match="the splits train, not dev"):
        Read(tmp_path / "set", transcripts="huggingface", hf_split="dev")
