"""What a user without rights meets: folders one may not enter, and datasets that may only be read.

Tests often run as root, who may do everything, so these run in a child that gives its rights up, or that sees
the dataset through a mount that nobody may write to.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from engine_helpers import build_corpus, content, settings_for

from pipeline.build.dataset import create_dataset

ROOT = Path(__file__).parents[1]
NOBODY = 65534
# Runs commands as this user, so that all is imported, then again as the other one; tells what each came to.
CHILD = """
import contextlib, io, json, os, sys
from pipeline.__main__ import main
first, commands, user = json.loads(sys.argv[1])
def run(words):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = main(words)
    return status, out.getvalue(), err.getvalue()
for words in first:
    run(words)
if user is not None:
    os.seteuid(user)
print(json.dumps([run(words) for words in commands]))
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that everybody may enter, unlike pytest's own."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)
        for path in (Path(name), *Path(name).rglob("*")):
            path.chmod(0o755)


@pytest.fixture
def corpus(folder: Path, make_clip) -> dict[str, str]:
    return build_corpus(folder, partial(make_clip, folder=folder / "audio"))


def ran(
    commands: list[list[str]], *, first: list[list[str]], user: int | None, within: tuple[str, ...] = ()
) -> list[tuple[int, str, str]]:
    """Status, output and errors of each command."""
    child = subprocess.run(
        [*within, sys.executable, "-c", CHILD, json.dumps([first, commands, user])],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
    )
    assert child.returncode == 0, child.stderr
    return [tuple(each) for each in json.loads(child.stdout.splitlines()[-1])]


def other_user() -> int | None:
    return NOBODY if os.geteuid() == 0 else None


@pytest.fixture
def closed(folder: Path, corpus: dict[str, str]) -> Path:
    """A folder that only its owner may enter, with a recording."""
    closed = folder / "closed"
    closed.mkdir()
    shutil.copy(folder / "audio" / "u00.wav", closed / "theirs.wav")
    (folder / "out").mkdir()
    for path in (folder, folder / "out"):
        path.chmod(0o777)
    return closed


def create(audio: Path, text: Path, output: Path) -> list[str]:
    return ["create", *map(str, (audio, text)), "--codec", "fake:", "--num-workers", "0", "-o", str(output)]


def test_recordings_in_a_folder_that_may_not_be_entered_are_rejections(folder, closed):
    lists = folder / "kaldi"
    lists.mkdir()
    names = {"mine": folder / "audio" / "u01.wav", "theirs": closed / "theirs.wav"}
    (lists / "wav.scp").write_text("".join(f"{name} {path}\n" for name, path in names.items()))
    (lists / "text").write_text("".join(f"{name} some words\n" for name in names))
    made = partial(create, folder / "audio", lists)
    closed.chmod(0o700 if other_user() else 0)
    [(status, _, said)] = ran([made(folder / "out/a")], first=[made(folder / "warm")], user=other_user())
    assert status == 0, said
    paths = sorted((folder / "out/a/rejected").iterdir())
    [rejected] = [json.loads(line) for path in paths for line in path.read_text().splitlines()]
    assert rejected["id"] == "theirs"
    assert rejected["reason"] == "missing_audio"
    assert f"{closed}/theirs.wav may not be read (Permission denied)" in rejected["detail"]


def test_a_folder_of_the_corpus_that_may_not_be_listed_is_one_sentence(folder, closed):
    closed.rename(folder / "audio" / "closed")
    (folder / "audio" / "closed").chmod(0o700 if other_user() else 0)
    made = partial(create, folder / "audio", folder / "text.txt")
    [(status, _, said)] = ran([made(folder / "out/a")], first=[made(folder / "warm")], user=other_user())
    assert (status, len(said.splitlines())) == (2, 1)
    assert said.startswith(f"error: cannot read the folder {folder}/audio/closed: Permission denied")


def looked_at(out: Path, elsewhere: Path) -> list[list[str]]:
    """Whatever only reads a dataset, and one that would write into it."""
    export = ["export", str(out), "--to", "llasa-trainer", "--tokenizer", "data/sample/llasa-random"]
    validate = ["validate", str(out), "--sample", "0", "--exact", "0"]
    return [
        ["status", str(out), "--verify"],
        [*export, "-o", str(elsewhere / "exported")],
        [*validate, "--report", str(elsewhere / "report")],
        validate,
    ]


def check(found: list[tuple[int, str, str]], elsewhere: Path) -> None:
    status, export, report, inside = found
    assert status[0] == 0, status
    assert "every file is as it was written" in status[1]
    assert export[0] == 0, export
    assert any((elsewhere / "exported").iterdir())
    assert report[0] in (4, 5), report
    assert (elsewhere / "report" / "index.html").exists()
    assert inside[0] == 2, inside
    assert inside[2].startswith("error: cannot write the results to ")
    assert inside[2].endswith("give another folder, with --report\n")
    assert len(inside[2].splitlines()) == 1


def test_a_dataset_of_somebody_else_is_verified_exported_and_validated(folder, corpus):
    create_dataset(output=folder / "out", config=settings_for(corpus))
    shutil.copytree(folder / "out", folder / "mine")
    (folder / "warm").mkdir()
    (folder / "elsewhere").mkdir()
    folder.chmod(0o755)
    (folder / "elsewhere").chmod(0o777)
    before = content(folder / "out")
    for path in (folder / "out", *(folder / "out").rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    found = ran(
        looked_at(folder / "out", folder / "elsewhere"),
        first=looked_at(folder / "mine", folder / "warm"),
        user=other_user(),
    )
    check(found, folder / "elsewhere")
    assert content(folder / "out") == before


def test_a_dataset_on_a_read_only_mount_is_verified_exported_and_validated(folder, corpus):
    create_dataset(output=folder / "out", config=settings_for(corpus))
    (folder / "elsewhere").mkdir()
    mount = f"mount --bind {folder}/out {folder}/out && mount -o remount,ro,bind {folder}/out"
    mounted = ("unshare", "--mount", "sh", "-c", f'{mount} && exec "$@"', "sh")
    if shutil.which("unshare") is None or subprocess.run([*mounted, "true"], capture_output=True).returncode:
        pytest.skip("this user may not mount")
    before = content(folder / "out")
    found = ran(looked_at(folder / "out", folder / "elsewhere"), first=[], user=None, within=mounted)
    check(found, folder / "elsewhere")
    assert content(folder / "out") == before
