"""What the system refuses, and outputs that are something else: one sentence, and nothing left behind."""

from __future__ import annotations

import errno
import os
import resource
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

import pytest
from engine_helpers import build_corpus, content, settings_for

from pipeline.__main__ import main, run_command
from pipeline.build.dataset import create_dataset
from pipeline.dataset import rows
from pipeline.errors import UsageError
from pipeline.storage.files import checksum, replacing

ROOT = Path(__file__).parents[1]


@pytest.fixture
def command(tmp_path, make_clip) -> list[str]:
    corpus = build_corpus(tmp_path, make_clip)
    words = [
        "create",
        corpus["corpus.audio"],
        corpus["corpus.text"],
        "--codec",
        "fake:",
        "--num-workers",
        "0",
    ]
    return [*words, "--num-workers", "0", "--shard-size", "5", "-o"]


def raised(error: BaseException) -> None:
    raise error


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.ENOSPC, "free some space"),
        (errno.EIO, "check the disk"),
        (errno.EMFILE, "ulimit -n"),
        (errno.EROFS, "take a folder that can be written to"),
        (errno.EDEADLK, "mend that"),
    ],
)
def test_what_the_system_refuses_is_one_sentence_with_the_file_and_what_to_do(number, remedy, capsys):
    assert run_command(lambda: raised(OSError(number, "x", "/data/out/a.jsonl"))) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"error: /data/out/a.jsonl: {os.strerror(number)}; ")
    assert remedy in said
    assert len(said.splitlines()) == 1


def test_a_disk_that_fails_while_an_input_is_read_is_no_wrong_setting(tmp_path, capsys):
    def read() -> int:
        try:
            raise OSError(errno.EIO, "x", str(tmp_path / "text.txt"))
        except OSError as error:
            raise UsageError("cannot read the transcripts: give others") from error

    assert run_command(read) == 1
    assert capsys.readouterr().err.startswith(
        f"error: {tmp_path / 'text.txt'}: Input/output error; check the disk"
    )


def test_an_error_of_ours_keeps_its_traceback():
    with pytest.raises(OSError, match="a bug"):
        run_command(lambda: raised(OSError("a bug")))


def test_a_failed_write_or_read_names_its_file(tmp_path):
    target = tmp_path / "a.jsonl"
    with pytest.raises(OSError, match="No space left") as caught, replacing(target):
        raise OSError(errno.ENOSPC, "No space left on device")  # as a file's write() raises it
    assert caught.value.filename == str(target)
    with pytest.raises(IsADirectoryError) as caught:
        checksum(tmp_path)
    assert caught.value.filename == str(tmp_path)


def test_a_disk_that_fills_up_ends_the_command_with_status_1_and_the_next_one_finishes(
    tmp_path, command, monkeypatch, capsys
):
    write = rows.WRITERS["jsonl"]

    def full(path: Path, table: object) -> None:
        write(path, table)
        raise OSError(errno.ENOSPC, "No space left on device")

    out = str(tmp_path / "out")
    with monkeypatch.context() as patch:
        patch.setitem(rows.WRITERS, "jsonl", full)
        assert main([*command, out]) == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert "train-00000.jsonl: No space left on device; free some space" in said
    assert main([*command, out]) == 0


def test_a_reader_that_closes_the_output_is_told_without_a_traceback(tmp_path, command):
    run = subprocess.Popen(
        [sys.executable, "-m", "pipeline", *command, str(tmp_path / "out")],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert run.stdout is not None
    assert run.stderr is not None
    run.stdout.close()
    assert run.stderr.read().splitlines()[-1] == "error: the output was closed before the end"
    run.stderr.close()
    assert run.wait() == 1


@pytest.mark.parametrize("verb", ["create", "plan"])
@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("thesis", "not a dataset (thesis.doc is in it)"),
        ("letter.txt", "letter.txt is a file"),
        ("own.jsonl", "own.jsonl is there and was not made by `create`"),
        ("folder.jsonl", "folder.jsonl is there and was not made by `create`"),
    ],
)
def test_an_output_that_is_something_else_is_left_as_it_is(tmp_path, command, verb, name, sentence, capsys):
    place = tmp_path / "place"
    for folder in ("thesis", "folder.jsonl"):
        (place / folder).mkdir(parents=True)
    (place / "thesis/thesis.doc").write_text("mine")
    (place / "letter.txt").write_text("mine")
    (place / "own.jsonl").write_text("mine")
    before = sorted(place.rglob("*"))
    assert main([verb, *command[1:], str(place / name)]) == 2
    assert sentence in capsys.readouterr().err
    assert sorted(place.rglob("*")) == before


def test_a_part_leaves_no_lock_in_a_folder_of_something_else(tmp_path, command, capsys):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis/thesis.doc").touch()
    parts = ["--num-parts", "2", "--part", "0"]
    assert main([*command[:-1], *parts, "-o", str(tmp_path / "thesis")]) == 2
    assert [path.name for path in (tmp_path / "thesis").iterdir()] == ["thesis.doc"]


def test_other_settings_leave_a_finished_dataset_without_new_files(tmp_path, command):
    assert main([*command, str(tmp_path / "out")]) == 0
    (tmp_path / "out/.lock").unlink()
    assert main([*command, str(tmp_path / "out"), "--shard-size", "6"]) == 2
    assert not (tmp_path / "out/.lock").exists()


def test_a_finished_dataset_that_may_only_be_read_is_reported_as_finished(make_clip, capfd):
    with tempfile.TemporaryDirectory() as name:  # not below pytest's own folder, which only we may enter
        folder = Path(name)
        clip = partial(make_clip, folder=folder / "audio")
        settings = settings_for(build_corpus(folder, clip))
        create_dataset(output=folder / "out", config=settings)
        (folder / "out/.lock").unlink()
        before = content(folder / "out")
        for path in (*folder.rglob("*"), folder):
            path.chmod(0o555 if path.is_dir() else 0o444)
        child = os.fork()
        if child == 0:
            status = 1
            said = partial(print, flush=True)
            try:
                if os.geteuid() == 0:
                    os.seteuid(65534)
                create_dataset(output=folder / "out", config=settings, say=said)
                status = main(["status", str(folder / "out"), "--verify"])
                sys.stdout.flush()
            finally:
                os._exit(status)
        assert os.waitpid(child, 0)[1] == 0
        assert "finished before: nothing to do" in capfd.readouterr().out
        assert content(folder / "out") == before
        assert not (folder / "out/.lock").exists()
        for path in (folder, *folder.rglob("*")):
            path.chmod(0o755)


@pytest.mark.parametrize(("workers", "status"), [("2", 2), ("0", 0)])
def test_too_few_file_handles_are_one_sentence_before_anything_is_loaded(tmp_path, command, workers, status):
    done = subprocess.run(
        [sys.executable, "-m", "pipeline", *command, str(tmp_path / "out"), "--num-workers", workers],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (20, 20)),
    )
    assert done.returncode == status, done.stderr
    said = "this process may have 20 files open, and 2 loading processes need 40"
    assert done.stderr.count(said) == (workers == "2")
    assert len(done.stderr.splitlines()) == (workers == "2")
