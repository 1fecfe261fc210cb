"""Choosing rows: by condition and budget, into a dataset like any other."""

import json
from pathlib import Path

import pyarrow as pa
import pytest
from validate_helpers import make_dataset, scanned, sound_rows

from pipeline.__main__ import main
from pipeline.annotate.api import annotate
from pipeline.annotate.files import read_annotations
from pipeline.annotate.protocol import Column
from pipeline.build.plan import read_excluded
from pipeline.dataset.reader import Dataset
from pipeline.dataset.summary import all_faults
from pipeline.errors import UsageError
from pipeline.select.api import select


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """Sixty rows of three speakers, one in three shards, with annotations; six are stuck, two are doubles."""
    rows = sound_rows(60)
    for number, row in enumerate(rows):
        row["speaker"] = "abc"[(number % 10 > 5) + (number % 10 > 8)]  # 36, 18 and 6 rows
    for row in rows[10:16]:
        row["code"][:90] = [7] * 90
    rows[40]["code"], rows[50]["code"] = rows[3]["code"], rows[4]["code"]
    dataset = make_dataset(tmp_path_factory.mktemp("select") / "out", rows, shard_size=20)
    annotate(dataset, ["codes", "duplicates"])
    return dataset


def ids(dataset):
    return [name for table in dataset.tables(["id"]) for name in table["id"].to_pylist()]


def hours(selection):
    return selection.hours


def test_each_clause_says_what_it_leaves_out(source):
    selection = select(source, "code_run < 50 AND duplicate_of IS NULL AND (speaker = 'a' OR speaker = 'b')")
    assert selection.total == 60
    assert list(selection.left_out.values())[:2] == [6, 2]
    assert sum(selection.left_out.values()) == 60 - selection.rows
    assert [reason for reason in selection.left_out if "code_run" in reason]
    assert selection.left_out["over the budget"] == 0
    assert len(selection.examples["kept"]) == 3


def test_what_is_chosen_is_a_dataset_like_any_other(source, tmp_path, capsys):
    where = "code_run < 50 AND duplicate_of IS NULL"
    target = tmp_path / "chosen"
    before = {path: path.read_bytes() for path in source.root.rglob("*") if path.is_file()}
    assert main(["select", str(source.root), "--where", where, "-o", str(target)]) == 0
    assert "kept: 52 of 60 rows" in capsys.readouterr().out
    chosen = Dataset(target)
    assert ids(chosen) == [name for n, name in enumerate(ids(source)) if n not in {*range(10, 16), 40, 50}]
    for before_, after in zip(source.tables(), chosen.tables(), strict=True):
        kept = after["id"].to_pylist()
        assert after.to_pylist() == [row for row in before_.to_pylist() if row["id"] in kept]
    stats = chosen.stats()
    assert (stats["rows"], stats["reasons"]) == (52, {"excluded": 8})
    assert "code_run" in next(iter(chosen.rejections()))["detail"]
    assert list(all_faults(chosen, target)) == []
    chosen.check_files()
    card = (target / "README.md").read_text(encoding="utf-8")
    assert "52 of 60 rows of out chosen" in card
    assert "| 6 |" in card
    found, scan, _ = scanned(chosen)
    assert found["integrity"]["broken_share"] == 0
    assert scan.planned == 60
    assert {path: path.read_bytes() for path in source.root.rglob("*") if path.is_file()} == before


def data_of(root):
    return {path.name: path.read_bytes() for path in sorted((root / "data").iterdir())}


def test_the_same_selection_gives_the_same_rows_and_is_not_made_twice(source, tmp_path):
    options = {"where": "duration > 1", "rows": 20, "balance": "speaker", "seed": 5}
    first = select(source, **options, output=tmp_path / "a")
    assert first.made
    assert not select(source, **options, output=tmp_path / "a").made
    select(source, **options, output=tmp_path / "b")
    assert data_of(tmp_path / "a") == data_of(tmp_path / "b")
    select(source, **options | {"seed": 6}, output=tmp_path / "b")
    assert data_of(tmp_path / "a") != data_of(tmp_path / "b")


def test_a_budget_of_hours_or_rows_is_kept_to_and_nearly_used_up(source):
    everything = select(source).hours
    half = select(source, hours=everything / 2)
    assert everything / 2 * 0.9 < half.hours <= everything / 2
    assert half.left_out["over the budget"] == 60 - half.rows
    assert select(source, rows=7).rows == 7
    assert select(source, rows=1000).rows == 60


def test_speakers_that_take_turns_get_as_much_time_as_there_is(source, tmp_path):
    def seconds(**options):
        select(source, output=tmp_path / "x", **options)
        return Dataset(tmp_path / "x").stats()["distributions"]["speaker"]

    everything = seconds()
    balanced = seconds(hours=sum(everything.values()) / 3600 / 3, balance="speaker")
    assert max(balanced.values()) - min(balanced.values()) < 25
    capped = seconds(balance="speaker", each=30 / 3600)
    assert all(spoken <= 30 for spoken in capped.values())
    assert set(capped) == {"a", "b", "c"}


def test_the_other_rows_can_be_left_out_of_a_dataset_that_is_made(source, tmp_path):
    path = tmp_path / "others.jsonl"
    assert main(["select", str(source.root), "--where", "code_run < 50", "--as-exclude", str(path)]) == 0
    assert read_excluded(str(path)) == {name for n, name in enumerate(ids(source)) if 10 <= n < 16}
    assert "code_run" in json.loads(path.read_text().splitlines()[0])["reason"]


def test_a_preview_writes_nothing(source, tmp_path, capsys):
    arguments = ["--where", "code_run < 50", "--preview", "-o", str(tmp_path / "x")]
    assert main(["select", str(source.root), *arguments]) == 0
    assert list(tmp_path.iterdir()) == []
    said = capsys.readouterr().out
    assert "left out: 6 by (code_run < 50)" in said
    assert ids(source)[10] in said


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("nothing > 3", "The columns are id, text, duration"),
        ("duration >", "syntax error"),
        ("duration > 1; DROP TABLE rows", "just a condition"),
        ("duration > 1 ORDER BY id", "just a condition"),
        ("max(duration) > 1", "The columns are"),
        ("id IN (SELECT content FROM read_text('/etc/passwd'))", "disabled"),
    ],
)
def test_a_wrong_condition_is_one_sentence(source, where, said, capsys):
    assert main(["select", str(source.root), "--where", where]) == 2
    captured = capsys.readouterr().err
    assert said in captured
    assert captured.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"balance": "nobody"}, "no column nobody"),
        ({"each": 1.0}, "goes with --balance"),
        ({"hours": 0.0}, "more than 0"),
        ({"rows": -1}, "more than 0"),
    ],
)
def test_a_wrong_budget_is_one_sentence(source, options, said):
    with pytest.raises(UsageError, match=said):
        select(source, **options)


def test_a_folder_with_other_things_is_not_written_to(source, tmp_path):
    (tmp_path / "note.txt").write_text("mine")
    with pytest.raises(UsageError, match="is not empty"):
        select(source, output=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["note.txt"]


def test_annotations_of_other_rows_are_refused(tmp_path):
    rows = sound_rows(6)
    dataset = make_dataset(tmp_path / "out", rows, shard_size=3)
    annotate(dataset, ["codes"])
    next(Path(tmp_path, "out", "annotations", "codes").glob("*1.json")).unlink()
    with pytest.raises(UsageError, match=r"annotate .* --with codes"):
        select(dataset, "code_run < 50")


def test_a_dataset_without_annotations_is_chosen_from_by_its_rows(tmp_path):
    dataset = make_dataset(tmp_path / "out", sound_rows(30))
    assert 0 < select(dataset, "len(text) > 60").rows < 30


PRESETS = sorted(path.stem for path in (Path(__file__).parents[1] / "configs/select").glob("*.sql"))


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """Rows with every figure that the presets ask for: as good as can be, but for the first, which is bad."""
    dataset = make_dataset(tmp_path_factory.mktemp("presets") / "out", sound_rows(40), shard_size=20)
    good = {"dnsmos_ovrl": 3.5, "dnsmos_p808": 4.2, "text_language_confidence": 1.0, "bandwidth": 2e4}
    good |= {"snr": 50.0, "clipped": 0.0, "edge": -60.0, "wer": 0.0, "code_loop": 0.0, "code_run": 1.0}
    bad = {name: -value for name, value in good.items()} | {"clipped": 1, "edge": 0, "wer": 1}

    class Figures:
        name, version, settings = "figures", 1, {}
        columns = {name: Column(pa.float32(), name) for name in good} | {
            "copy_of": Column(pa.string(), "copy")
        }

        def annotate(self, rows):
            first = [rows.first_row + place == 0 for place in range(len(rows.table))]
            values = {name: [bad[name] if one else good[name] for one in first] for name in good}
            return {**values, "copy_of": ["x" if one else None for one in first]}

    annotate(dataset, [Figures()])
    return dataset


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_keeps_what_is_good_and_leaves_out_what_is_not_and_says_where_it_is_from(name, measured):
    selection = select(measured, f"@{name}")
    assert selection.total - selection.rows in range(1, 9)  # emilia: and outliers of the speaking rate
    assert ids(measured)[0] not in {row for row, _ in selection.examples["kept"]}
    text = (Path(__file__).parents[1] / f"configs/select/{name}.sql").read_text(encoding="utf-8")
    assert ("https://arxiv.org/abs/" in text) is (name != "sound")
    assert "-- Needs: annotate OUT --with" in text


def test_a_condition_may_stand_in_a_file_with_comments(source, tmp_path, capsys):
    (tmp_path / "mine.sql").write_text("-- two clauses\ncode_run < 50\n  -- and\nAND duplicate_of IS NULL\n")
    selection = select(source, f"@{tmp_path / 'mine.sql'}")
    assert list(selection.left_out.values())[:2] == [6, 2]
    assert main(["select", str(source.root), "--where", "@nothing"]) == 2
    said = capsys.readouterr().err
    assert "one of emilia, " in said
    assert said.count("\n") == 1


def test_a_page_shows_distributions_thresholds_hours_and_clips_to_hear(tmp_path, capsys):
    from pipeline.build.dataset import create_dataset

    audio, text = (Path(__file__).parents[1] / "data/sample" / name for name in ("audio", "transcripts.txt"))
    values = {"codec.name": "fake:", "corpus.max_samples": 8, "load.num_workers": 0, "run.annotate": "level"}
    dataset = create_dataset(audio, text, output=tmp_path / "out", settings=values)
    page = tmp_path / "page.html"
    arguments = ["--where", "snr > 30 AND edge < -40", "--report", str(page), "--preview"]
    assert main(["select", str(dataset.root), *arguments]) == 0
    html = page.read_text(encoding="utf-8")
    assert html.index("<h2>snr") < html.index("<h2>loudness")
    assert html.count("hours kept as the threshold moves") == 2 * 2  # caption, and its label
    assert html.count("<line ") >= 2
    assert 2 <= html.count("<audio") == html.count("spectrogram") <= 8
    assert "<script" not in html
    kept = select(dataset, "snr > 30 AND edge < -40")
    assert f"{kept.rows} of 8 rows" in html


def test_figures_come_along_but_for_those_that_compare_rows(source, tmp_path):
    select(source, "code_run < 50 AND speaker = 'a'", output=tmp_path / "chosen")
    chosen = Dataset(tmp_path / "chosen")
    carried = [row for table in read_annotations(chosen, "codes") for row in table.to_pylist()]
    before = {row["id"]: row for table in read_annotations(source, "codes") for row in table.to_pylist()}
    assert carried == [before[name] for name in ids(chosen)]
    assert annotate(chosen, ["codes"]) == 0
    assert not (chosen.root / "annotations" / "duplicates").exists()
    assert select(chosen, "code_entropy > 5").total == len(carried)
