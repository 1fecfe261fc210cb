"""Figures for every row: what they say, and that they are the row's own however they are measured."""

import contextlib
import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile
import yaml
from validate_helpers import make_dataset, sound_rows

from pipeline.__main__ import main
from pipeline.annotate.annotators.duplicates import Duplicates, signatures
from pipeline.annotate.annotators.level import Level
from pipeline.annotate.api import annotate
from pipeline.annotate.files import AnnotationFile, read_annotations
from pipeline.dataset.reader import Dataset
from pipeline.dataset.summary import finish
from pipeline.errors import UsageError
from pipeline.ragged import from_lists
from pipeline.storage.claims import Rank

ROOT = Path(__file__).parents[1]
RATE = 16_000


def figures(dataset, name):
    """All rows' figures, in order."""
    return [row for table in read_annotations(dataset, name) for row in table.to_pylist()]


def files(root):
    return {path.relative_to(root): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


@pytest.fixture
def rows():
    return sound_rows(60)


@pytest.fixture
def heard(tmp_path, rows):
    """A dataset whose recordings are there: speech-like noise, the third one clipped, the fourth late."""
    clips = tmp_path / "clips"
    (clips / "set").mkdir(parents=True)
    random = np.random.default_rng(0)
    lines = []
    for number, row in enumerate(rows[:8]):
        clip = random.normal(0, 0.1, RATE) * np.repeat(random.uniform(0.1, 1, 50), RATE // 50)
        if number == 2:
            clip = np.clip(clip * 20, -0.5, 0.5)
        if number == 3:
            clip = np.concatenate([np.full(RATE, 1e-4), clip])
        soundfile.write(clips / row["audio"], clip, RATE)
        lines.append(f"{row['id']}:{row['text']}\n")
    (tmp_path / "text.txt").write_text("".join(lines))
    dataset = make_dataset(tmp_path / "out", rows[:8], shard_size=4)
    config = yaml.safe_load((dataset.root / "config.yaml").read_text())
    config["settings"]["corpus"] |= {"audio": str(clips), "text": str(tmp_path / "text.txt")}
    (dataset.root / "config.yaml").write_text(yaml.safe_dump(config))
    return Dataset(dataset.root)


@pytest.mark.parametrize("form", ["jsonl", "arrow", "parquet"])
def test_codes_tell_runs_loops_and_how_much_they_say(tmp_path, rows, form):
    rows[3]["code"] = [7] * 100
    rows[4]["code"] = [1, 2, 3] * 40
    dataset = make_dataset(tmp_path / "out", rows, form=form, shard_size=25)
    assert annotate(dataset, ["codes"]) == 3
    found = figures(dataset, "codes")
    assert [row["id"] for row in found] == [row["id"] for row in rows]
    assert (found[3]["code_run"], found[3]["code_tail"], found[3]["code_entropy"]) == (100, 100, 0)
    assert found[4]["code_loop"] == 120
    assert found[4]["code_entropy"] == pytest.approx(np.log2(3), abs=1e-3)
    assert all(row["code_distinct"] > 0.9 for row in found[5:])


def test_levels_are_those_of_the_recordings(heard):
    annotate(heard, ["level"])
    found = figures(heard, "level")
    assert found[2]["clipped"] > 0.05 > 1e-3 > found[0]["clipped"]
    assert found[2]["peak"] == pytest.approx(-6, abs=0.1)
    assert found[3]["leading_silence"] == pytest.approx(1, abs=0.05)
    assert found[3]["snr"] > found[0]["snr"]
    assert all(row["bandwidth"] > 7_000 for row in found)


def test_a_recording_that_cannot_be_decoded_has_no_figures_and_ends_nothing(heard, tmp_path, rows):
    (tmp_path / "clips" / rows[1]["audio"]).write_bytes(b"no audio")
    annotate(heard, ["level"])
    found = figures(heard, "level")
    assert found[1]["loudness"] is None
    assert found[0]["loudness"] is not None


def test_recordings_out_of_reach_are_one_sentence(heard, tmp_path, capsys):
    shutil.rmtree(tmp_path / "clips")
    assert main(["annotate", str(heard.root), "--with", "level"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_row_has_the_same_figures_in_any_shard_and_with_any_number_of_threads(heard, tmp_path, rows):
    annotate(heard, ["codes", "language", "level"], threads=1)
    other = make_dataset(tmp_path / "other", rows[:8], shard_size=3)
    where = {"audio": tmp_path / "clips", "text": tmp_path / "text.txt"}
    annotate(other, ["level", "codes", "language"], threads=4, **where)
    for name in ("codes", "language", "level"):
        assert figures(heard, name) == figures(other, name)


def test_a_clip_has_the_same_figures_whatever_was_heard_before():
    random = np.random.default_rng(0)
    clips = [random.normal(0, 0.1, length).astype(np.float32) for length in (800, 16_000, 40_000)]
    level = Level()
    alone = [Level().hear(clip, RATE) for clip in clips]
    assert [level.hear(clip, RATE) for clip in reversed(clips)] == alone[::-1]


def test_languages_are_those_of_the_texts_whatever_the_dataset_says(tmp_path):
    rows = sound_rows(3)
    rows[1]["text"] = "Il fait beau aujourd'hui et nous allons au marché."
    rows[2]["text"] = "今日は天気がいいですね。"
    dataset = make_dataset(tmp_path / "out", rows)  # which says that all are English
    annotate(dataset, ["language"])
    assert [row["text_language"] for row in figures(dataset, "language")] == ["en", "fr", "ja"]


def test_a_row_that_repeats_much_of_an_earlier_one_is_named_with_it(tmp_path, rows):
    rows[40]["code"] = list(rows[5]["code"])
    near = list(rows[6]["code"])
    near[:: len(near) // 4] = [9] * len(near[:: len(near) // 4])
    rows[50]["code"] = near
    dataset = make_dataset(tmp_path / "out", rows, shard_size=20)
    annotate(dataset, ["duplicates"])
    found = {n: row for n, row in enumerate(figures(dataset, "duplicates")) if row["duplicate_of"]}
    assert {n: row["duplicate_of"] for n, row in found.items()} == {40: rows[5]["id"], 50: rows[6]["id"]}
    assert found[40]["duplicate_similarity"] == 1
    assert 0.6 < found[50]["duplicate_similarity"] < 1


def test_a_signature_estimates_the_share_of_common_runs_and_is_the_rows_own():
    random = np.random.default_rng(0)
    first = random.integers(0, 65_536, 400)
    half = np.concatenate([first[:200], random.integers(0, 65_536, 200)])
    both = signatures(from_lists([first.tolist(), half.tolist(), [5], []]))
    assert (both[0] == both[1]).mean() == pytest.approx(1 / 3, abs=0.15)
    assert (signatures(from_lists([half.tolist()]))[0] == both[1]).all()
    assert (both[2] != both[3]).any()


def test_what_is_measured_is_not_measured_again_and_what_changed_is(tmp_path, rows):
    dataset = make_dataset(tmp_path / "out", rows, shard_size=20)
    assert annotate(dataset, ["codes", "duplicates"]) == 3
    before = files(dataset.root / "annotations")
    assert annotate(dataset, ["codes", "duplicates"]) == 0
    AnnotationFile(dataset, "codes", 1).data.write_bytes(b"cut short")
    AnnotationFile(dataset, "codes", 2).mark.write_text("")
    assert annotate(dataset, ["codes", "duplicates"]) == 2
    assert files(dataset.root / "annotations") == before
    rows[30]["code"] = [3] * len(rows[30]["code"])
    shutil.rmtree(tmp_path / "out" / "data")
    shutil.move(tmp_path / "out" / "annotations", tmp_path / "kept")
    shutil.rmtree(tmp_path / "out")
    changed = make_dataset(tmp_path / "out", rows, shard_size=20)
    shutil.move(tmp_path / "kept", tmp_path / "out" / "annotations")
    with pytest.raises(UsageError, match="run annotate"):
        figures(changed, "codes")
    assert annotate(changed, ["codes"]) == 1  # the shard that is another
    assert figures(changed, "codes")[30]["code_entropy"] == 0


KILLED = """
import os, signal, sys
from pipeline.annotate import files
replacing = files.replacing
def write(path, writer):
    if path.name.endswith("00001.json"):
        os.kill(os.getpid(), signal.SIGKILL)
    return replacing(path, writer)
files.replacing = write
from pipeline.annotate.api import annotate
annotate(sys.argv[1], ["codes", "duplicates"])
"""


@pytest.mark.parametrize("form", ["jsonl", "arrow", "parquet"])
def test_killed_and_run_again_gives_the_same_bytes(tmp_path, rows, form):
    whole = make_dataset(tmp_path / "a", rows, form=form, shard_size=20)
    annotate(whole, ["codes", "duplicates"])
    cut = make_dataset(tmp_path / "b", rows, form=form, shard_size=20)
    done = subprocess.run([sys.executable, "-c", KILLED, str(cut.root)], cwd=ROOT, check=False)
    assert done.returncode == -signal.SIGKILL
    assert 0 < len(files(cut.root / "annotations")) < len(files(whole.root / "annotations"))
    assert annotate(Dataset(cut.root), ["codes", "duplicates"]) > 0
    assert files(cut.root / "annotations") == files(whole.root / "annotations")


def test_parts_and_a_run_after_them_give_the_bytes_of_one_run(tmp_path, rows, capsys):
    whole = make_dataset(tmp_path / "whole" / "out", rows, shard_size=20)
    copies = [tmp_path / name / "out" for name in ("forth", "back", "left")]
    for copy in copies:
        shutil.copytree(whole.root, copy)
    annotate(whole, ["codes", "duplicates"])
    for copy, order in zip(copies, ((0, 1), (1, 0)), strict=False):
        words = ["annotate", str(copy), "--with", "codes,duplicates", "--num-parts", "2", "--part"]
        for number in order:
            assert main([*words, str(number)]) == 0
        assert files(copy).items() >= files(whole.root).items()
        said = capsys.readouterr().out
        assert ("without --part: 2 shards" in said) == (order == (1, 0))
        assert main([*words, "1"]) == 0
        assert "nothing to do" in capsys.readouterr().out
    left = Dataset(copies[2])
    assert annotate(left, ["codes", "duplicates"], rank=Rank(1, 2), say=print) == 1
    assert not (left.root / "annotations" / "duplicates").exists()
    assert annotate(left, ["codes", "duplicates"]) == 3
    assert files(left.root).items() >= files(whole.root).items()  # and the locks of parts


def test_the_card_says_how_to_join_and_stays_true(tmp_path, rows):
    dataset = make_dataset(tmp_path / "out", rows, form="parquet", shard_size=20)
    finish(dataset, dataset.root)
    plain = (dataset.root / "README.md").read_text("utf-8")
    annotate(dataset, ["codes"])
    card = (dataset.root / "README.md").read_text("utf-8")
    assert "annotations/" not in plain
    assert finish(Dataset(dataset.root), dataset.root) == []  # what a later run of `create` looks at
    (dataset.root / "README.md").write_text(plain)  # killed before the card was written
    assert annotate(dataset, ["codes"]) == 0
    assert (dataset.root / "README.md").read_text("utf-8") == card
    lines = card.split("to be joined by `id`:\n```python\n")[1].split("```")[0]
    datasets = pytest.importorskip("datasets")
    names = {
        "rows": datasets.Dataset(pa.concat_tables(dataset.tables())),
        "load_dataset": datasets.load_dataset,
    }
    with contextlib.chdir(dataset.root):
        exec(
            lines.replace("rows.to", "joined = rows.to").replace(
                "split=", f"cache_dir={str(tmp_path / 'c')!r}, split="
            ),
            names,
        )
    assert names["joined"]["code_entropy"].tolist() == [
        row["code_entropy"] for row in figures(dataset, "codes")
    ]


def test_a_dataset_keeps_its_files_and_its_rows_when_it_is_annotated(tmp_path, rows):
    datasets = pytest.importorskip("datasets")
    dataset = make_dataset(tmp_path / "out", rows, form="parquet")
    before = files(dataset.root)
    assert main(["annotate", str(dataset.root), "--with", "codes"]) == 0
    after = files(dataset.root)
    assert {path: after[path] for path in before} == before
    data = str(dataset.root / "data" / "*.parquet")
    loaded = datasets.load_dataset("parquet", data_files=data, split="train", cache_dir=str(tmp_path / "c"))
    assert loaded["id"][:] == [row["id"] for row in rows]


def test_the_files_are_plain_parquet_for_duckdb_and_pandas(tmp_path, rows):
    import duckdb
    import pandas

    dataset = make_dataset(tmp_path / "out", rows, form="parquet", shard_size=20)
    annotate(dataset, ["codes"])
    data, noted = (str(dataset.root / folder / "train-*.parquet") for folder in ("data", "annotations/codes"))
    joined = f"SELECT count(*) FROM '{data}' JOIN '{noted}' USING (id) WHERE code_entropy > 5"
    assert duckdb.sql(joined).fetchall() == [(60,)]
    frame = pandas.read_parquet(dataset.root / "annotations" / "codes" / "train-00001.parquet")
    assert frame["id"].tolist() == [row["id"] for row in rows[20:40]]
    schema = pq.read_schema(dataset.root / "annotations" / "codes" / "train-00001.parquet")
    assert b"bits a code" in schema.field("code_entropy").metadata[b"meaning"]


OWN = """
import pyarrow as pa
from pipeline.annotate.protocol import Column

class Words:
    name, version, settings = "words", 1, {}
    columns = {"words": Column(pa.int32(), "words of the text")}

    def annotate(self, rows):
        return {"words": [len(text.split()) for text in rows.table["text"].to_pylist()]}

annotator = Words()
"""


def test_a_users_own_annotator_is_a_python_file(tmp_path, rows):
    (tmp_path / "words.py").write_text(OWN)
    dataset = make_dataset(tmp_path / "out", rows)
    assert main(["annotate", str(dataset.root), "--with", str(tmp_path / "words.py")]) == 0
    assert [row["words"] for row in figures(dataset, "words")] == [len(row["text"].split()) for row in rows]


@pytest.mark.parametrize(
    ("names", "said"),
    [("nothing", "there are codes"), ("none.py", "no annotator none.py"), ("codes,level", "cannot|not|no ")],
)
def test_what_does_not_fit_is_one_sentence(tmp_path, names, said, capsys):
    dataset = make_dataset(tmp_path / "out", sound_rows(3))
    assert main(["annotate", str(dataset.root), "--with", names]) == 2
    captured = capsys.readouterr().err
    assert captured.count("\n") == 1
    assert any(part in captured for part in said.split("|"))


def test_a_damaged_dataset_is_not_annotated(tmp_path, rows):
    dataset = make_dataset(tmp_path / "out", rows, shard_size=20)
    dataset.files(1).data.unlink()
    with pytest.raises(UsageError, match="train-00001"):
        annotate(Dataset(dataset.root), ["codes"])
    assert not (dataset.root / "annotations").exists()


def test_the_marks_say_what_measured_what(tmp_path, rows):
    dataset = make_dataset(tmp_path / "out", rows)
    annotate(dataset, [Duplicates()])
    mark = json.loads(AnnotationFile(dataset, "duplicates", 0).mark.read_text())
    assert (mark["annotator"], mark["version"]) == ("duplicates", 1)
    assert mark["settings"]["hashes"] == 64
    assert "similarity" in " ".join(mark["columns"])
