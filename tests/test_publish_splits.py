from __future__ import annotations

from pathlib import Path

import pytest
from publish_helpers import export, make_dataset, mapped, row, texts

from pipeline.dataset.reader import Dataset

pytest_plugins = ("publish_fixtures",)
pytestmark = pytest.mark.usefixtures("tokenizers_loaded_once")
NUMBERED = [row(i, text=f"text {i}", speaker=f"speaker-{i % 5}") for i in range(200)]


def test_a_split_by_seed_is_the_same_when_the_corpus_grows_and_another_with_another_seed(
    tmp_path: Path, tokenizer_folder: str
) -> None:
    share = ("--val-share", "0.2")
    small = export(
        make_dataset(tmp_path / "a", NUMBERED[:100], shard_size=50).root,
        "llasa-trainer",
        tokenizer_folder,
        *share,
    )
    large = export(
        make_dataset(tmp_path / "b", NUMBERED, shard_size=50).root, "llasa-trainer", tokenizer_folder, *share
    )
    held = texts(large, "val")
    assert 20 <= len(held) <= 60
    assert sorted(held + texts(large, "train")) == sorted(row["text"] for row in NUMBERED)
    assert texts(small, "val") == [text for text in held if int(text.split()[1]) < 100]
    again = export(tmp_path / "b", "llasa-trainer", tokenizer_folder, *share, "--seed", "1")
    assert texts(again, "val") != held


@pytest.mark.parametrize("split", [("--val-share", "0.001"), ("--split-by", "id", "--val-ids", "ids.txt")])
def test_a_split_that_sets_no_row_aside_says_so(
    split: tuple[str, ...],
    tmp_path: Path,
    tokenizer_folder: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("ids.txt").write_text("set/9999\n")
    folder = export(make_dataset(tmp_path / "a", NUMBERED[:9]).root, "sft", tokenizer_folder, *split)
    assert [path.name for path in folder.glob("*.parquet")] == ["train-00000.parquet"]
    said = capsys.readouterr().out
    assert "9 train rows\nno row is set aside for validation: " in said
    assert split[-1] in said.splitlines()[-1]


def test_a_split_by_speaker_has_no_speaker_on_both_sides(tmp_path: Path, tokenizer_folder: str) -> None:
    out = make_dataset(tmp_path / "out", NUMBERED, shard_size=50).root
    more = ("--split-by", "speaker", "--val-share", "0.3")
    folder = export(out, "llasa-trainer", tokenizer_folder, *more)
    speakers = {row["text"]: row["speaker"] for row in NUMBERED}
    held = {speakers[text] for text in texts(folder, "val")}
    assert len(held) == 2  # of five alike: the fewest that make 30 %
    assert held.isdisjoint(speakers[text] for text in texts(folder, "train"))


def test_a_split_by_id_holds_just_the_ids_that_were_named(
    tmp_path: Path, dataset: Dataset, tokenizer_folder: str
) -> None:
    (tmp_path / "ids.txt").write_text("set/0003\nset/0005\n")
    more = ("--split-by", "id", "--val-ids", str(tmp_path / "ids.txt"))
    folder = export(dataset.root, "sharded-memmap", tokenizer_folder, *more)
    assert sum(len(mapped(folder, path.stem)) for path in folder.glob("test_*.memmap")) == 2
