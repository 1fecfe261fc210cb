"""Each reader must get every text and code back."""

from __future__ import annotations

import copy
import itertools
import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from publish_helpers import (
    END,
    EOT,
    FIRST_CODE,
    ROWS,
    START,
    TEXT_END,
    TEXT_START,
    WINDOW,
    expected,
    export,
    make_dataset,
    mapped,
    read_memmap,
    row,
    sample_of,
    texts,
)

from pipeline.__main__ import main
from pipeline.dataset.reader import Dataset
from pipeline.export import formats
from pipeline.export.samples import Samples
from pipeline.llasa_format import DATE
from pipeline.llasa_format.prompt import INSTRUCTION, read_prompt_format

pytest_plugins = ("publish_fixtures",)
pytestmark = pytest.mark.usefixtures("tokenizers_loaded_once")


@pytest.fixture
def out(dataset: Dataset) -> Path:
    return dataset.root


def test_llasa_memmap_is_read_back_by_the_offline_trainers(
    out: Path, tokenizer: Any, tokenizer_folder: str
) -> None:
    folder = export(out, "llasa-memmap", tokenizer_folder)
    assert list(read_memmap(folder, "train_input_ids", tokenizer)) == expected()


def test_a_llasa_memmap_row_has_the_published_ids_and_is_padded_with_the_end_of_text(
    out: Path, tokenizer_folder: str
) -> None:
    rows = mapped(export(out, "llasa-memmap", tokenizer_folder), "train_input_ids")
    assert rows.shape == (len(ROWS), 2048)
    ids = rows[0].tolist()
    length = 2 + len(ROWS[0]["text"]) + 2 + len(ROWS[0]["code"])
    assert (ids[0], ids[length - 1]) == (TEXT_START, END)
    assert ids[length - 1 - len(ROWS[0]["code"]) : length - 1] == [FIRST_CODE + c for c in ROWS[0]["code"]]
    assert set(ids[length:]) == {EOT}


def test_unsloth_memmap_is_one_unsplit_file(out: Path, tokenizer: Any, tokenizer_folder: str) -> None:
    folder = export(out, "unsloth-memmap", tokenizer_folder)
    assert list(read_memmap(folder, "input_ids", tokenizer)) == expected()


def test_sharded_memmap_deals_every_row_to_two_ranks_of_two_parts(
    out: Path, tokenizer: Any, tokenizer_folder: str
) -> None:
    folder = export(out, "sharded-memmap", tokenizer_folder)
    stems = [f"train_rank{rank}_partial{part}_input_ids" for rank in (0, 1) for part in (0, 1)]
    read = [list(read_memmap(folder, stem, tokenizer)) for stem in stems]
    assert [len(part) for part in read] == [3, 3, 2, 2]
    assert sorted(itertools.chain(*read)) == sorted(expected())


def test_llasa_trainer_gets_lines_that_its_prompt_and_loss_mask_understand(
    out: Path, tokenizer: Any, tokenizer_folder: str
) -> None:
    folder = export(out, "llasa-trainer", tokenizer_folder)
    rows = [json.loads(line) for line in (folder / "train.jsonl").read_text().splitlines()]
    assert [list(line) for line in rows] == [["text", "code"]] * len(ROWS)
    for line, wanted in zip(rows, expected(), strict=True):
        speech = "".join(f"<|s_{code}|>" for code in line["code"])
        prompt = (
            f"{INSTRUCTION}<|TEXT_UNDERSTANDING_START|>{line['text']}<|TEXT_UNDERSTANDING_END|><|eot_id|>"
            f"<|SPEECH_GENERATION_START|>\n{speech}<|SPEECH_GENERATION_END|>"
        )
        ids = tokenizer(prompt)["input_ids"]
        assert ids.count(START) == 1
        text, codes = sample_of(ids, tokenizer)
        assert (text, codes[1:]) == wanted  # codes[0] is the line break of its prompt


def test_sft_ids_are_those_of_the_templated_conversation_with_the_loss_on_the_answer(
    out: Path, tokenizer: Any, tokenizer_folder: str, tmp_path: Path
) -> None:
    datasets = pytest.importorskip("datasets")
    folder = export(out, "sft", tokenizer_folder)
    loaded = datasets.load_dataset(str(folder), cache_dir=str(tmp_path), split="train")
    assert loaded.column_names == ["input_ids", "labels", "attention_mask"]
    for made, (text, codes) in zip(loaded, expected(), strict=True):
        speech = "".join(f"<|s_{code}|>" for code in codes)
        turns = [
            {
                "role": "user",
                "content": f"{INSTRUCTION}<|TEXT_UNDERSTANDING_START|>{text}<|TEXT_UNDERSTANDING_END|>",
            },
            {
                "role": "assistant",
                "content": f"<|SPEECH_GENERATION_START|>{speech}<|SPEECH_GENERATION_END|>",
            },
        ]
        whole = tokenizer.apply_chat_template(turns, return_dict=False, date_string=DATE)
        assert made["input_ids"] == whole[: whole.index(END) + 1]
        answer = [FIRST_CODE + code for code in codes] + [END]
        assert made["labels"] == [-100] * (len(made["labels"]) - len(answer)) + answer
        assert made["attention_mask"] == [1] * len(made["input_ids"])


def test_sft_messages_template_to_the_same_ids(
    out: Path, tokenizer: Any, tokenizer_folder: str, tmp_path: Path
) -> None:
    datasets = pytest.importorskip("datasets")
    for form in ((), ("--messages",)):
        export(out, "sft", tokenizer_folder, *form)
    ids, messages = (
        datasets.load_dataset(str(out / "export" / name), cache_dir=str(tmp_path), split="train")
        for name in ("sft", "sft-messages")
    )
    for one, other in zip(ids, messages, strict=True):
        whole = tokenizer.apply_chat_template(other["messages"], return_dict=False, date_string=DATE)
        assert one["input_ids"] == whole[: len(one["input_ids"])]


def test_sft_goes_on_in_another_file_when_one_is_full(
    out: Path, tokenizer_folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr("pipeline.export.sft.ROWS_PER_FILE", 3)
    folder = export(out, "sft", tokenizer_folder)
    assert [path.name for path in sorted(folder.glob("*.parquet"))] == [
        f"train-{number:05d}.parquet" for number in range(4)
    ]
    loaded = datasets.load_dataset(str(folder), cache_dir=str(tmp_path), split="train")
    assert [len(ids) for ids in loaded["attention_mask"]] == [len(ids) for ids in loaded["labels"]]
    assert [ids[-2] - FIRST_CODE for ids in loaded["input_ids"]] == [row["code"][-1] for row in ROWS]


@pytest.mark.parametrize("form", ["llasa-memmap", "sft", "llasa-trainer"])
def test_the_longest_row_that_fits_is_kept_whole_and_a_longer_one_is_listed(
    form: str, tmp_path: Path, tokenizer: Any, tokenizer_folder: str
) -> None:
    turns = [{"role": "user", "content": INSTRUCTION + "abc"}, {"role": "assistant", "content": ""}]
    frame = tokenizer.apply_chat_template(turns, return_dict=False, date_string=DATE)
    room = WINDOW - (len(frame) - 1) - 4 - formats.FORMATS[form].extra  # -1: the turn's end; 4 markers
    rows = [row(0, text="abc", code=[7] * room), row(1, text="abc", code=[7] * (room + 1))]
    out = make_dataset(tmp_path / "out", rows).root
    folder = export(out, form, tokenizer_folder)
    left_out = [json.loads(line) for line in (folder / "left_out.jsonl").read_text().splitlines()]
    assert left_out == [
        {
            "id": "set/0001",
            "reason": "too_long",
            "detail": "2049 tokens with its prompt, --max-length is 2048",
        }
    ]
    if form == "llasa-memmap":
        assert list(read_memmap(folder, "train_input_ids", tokenizer)) == expected(rows[:1])


def test_a_text_that_spells_control_tokens_makes_none(tmp_path: Path, tokenizer_folder: str) -> None:
    rows = [row(0, text="<|SPEECH_GENERATION_END|><|s_5|><|eot_id|>")]
    folder = export(make_dataset(tmp_path / "out", rows).root, "llasa-memmap", tokenizer_folder)
    ids = mapped(folder, "train_input_ids")[0].tolist()
    text = ids[1 : ids.index(TEXT_END)]
    assert max(text) < 256


def test_tokens_of_the_tokenizers_own_are_broken_up_in_texts_as_they_are_in_prompts(
    tokenizer: Any, tmp_path: Path
) -> None:
    from tokenizers import AddedToken

    own = copy.deepcopy(tokenizer)
    own.add_tokens([AddedToken("[laugh]", special=True)])
    own.save_pretrained(tmp_path / "own")
    rows = [row(0, text="well [laugh] done"), row(1, text="plain")]
    folder = export(make_dataset(tmp_path / "out", rows).root, "llasa-memmap", str(tmp_path / "own"))
    read = [text for text, _ in read_memmap(folder, "train_input_ids", own)]
    prompts = read_prompt_format(own, 65536, "own")
    assert read == [prompts.escape(row["text"]) for row in rows]
    assert read[0] != rows[0]["text"]


@pytest.mark.parametrize("shards", ["jsonl", "arrow", "parquet"])
def test_the_shards_format_makes_no_difference(
    shards: str, out: Path, tmp_path: Path, tokenizer_folder: str
) -> None:
    other = make_dataset(tmp_path / "other", ROWS, shards, shard_size=100).root
    one, two = (export(root, "llasa-memmap", tokenizer_folder) for root in (out, other))
    name = "train_input_ids.memmap"
    assert (one / name).read_bytes() == (two / name).read_bytes()


def test_an_export_that_is_there_already_is_left_as_it_is(out: Path, tokenizer_folder: str) -> None:
    folder = export(out, "sft", tokenizer_folder)
    before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    export(out, "sft", tokenizer_folder)
    assert {path.name: path.stat().st_mtime_ns for path in folder.iterdir()} == before


def test_a_second_export_replaces_the_first_as_a_whole(out: Path, tokenizer_folder: str) -> None:
    folder = export(out, "llasa-trainer", tokenizer_folder, "--val-share", "0.5")
    assert (folder / "val.jsonl").exists()
    export(out, "llasa-trainer", tokenizer_folder)
    assert not (folder / "val.jsonl").exists()
    assert len(texts(folder, "train")) == len(ROWS)
    assert [path.name for path in folder.parent.iterdir()] == ["llasa-trainer"]


def test_an_export_that_fails_leaves_the_earlier_one(
    out: Path, tokenizer_folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = export(out, "llasa-trainer", tokenizer_folder)

    def full(self: object, split: str, samples: Samples) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pipeline.export.trainer_jsonl.JsonlWriter.write", full)
    arguments = ["export", str(out), "--to", "llasa-trainer", "--tokenizer", tokenizer_folder]
    assert main([*arguments, "--seed", "3"]) == 1
    assert len(texts(folder, "train")) == len(ROWS)
    assert [path.name for path in folder.parent.iterdir()] == ["llasa-trainer"]


def test_a_disk_that_is_full_when_the_next_sft_file_begins_is_one_sentence(
    out: Path, tokenizer_folder: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    begun: list[object] = []
    opened = pq.ParquetWriter.__init__

    def begin(self: object, *arguments: object, **options: object) -> None:
        begun.append(arguments[0])
        if len(begun) > 1:
            raise OSError(28, "Error writing bytes to file")
        opened(self, *arguments, **options)

    monkeypatch.setattr(pq.ParquetWriter, "__init__", begin)
    arguments = ["export", str(out), "--to", "sft", "--tokenizer", tokenizer_folder, "--val-share", "0.5"]
    assert main(arguments) == 1
    assert len(begun) > 1
    said = capsys.readouterr().err.splitlines()
    assert [line[:7] for line in said] == ["error: "]
    assert "sft" in said[0]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--to", "sft", "--val-share", "1.5"), "--val-share is 1.5"),
        (("--to", "unsloth-memmap", "--val-share", "0.1"), "unsloth-memmap is one set"),
        (("--to", "llasa-memmap", "--messages"), "--messages is for --to sft"),
        (("--to", "sft", "--split-by", "id"), "--split-by id and --val-ids FILE go together"),
        (("--to", "sft", "--tokenizer", "/nowhere/at/all"), "there is no model folder /nowhere/at/all"),
        (("--to", "sft", "--output", "."), "is not empty and not an earlier export"),
    ],
)
def test_what_does_not_fit_is_one_sentence(
    more: tuple[str, ...], said: str, out: Path, tokenizer_folder: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", str(out), "--tokenizer", tokenizer_folder, *more]) == 2
    captured = capsys.readouterr().err
    assert said in captured
    assert captured.count("\n") == 1


@pytest.mark.parametrize("shards", ["jsonl", "arrow", "parquet"])
@pytest.mark.parametrize("damage", ["gone", "cut short", "not finished"])
def test_a_damaged_dataset_is_not_exported_and_its_file_is_named(
    shards: str, damage: str, tmp_path: Path, tokenizer_folder: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = make_dataset(tmp_path / "out", ROWS, shards)
    export(out.root, "sft", tokenizer_folder)
    path = out.files(1).state if damage == "not finished" else out.files(1).data
    if damage == "cut short":
        path.write_bytes(path.read_bytes()[:-9])
    else:
        path.unlink()
    before = {each: each.read_bytes() for each in (out.root / "export").rglob("*") if each.is_file()}
    arguments = ["export", str(out.root), "--to", "sft", "--tokenizer", tokenizer_folder]
    assert main(arguments) == 2
    said = capsys.readouterr().err
    assert ("shard 1" if damage == "not finished" else path.name) in said
    assert said.count("\n") == 1
    assert {each: each.read_bytes() for each in (out.root / "export").rglob("*") if each.is_file()} == before


@pytest.mark.parametrize(
    "killed_after", ["the new one was begun", "the old one was put aside", "it was done"]
)
def test_an_export_that_was_killed_over_an_older_one_leaves_nothing_behind(
    killed_after: str, out: Path, tokenizer_folder: str
) -> None:
    folder = export(out, "llasa-trainer", tokenizer_folder)
    temporary, old = (folder.with_name(f".{folder.name}.{end}") for end in ("tmp", "old"))
    if killed_after == "the new one was begun":
        temporary.mkdir()
        (temporary / "train.jsonl").write_text("{")
    elif killed_after == "the old one was put aside":
        folder.rename(old)
        temporary.mkdir()
    else:
        shutil.copytree(folder, old)
    export(out, "llasa-trainer", tokenizer_folder)  # the same as before
    assert [path.name for path in folder.parent.iterdir()] == ["llasa-trainer"]
    assert len(texts(folder, "train")) == len(ROWS)


def test_a_dataset_is_exported_elsewhere_without_touching_it(
    out: Path, tmp_path: Path, tokenizer_folder: str
) -> None:
    before = {path: path.stat().st_mtime_ns for path in (out, *out.rglob("*"))}
    arguments = ["export", str(out), "--to", "sft", "--tokenizer", tokenizer_folder]
    assert main([*arguments, "--output", str(tmp_path / "elsewhere")]) == 0
    assert {path: path.stat().st_mtime_ns for path in (out, *out.rglob("*"))} == before
