from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from publish_helpers import CODEC, make_dataset, make_empty, row

from pipeline.dataset.card.sections import shareable
from pipeline.dataset.rows import OPTIONAL, SCHEMA
from pipeline.dataset.summary import write_summary as write_card

datasets = pytest.importorskip("datasets")
FORMS = ("jsonl", "arrow", "parquet")
ROWS = [row(i) for i in range(10)]


def front_matter(root: Path) -> dict[str, Any]:
    parsed: dict[str, Any] = yaml.safe_load((root / "README.md").read_text().split("---\n")[1])
    return parsed


@pytest.mark.parametrize("form", FORMS)
def test_load_dataset_gives_the_rows_with_codes_as_uint16(form: str, tmp_path: Path) -> None:
    write_card(make_dataset(tmp_path / "out", ROWS, form))
    loaded = datasets.load_dataset(str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))
    assert list(loaded) == ["train"]
    assert loaded["train"].to_list() == ROWS
    assert loaded["train"].features["code"] == datasets.List(datasets.Value("uint16"))
    assert loaded["train"].column_names == SCHEMA.names


@pytest.mark.parametrize("form", FORMS)
def test_streaming_gives_the_same_rows(form: str, tmp_path: Path) -> None:
    write_card(make_dataset(tmp_path / "out", ROWS, form))
    assert list(datasets.load_dataset(str(tmp_path / "out"), split="train", streaming=True)) == ROWS


@pytest.mark.parametrize("form", FORMS)
def test_columns_the_corpus_does_not_have_are_not_there(form: str, tmp_path: Path) -> None:
    columns = [name for name in SCHEMA.names if name not in OPTIONAL]
    write_card(
        make_dataset(tmp_path / "out", [{k: r[k] for k in columns} for r in ROWS], form, columns=columns)
    )
    loaded = datasets.load_dataset(str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"), split="train")
    assert loaded.column_names == columns


@pytest.mark.parametrize("form", FORMS)
def test_a_dataset_without_rows_streams_none_and_says_why_it_is_empty(form: str, tmp_path: Path) -> None:
    write_card(make_dataset(tmp_path / "out", [], form, rejected=3))
    assert list(datasets.load_dataset(str(tmp_path / "out"), split="train", streaming=True)) == []
    text = (tmp_path / "out" / "README.md").read_text()
    assert "There are no utterances in this dataset" in text
    assert "| silent | 3 |" in text


def test_arrow_shards_load_from_disk(tmp_path: Path) -> None:
    write_card(make_dataset(tmp_path / "out", ROWS, "arrow"))
    assert datasets.load_from_disk(str(tmp_path / "out" / "data")).to_list() == ROWS


def test_the_same_dataset_gives_the_same_card(tmp_path: Path) -> None:
    for name in ("a/out", "b/out"):
        write_card(make_dataset(tmp_path / name, ROWS))
    assert (tmp_path / "a/out/README.md").read_bytes() == (tmp_path / "b/out/README.md").read_bytes()


def test_the_card_states_hours_speakers_languages_rejections_and_both_licences(tmp_path: Path) -> None:
    rows = [row(i, duration=900.0) for i in range(10)]
    write_card(make_dataset(tmp_path / "out", rows, shard_size=5))
    text = (tmp_path / "out" / "README.md").read_text()
    for said in (
        "10 utterances, 2.50 hours of speech, 3 speakers, 2 languages",
        "| en | 2.00 hours |",
        "| speaker-0 | 1.00 hours |",
        "| silent | 2 |",
        "2 of 12 utterances (16.67%)",
        "The recordings and their texts: cc-by-4.0.",
        "HKUSTAudio/xcodec2-hf, which made the codes: CC-BY-NC-4.0.",
        "exactly those that it gets when it is encoded alone",
    ):
        assert said in text
    front = front_matter(tmp_path / "out")
    assert (front["license"], front["language"]) == ("cc-by-4.0", ["en", "ja"])


def test_a_licence_the_hub_has_no_word_for_goes_by_name(tmp_path: Path) -> None:
    write_card(make_dataset(tmp_path / "out", ROWS, licence="My Own Terms"))
    front = front_matter(tmp_path / "out")
    assert (front["license"], front["license_name"]) == ("other", "my-own-terms")


def test_the_histogram_counts_every_utterance_once(tmp_path: Path) -> None:
    write_card(make_dataset(tmp_path / "out", ROWS))
    plot = (tmp_path / "out" / "README.md").read_text().split("```text\n")[1].split("```")[0].splitlines()
    assert sum(int(line.split(" s ")[1].split()[0].replace(",", "")) for line in plot) == len(ROWS)
    assert len(plot) <= 16


def test_the_verdict_of_the_validation_and_what_it_rests_on_are_in_the_card(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "out", ROWS)
    checks = [
        ("Codes are those of the clip alone", 1.0, None, None, 0.99, False, "passed"),
        ("Words survive the codec", 0.0912345, 0.05, 0.13, 0.05, True, "failed"),
        ("The model knows when to stop", None, None, None, 0.9, False, "skipped"),
    ]
    names = ("title", "value", "low", "high", "limit", "at_most", "outcome")
    metrics = {"verdict": "fail", "checks": [dict(zip(names, check, strict=True)) for check in checks]}
    (dataset.root / "report").mkdir()
    (dataset.root / "report" / "metrics.json").write_text(json.dumps(metrics))
    write_card(dataset)
    text = (dataset.root / "README.md").read_text()
    assert "Verdict: fail." in text
    assert "| Codes are those of the clip alone | 1 | at least 0.99 | passed |" in text
    assert "| Words survive the codec | 0.09123 (0.05 to 0.13) | at most 0.05 | failed |" in text
    assert "when to stop" not in text


def test_settings_in_a_card_do_not_name_the_folders_of_a_machine() -> None:
    settings = {
        "corpus": {"audio": "/home/me/clips", "text": r"C:\data\t.txt"},
        "codec": {"name": CODEC["name"]},
    }
    assert shareable(settings) == {
        "corpus": {"audio": "clips", "text": "t.txt"},
        "codec": {"name": CODEC["name"]},
    }


@pytest.mark.parametrize("form", FORMS)
def test_a_shard_whose_clips_were_all_rejected_does_not_stop_loading(form: str, tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "out", ROWS, form, shard_size=5)
    make_empty(dataset, 1)
    write_card(dataset)
    loaded = datasets.load_dataset(str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"), split="train")
    assert loaded.to_list() == ROWS[:5]
    assert list(datasets.load_dataset(str(tmp_path / "out"), split="train", streaming=True)) == ROWS[:5]


def test_names_that_would_be_markup_are_shown_as_text(tmp_path: Path) -> None:
    names = (
        "<script>alert(1)</script>",
        "[x](javascript:alert(1))",
        "a | b",
        "`c` *d* _e_",
        "f\n# g",
        "&lt;",
        "h_i-j.k",
    )
    rows = [row(i, speaker=name) for i, name in enumerate(names)]
    root = tmp_path / "<b>out"
    dataset = make_dataset(root, rows, licence="x\n```\n<img src=x>\n---\nlicense: mit")
    write_card(dataset)
    _, front, text = (root / "README.md").read_text().split("---\n", 2)
    assert yaml.safe_load(front)["pretty_name"] == "<b>out"
    assert yaml.safe_load(front)["license"] == "other"
    body, _, settings = text.partition("\n## Settings\n")
    for markup in ("<script", "<b>", "<img", "[x]", "`c`", " *d*", "\n# g"):
        assert markup not in body
    assert "| &lt;script&gt;alert(1)&lt;/script&gt; |" in body
    assert "| a \\| b |" in body
    assert "| &amp;lt; |" in body
    assert "| h_i-j.k |" in body
    fence = settings.splitlines()[1].removesuffix("yaml")
    assert settings.count(fence) == 2
    assert settings.endswith(f"\n{fence}\n") or settings.endswith(f"\n{fence}")
