"""The wheel in a fresh environment, used from an empty folder: nothing looks for the repository."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from pipeline.__main__ import VERBS

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [*(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation")]
    subprocess.run([*command, "--wheel-dir", str(folder), str(ROOT)], check=True, capture_output=True)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def command(wheel, tmp_path_factory) -> Path:
    """`llasa-dataset` of an environment that has the wheel, and of this one only the packages it needs."""
    environment = tmp_path_factory.mktemp("fresh")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True)
    python = environment / "bin" / "python"
    install = [*(sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps")]
    bare = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    subprocess.run([*install, str(wheel)], check=True, capture_output=True, env=bare)
    where = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site = subprocess.run([python, "-c", where], check=True, capture_output=True, text=True).stdout.strip()
    Path(site, "needed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return environment / "bin" / "llasa-dataset"


def run(command: Path, *arguments: str, folder: Path) -> str:
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(folder), "PYTHONSAFEPATH": "1"}
    done = subprocess.run(
        [command, *arguments], cwd=folder, env=environment, check=True, capture_output=True, text=True
    )
    return done.stdout


def test_the_wheel_holds_the_pipeline_and_what_its_default_needs(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names if "dist-info" not in name} == {"pipeline"}
    for needed in ("configs/xcodec2.yaml", "data/sample/codec/config.json", "data/sample/transcripts.txt"):
        assert f"pipeline/shared/{needed}" in names


def test_help_names_the_command_as_it_was_typed(command, tmp_path):
    assert run(command, "--help", folder=tmp_path).startswith("usage: llasa-dataset ")


def test_the_sample_corpus_becomes_a_dataset_in_an_empty_folder(command, tmp_path):
    assert "64 rows" in run(command, "create", "-o", "out", folder=tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir() if not path.name.startswith(".")) == ["out"]
    assert "shard" in run(command, "status", "out", "--verify", folder=tmp_path)


def test_a_shipped_configuration_is_found_by_its_name(command, tmp_path, make_clip):
    make_clip("one.wav")
    (tmp_path / "texts.txt").write_text("one:This is one.\n")
    plan = run(
        command,
        "plan",
        "audio",
        "texts.txt",
        "-o",
        "out",
        "--config",
        "configs/xcodec2.yaml",
        folder=tmp_path,
    )
    assert "1 utterance (" in plan


def test_help_shows_commands_that_someone_without_the_repository_can_type(command, tmp_path):
    for verb in VERBS:
        shown = run(command, verb, "--help", folder=tmp_path)
        assert "python " not in shown, verb
        assert f"llasa-dataset {verb}" in shown


def test_the_first_commands_of_the_readme_make_a_dataset_of_ones_own_clips_and_say_the_next(
    command, tmp_path
):
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    _, create, validate = re.search(r"^(pip install \..*?)```", readme, re.DOTALL | re.MULTILINE)[
        1
    ].splitlines()
    (tmp_path / "clips").mkdir()
    texts = (ROOT / "data/sample/heldout/transcripts.txt").read_text(encoding="utf-8").splitlines()[:5]
    for number, line in enumerate(texts):
        name = f"{line.partition(':')[0]}.flac"
        shutil.copy(ROOT / "data/sample/heldout" / name, tmp_path / "clips" / f"mine-{number}.flac")
    lines = [f"mine-{number}:{line.partition(':')[2]}\n" for number, line in enumerate(texts)]
    (tmp_path / "texts.txt").write_text("".join(lines), encoding="utf-8")
    made = run(command, *shlex.split(create)[1:], folder=tmp_path)
    assert "out: 5 rows, " in made
    assert "next, a verdict before training: llasa-dataset validate out\n" in made
    assert shlex.split(validate, comments=True) == ["llasa-dataset", "validate", "out"]


def test_a_missing_package_is_named_with_a_command_that_needs_no_repository(wheel, tmp_path):
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(tmp_path)
    code = "from pipeline.errors import MissingPackage; print(MissingPackage('gradio', 'tts', 'the page'))"
    said = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, check=True, capture_output=True, text=True
    ).stdout
    assert said == "the page needs the package gradio: pip install 'llasa-dataset[tts]'\n"
