"""`create --annotate`: figures of recordings that are decoded for encoding anyway."""

import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from engine_helpers import build_corpus, settings_for

from pipeline.__main__ import main
from pipeline.annotate.api import annotate
from pipeline.annotate.files import read_annotations
from pipeline.build.dataset import create_dataset
from pipeline.dataset.reader import Dataset
from pipeline.errors import TooManyRejected, UsageError

ROOT = Path(__file__).parents[1]
NAMES = "level,fingerprint,codes,duplicates,copies"


@pytest.fixture
def corpus(tmp_path, make_clip):
    return build_corpus(tmp_path, make_clip)


def annotations(root):
    folder = root / "annotations"
    return {path.relative_to(folder): path.read_bytes() for path in sorted(folder.rglob("*.*"))}


def made(root, corpus, **values):
    return create_dataset(output=root, config=settings_for(corpus, **values))


@pytest.fixture
def later(tmp_path, corpus):
    """What annotating a finished dataset gives, by format."""

    def give(form="jsonl"):
        dataset = made(tmp_path / "later" / form / "out", corpus, **{"output.format": form})
        annotate(dataset, NAMES.split(","))
        return annotations(dataset.root)

    return give


@pytest.mark.parametrize("workers", [0, 2])
def test_measured_while_encoding_gives_the_bytes_of_measuring_later(
    tmp_path, corpus, later, workers, monkeypatch
):
    expected = later()
    values = {"run.annotate": NAMES, "load.num_workers": workers}
    monkeypatch.setattr("pipeline.annotate.listening.decode", None)  # nothing is decoded again
    dataset = made(tmp_path / "out", corpus, **values)
    assert annotations(dataset.root) == expected
    assert {path.parts[0] for path in expected} == set(NAMES.split(","))
    made(tmp_path / "out", corpus, **values)
    assert annotations(dataset.root) == expected


def test_shards_that_were_there_before_are_measured_too(tmp_path, corpus, later):
    made(tmp_path / "out", corpus)
    dataset = made(tmp_path / "out", corpus, **{"run.annotate": NAMES})
    assert annotations(dataset.root) == later()


def test_rows_are_measured_also_where_too_many_clips_were_rejected(tmp_path, corpus, later):
    with pytest.raises(TooManyRejected):
        made(tmp_path / "out", corpus, **{"run.annotate": NAMES, "limits.max_reject_rate": 0.0})
    assert annotations(tmp_path / "out") == later()


RUN = """
import json, sys
from engine_helpers import settings_for
from pipeline.build.dataset import create_dataset
values = {"run.annotate": sys.argv[2], "output.format": sys.argv[3]}
create_dataset(output=sys.argv[1], config=settings_for(json.loads(sys.argv[4]), **values))
"""


@pytest.mark.parametrize("form", ["jsonl", "arrow", "parquet"])
def test_killed_at_any_instant_and_run_again_gives_the_same_bytes(tmp_path, corpus, later, form):
    expected, root, instants = later(form), tmp_path / "out", random.Random(form)
    paths = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    command = [sys.executable, "-c", RUN, str(root), NAMES, form, json.dumps(corpus)]
    for _ in range(2):
        child = subprocess.Popen(
            command, cwd=ROOT, env={**os.environ, "PYTHONPATH": paths}, start_new_session=True
        )
        try:
            child.wait(instants.uniform(1, 8))
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
    made(root, corpus, **{"run.annotate": NAMES, "output.format": form})
    assert annotations(root) == expected


FAILING = """
import pyarrow as pa
from pipeline.annotate.protocol import Column

class Mine:
    name, version, settings = "mine", 1, {}
    columns = {"mine": Column(pa.int32(), "something")}

    def hear(self, waveform, rate):
        raise ValueError("no such thing")

annotator = Mine()
"""


def test_an_annotator_that_fails_is_one_sentence_and_the_rows_are_there(tmp_path, corpus, monkeypatch):
    (tmp_path / "mine.py").write_text(FAILING)
    with pytest.raises(UsageError, match=r"mine fails at row \S+: ValueError: no such thing$"):
        made(tmp_path / "out", corpus, **{"run.annotate": str(tmp_path / "mine.py")})
    assert Dataset(tmp_path / "out").stats()["rows"] > 0


def test_a_name_that_is_no_annotator_is_told_before_anything_is_made(tmp_path, corpus, capsys):
    arguments = ["create", "-o", str(tmp_path / "out"), "--annotate", "level,nothing"]
    assert main(arguments) == 2
    assert "there are codes" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_every_row_is_measured_by_what_was_asked_for(tmp_path, corpus):
    dataset = made(tmp_path / "out", corpus, **{"run.annotate": "level"})
    tables = list(read_annotations(dataset, "level"))
    assert sum(map(len, tables)) == dataset.stats()["rows"]
    assert all(table["loudness"].null_count == 0 for table in tables)
