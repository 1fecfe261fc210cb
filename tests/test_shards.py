import json

import pyarrow as pa
import pytest

from pipeline.config import Settings
from pipeline.dataset import rows
from pipeline.dataset.folder import clean, open_or_init
from pipeline.dataset.reader import Dataset
from pipeline.dataset.stats import totals
from pipeline.dataset.writer import write_shard
from pipeline.errors import PipelineError, UsageError
from pipeline.storage.claims import claimed
from pipeline.utterance import Reason, Rejection

MARKS = {
    "inputs": "abc",
    "codec": {"name": "fake", "fingerprint": "f"},
    "timings": {"load": 1.0, "encode": 3.0},
}


def table(*seconds):
    content = [
        {"id": f"u{i}", "text": "word " * (i + 1), "code": [i, 65535], "duration": s, "sample_rate": 16000}
        | {"language": "en", "audio": f"{i}.wav"}
        for i, s in enumerate(seconds)
    ]
    return pa.Table.from_pylist(content, schema=rows.schema([n for n in rows.SCHEMA.names if n != "speaker"]))


@pytest.fixture
def dataset(tmp_path):
    return settle_at(tmp_path / "out")


def settle_at(root, **output):
    root.mkdir(exist_ok=True)
    return open_or_init(root, Settings().with_values(output))


def test_a_shard_is_done_when_its_state_is_there(dataset):
    files = dataset.files(0)
    assert files.read_state() is None
    rejection = Rejection("x", "x.wav", Reason.SILENT, "no sound")
    state = write_shard(files, table(1.5, 2.5), [rejection], MARKS)
    assert files.read_state() == state
    assert (state.rows, state.rejected, state.reasons, state.seconds) == (2, 1, {"silent": 1}, 4.0)
    assert [path.name for path in sorted(dataset.root.rglob("train-*"))] == [
        "train-00000.jsonl",
        "train-00000.jsonl",
        "train-00000.json",
    ]
    assert list(dataset.rejections()) == [
        {"id": "x", "audio": "x.wav", "reason": "silent", "detail": "no sound"}
    ]


def test_a_failure_while_writing_leaves_the_shard_undone(dataset, monkeypatch):
    write_shard(dataset.files(0), table(1.0), [], MARKS)

    def full(path, table):
        path.write_text("half")
        raise OSError(28, "No space left on device")

    monkeypatch.setitem(rows.WRITERS, "jsonl", full)
    with pytest.raises(OSError, match="No space"):
        write_shard(dataset.files(0), table(1.0, 2.0), [], MARKS)
    assert dataset.files(0).read_state() is None
    assert list(dataset.root.rglob(".*.tmp")) == []


def test_totals_add_up_shards(dataset):
    write_shard(dataset.files(0), table(1.5, 2.5), [], MARKS)
    write_shard(dataset.files(1), table(2.0), [Rejection("x", "", Reason.SILENT, "d")], MARKS)
    stats = totals(dataset.states())
    assert (stats["rows"], stats["rejected"], stats["utterances"], stats["codes"]) == (3, 1, 4, 6)
    assert stats["distributions"]["duration"] == {"1": 1, "2": 2}
    assert stats["distributions"]["language"] == {"en": 6.0}
    assert "speaker" not in stats["distributions"]
    assert stats["times_real_time"] == 0.8


def test_other_settings_are_refused_and_named(tmp_path):
    settle_at(tmp_path / "out")
    with pytest.raises(UsageError, match=r"output\.shard_size was 1000 and is now 7") as raised:
        settle_at(tmp_path / "out", **{"output.shard_size": 7})
    assert isinstance(raised.value, PipelineError)
    assert raised.value.exit_status == 2


def test_settings_that_change_no_result_are_accepted(tmp_path):
    settle_at(tmp_path / "out")
    settle_at(tmp_path / "out", **{"load.num_workers": 7, "codec.device": "cpu"})


def test_a_folder_of_something_else_is_refused(tmp_path):
    (tmp_path / "thesis.doc").touch()
    with pytest.raises(UsageError, match=r"not a dataset \(thesis.doc is in it\)"):
        open_or_init(tmp_path, Settings())


def test_a_second_run_on_the_same_folder_stops(tmp_path):
    with (
        claimed(tmp_path / "out"),
        pytest.raises(UsageError, match="another run is writing"),
        claimed(tmp_path / "out"),
    ):
        pass


def test_what_a_killed_run_left_is_cleaned_and_nothing_else(dataset):
    write_shard(dataset.files(0), table(1.0), [], MARKS)
    (dataset.root / "data" / ".train-00001.jsonl.tmp").write_text("half")
    clean(dataset.root)
    assert sorted(path.name for path in (dataset.root / "data").iterdir()) == ["train-00000.jsonl"]


def test_reading_what_is_no_dataset_is_one_clear_error(tmp_path):
    with pytest.raises(UsageError, match="is not a dataset that `create` made"):
        Dataset(tmp_path)


def test_rejections_are_valid_json_whatever_the_names(dataset):
    rejection = Rejection('a"b\n日本', "a\u2028.wav", Reason.SILENT, "d")
    write_shard(dataset.files(0), table(), [rejection], MARKS)
    lines = dataset.files(0).rejected.read_text(encoding="utf-8").split("\n")
    assert json.loads(lines[0])["id"] == 'a"b\n日本'
    assert lines[1:] == [""]
