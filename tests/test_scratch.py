"""Temporary folders go with their owners, and those of owners that were killed with the next one's start."""

from __future__ import annotations

import contextlib
import errno
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.storage.scratch import LOCK, scratch_folder

ROOT = Path(__file__).parents[1]
OWNERS = {
    "push": """
from pipeline.storage.scratch import scratch_folder
with scratch_folder("push") as folder:
    (folder / "pack.parquet").write_bytes(b"rows")
    (folder / "more").mkdir()
    (folder / "more" / "file").touch()
    print(folder, flush=True)
    input()
""",
    "page": """
import os, tempfile
from pipeline.ui.private_files import private_files
with private_files():
    folder = os.environ["GRADIO_TEMP_DIR"]
    tempfile.mkdtemp(prefix="upload-")
    print(folder, flush=True)
    input()
""",
    "loader": """
import multiprocessing.util
from pipeline.loader.processes import fork_server
fork_server()
print(multiprocessing.util.get_temp_dir(), flush=True)
input()
""",
}


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path


@contextlib.contextmanager
def owner(kind: str) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """A process that holds a folder, and the folder."""
    with subprocess.Popen(
        [sys.executable, "-c", OWNERS[kind]],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        folder = Path(process.stdout.readline().strip())
        try:
            yield process, folder
        finally:
            process.kill()


@pytest.mark.parametrize("kind", OWNERS)
def test_what_a_killed_process_left_goes_when_the_next_one_starts_and_what_a_living_one_has_stays(
    kind: str, temporary: Path
) -> None:
    with owner(kind) as (killed, left), owner("push") as (_, held):
        assert left.parent == held.parent == temporary
        assert oct(left.stat().st_mode)[-3:] == "700"
        killed.send_signal(signal.SIGKILL)
        killed.wait()
        assert left.exists()
        with scratch_folder("page") as mine:
            assert sorted(temporary.iterdir()) == sorted([held, mine])
        assert list(temporary.iterdir()) == [held]


@pytest.mark.parametrize("kind", OWNERS)
def test_a_process_that_ends_leaves_nothing(kind: str, temporary: Path) -> None:
    with owner(kind) as (process, folder):
        assert folder.exists()
        process.communicate("\n")
    assert process.returncode == 0
    assert list(temporary.iterdir()) == []


def test_what_could_not_be_removed_is_removed_by_the_next_one(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, missing_ok: bool = False) -> None:
        raise OSError(errno.EIO, "Input/output error", str(path))

    with monkeypatch.context() as patch, scratch_folder("push") as folder:
        (folder / "pack.parquet").touch()
        patch.setattr(Path, "unlink", refuse)
    assert (folder / "pack.parquet").exists()
    with scratch_folder("push") as next_one:
        assert list(temporary.iterdir()) == [next_one]


def test_folders_that_are_somebody_else_s_stay(temporary: Path) -> None:
    (temporary / "llasa-novel-abcd1234").mkdir()
    (temporary / "llasa-novel-abcd1234" / "chapter.wav").touch()
    (temporary / "llasa-backup").mkdir()
    (temporary / "target" / "thesis").mkdir(parents=True)
    (temporary / "target" / LOCK).touch()
    (temporary / "llasa-linked-abcd1234").symlink_to(temporary / "target")
    (temporary / "llasa-killed-abcd1234").mkdir()
    (temporary / "llasa-killed-abcd1234" / LOCK).touch()
    (temporary / "llasa-killed-abcd1234" / "link").symlink_to(temporary / "target")
    (temporary / "llasa-begun-abcd1234").mkdir()
    with scratch_folder("push"):
        pass
    left = sorted(path.relative_to(temporary).as_posix() for path in temporary.rglob("*"))
    assert left == [
        "llasa-backup",
        "llasa-linked-abcd1234",
        "llasa-novel-abcd1234",
        "llasa-novel-abcd1234/chapter.wav",
        "target",
        f"target/{LOCK}",
        "target/thesis",
    ]
