"""The guarantees of the design, on real runs of the whole loop with a codec that only adds up samples."""

from __future__ import annotations

import contextlib
import os
import random
import select
import shutil
import signal
import sys
import time
from collections.abc import Callable
from multiprocessing import forkserver
from pathlib import Path

import datasets
import pyarrow as pa
import pytest
import torch
from engine_helpers import CLIPS, build_corpus, content, make, settings_for

from pipeline.build.create import create
from pipeline.build.dataset import create_dataset
from pipeline.codec.fake import FakeCodec
from pipeline.config import Settings
from pipeline.dataset import rows
from pipeline.dataset.manifest import Manifest, ShardPlan
from pipeline.dataset.reader import Dataset
from pipeline.errors import TooManyRejected, UsageError
from pipeline.storage.claims import claimed

FORMATS = ("jsonl", "arrow", "parquet")
KILLS = 10
SLOW = {"codec.name": "fake:seconds_a_batch=0.01"}


@pytest.fixture
def corpus(tmp_path, make_clip) -> dict[str, str]:
    return build_corpus(tmp_path, make_clip)


def run(root: Path, corpus: dict[str, str], **values: object) -> dict:
    with claimed(root):
        return create(root, settings_for(corpus, **SLOW, **values), lambda line: None).stats()


def killed_after(seconds: float, work: Callable[[], object]) -> bool:
    """Run `work` in a child and kill it with SIGKILL after some time; whether it was still at work then."""
    child = os.fork()
    if child == 0:
        torch.set_num_threads(1)  # the threads of its pool are not there
        os.setsid()  # so that its loader workers can be killed with it, as on a lost machine
        forkserver._forkserver.__init__()  # the server that it has inherited is not its child
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    ended = select.poll()
    ended.register(os.pidfd_open(child), select.POLLIN)
    finished = bool(ended.poll(seconds * 1000))
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    assert not finished or status == 0
    return not finished


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("form", FORMATS)
def test_guarantee_3_killed_at_any_instant_and_run_again_gives_the_same_bytes(
    tmp_path, corpus, form, workers
):
    values = {"output.format": form, "load.num_workers": workers}
    started = time.monotonic()
    run(tmp_path / "whole" / "out", corpus, **values)
    duration = time.monotonic() - started
    instants = random.Random(form + str(workers))
    killed, root = 0, tmp_path / "killed" / "out"
    while killed < KILLS:
        if killed_after(instants.uniform(0, duration), lambda: run(root, corpus, **values)):
            killed += 1
        else:
            assert content(root) == content(tmp_path / "whole" / "out")
            shutil.rmtree(root)
    run(root, corpus, **values)
    assert content(root) == content(tmp_path / "whole" / "out")


def test_guarantee_3_a_finished_dataset_is_left_as_it_is_and_no_codec_loaded(tmp_path, corpus, monkeypatch):
    root = tmp_path / "out"
    first = run(root, corpus)
    before = {
        path: (path.stat().st_mtime_ns, path.read_bytes()) for path in root.rglob("*") if path.is_file()
    }
    monkeypatch.setattr("pipeline.codec.load_codec", None)
    assert run(root, corpus) == first
    assert {p: (p.stat().st_mtime_ns, p.read_bytes()) for p in root.rglob("*") if p.is_file()} == before


def test_guarantee_3_a_full_disk_ends_the_run_and_the_next_one_finishes(tmp_path, corpus, monkeypatch):
    run(tmp_path / "whole" / "out", corpus)
    write, written = rows.WRITERS["jsonl"], []

    def full_on_the_third(path: Path, table: object) -> None:
        written.append(path)
        write(path, table)
        if len(written) == 3:
            raise OSError(28, "No space left on device")

    monkeypatch.setitem(rows.WRITERS, "jsonl", full_on_the_third)
    with pytest.raises(OSError, match="No space left"):
        run(tmp_path / "full" / "out", corpus)
    run(tmp_path / "full" / "out", corpus)
    assert content(tmp_path / "full" / "out") == content(tmp_path / "whole" / "out")


def test_guarantee_2_rows_and_rejections_are_all_that_was_planned(tmp_path, corpus):
    stats = run(tmp_path / "out", corpus)
    dataset = Dataset(tmp_path / "out")
    planned = [row.utterance.id for row in Manifest(dataset.root / "manifest").read_rows()]
    kept = [name for table in dataset.tables(["id"]) for name in table["id"].to_pylist()]
    rejected = {entry["id"]: entry["reason"] for entry in dataset.rejections()}
    assert sorted([*kept, *rejected]) == sorted(planned)
    assert rejected == {"broken": "decode_failed", "gone": "missing_audio"}
    assert (stats["rows"], stats["rejected"], stats["utterances"]) == (CLIPS, 2, CLIPS + 2)


@pytest.mark.parametrize(
    "values", [{"load.batch_seconds": 0.5}, {"load.batch_seconds": 99.0}, {"load.num_workers": 2}]
)
def test_guarantee_1_codes_do_not_depend_on_batches_or_workers(tmp_path, corpus, values):
    run(tmp_path / "a", corpus)
    run(tmp_path / "b", corpus, **values)
    for name in ("data", "rejected", "manifest"):
        assert content(tmp_path / "a" / name) == content(tmp_path / "b" / name)


def test_guarantee_1_codes_do_not_depend_on_shards(tmp_path, corpus):
    run(tmp_path / "a", corpus)
    run(tmp_path / "b", corpus, **{"output.shard_size": 3})
    first, second = (pa.concat_tables(Dataset(tmp_path / name).tables()) for name in "ab")
    assert first.equals(second)


@pytest.mark.parametrize("form", FORMATS)
def test_load_dataset_gives_the_rows_with_codes_as_uint16(tmp_path, corpus, form):
    run(tmp_path / "out", corpus, **{"output.format": form})
    loaded = datasets.load_dataset(str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))["train"]
    assert loaded.features["code"] == datasets.List(datasets.Value("uint16"))
    written = [row for table in Dataset(tmp_path / "out").tables() for row in table.to_pylist()]
    assert loaded.to_list() == written
    assert len(written) == CLIPS


def test_guarantee_4_a_corpus_that_grows_leaves_old_shards_byte_for_byte(tmp_path, corpus, make_clip):
    root = tmp_path / "out"
    run(root, corpus)
    before = content(root / "data")
    make_clip("late.wav")
    with (tmp_path / "text.txt").open("a") as file:
        file.write("late:late text\n")
    stats = run(root, corpus)
    after = content(root / "data")
    assert stats["rows"] == CLIPS + 1
    assert {name: after[name] for name in before} == before
    assert len(after) == len(before) + 1


def test_guarantee_4_a_changed_file_has_its_shard_redone(tmp_path, corpus, make_clip):
    root = tmp_path / "out"
    run(root, corpus)
    before = content(root / "data")
    make_clip("u07.wav", seconds=1.0)
    run(root, corpus)
    after = content(root / "data")
    assert [name for name in before if before[name] != after[name]] == ["train-00001.jsonl"]
    table = Dataset(root).table(1)
    assert table["duration"][table["id"].index("u07").as_py()].as_py() == 1.0


def test_guarantee_5_a_second_run_on_the_same_output_stops_with_a_clear_message(tmp_path, corpus):
    with claimed(tmp_path / "out"), pytest.raises(UsageError, match="another run is writing to"):
        run(tmp_path / "out", corpus)


def test_guarantee_6_few_shards_are_open_at_once_however_many_there_are(tmp_path, corpus, monkeypatch):
    read = []
    real = ShardPlan.read

    def noted(plan: ShardPlan) -> pa.Table:
        written = len(list((tmp_path / "out" / "state").glob("*")))
        read.append(plan.shard - written)
        return real(plan)

    monkeypatch.setattr("pipeline.dataset.manifest.ShardPlan.read", noted)
    run(tmp_path / "out", corpus, **{"output.shard_size": 1, "load.num_workers": 0})
    assert max(read) <= 8


def test_other_weights_do_not_go_on_with_a_dataset(tmp_path, corpus, monkeypatch):
    run(tmp_path / "out", corpus)
    (tmp_path / "out" / "state" / "train-00000.json").unlink()
    monkeypatch.setattr(
        "pipeline.codec.load_codec", lambda settings, decoder=True: FakeCodec(fingerprint="other")
    )
    with pytest.raises(UsageError, match="not those that made the shards"):
        run(tmp_path / "out", corpus)


def test_a_rejected_clip_is_tried_again_when_asked(tmp_path, corpus):
    root = tmp_path / "out"
    run(root, corpus)
    broken = tmp_path / "audio" / "broken.wav"
    times = broken.stat().st_atime_ns, broken.stat().st_mtime_ns
    broken.write_bytes(b"not audio   ")  # of the same size
    os.utime(broken, ns=times)
    assert run(root, corpus)["reasons"] == {"decode_failed": 1, "missing_audio": 1}
    with claimed(root):
        again = create(root, settings_for(corpus, **SLOW), lambda line: None, retry_rejected=True)
    assert again.stats()["reasons"] == {"missing_audio": 1, "not_audio": 1}


def test_too_many_rejections_are_an_exit_status_of_their_own_after_all_work_is_done(tmp_path, corpus):
    settings = settings_for(corpus, **{"limits.max_reject_rate": 0.05})
    for _ in range(2):
        with pytest.raises(TooManyRejected, match=r"7.7% of the utterances were rejected") as raised:
            create_dataset(output=tmp_path / "out", config=settings)
        assert raised.value.exit_status == 3
    assert sum(state.rows for state in Dataset(tmp_path / "out").states()) == CLIPS


def test_a_state_says_which_codec_made_its_codes_and_how_exactly(tmp_path, corpus):
    name = "fake:precision=bf16,licence=CC-BY-NC-4.0"
    root = make(tmp_path / "out", settings_for(corpus, **{"codec.name": name}))
    (codec,) = Dataset(root).stats()["codecs"]
    assert (codec["precision"], codec["licence"], codec["extra_codes"]) == ("bf16", "CC-BY-NC-4.0", 1)


def test_a_clip_too_short_for_one_code_is_rejected_not_written_empty(tmp_path, corpus, monkeypatch):
    class Coarse(FakeCodec):
        def encode(self, waveforms, lengths):
            return [codes[8:] for codes in super().encode(waveforms, lengths)]

    monkeypatch.setattr("pipeline.codec.load_codec", lambda settings, decoder=True: Coarse())
    stats = run(tmp_path / "out", corpus)
    assert stats["reasons"]["too_short"] > 0
    assert min(len(c) for table in Dataset(tmp_path / "out").tables(["code"]) for c in table["code"]) > 0


def test_a_run_reads_each_state_once_on_a_dataset_of_200_shards(tmp_path, make_clip):
    first = make_clip("u000.wav", seconds=0.1)
    for i in range(1, 200):
        os.link(first, first.with_name(f"u{i:03d}.wav"))
    text = tmp_path / "text.txt"
    text.write_text("".join(f"u{i:03d}:text {i}\n" for i in range(200)))
    settings = Settings().with_values(
        {"corpus.audio": str(first.parent), "corpus.text": str(text), "codec.name": "fake:"}
        | {"output.shard_size": 1, "load.num_workers": 0}
    )
    create_dataset(output=tmp_path / "out", config=settings)

    def reads() -> int:
        opened.clear()
        create_dataset(output=tmp_path / "out", config=settings)
        return sum("/out/state/train-" in path for path in opened)

    opened: list[str] = []
    watching = [True]  # a hook stays as long as the process

    def hook(event: str, given: tuple[object, ...]) -> None:
        if event == "open" and watching:
            opened.append(str(given[0]))

    sys.addaudithook(hook)
    assert reads() == 200
    make_clip("late.wav")
    with text.open("a") as file:
        file.write("late:late text\n")
    assert reads() <= 200 + 3  # the new one: not there yet, written, and read back
    watching.clear()
