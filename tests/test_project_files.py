"""The files around the code: container, workflows, hooks, citation."""

import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from dockerfile_parse import DockerfileParser

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


@pytest.fixture(scope="module")
def dockerfile(tmp_path_factory) -> list[dict]:
    folder = tmp_path_factory.mktemp("docker")  # the parser opens its file for writing
    shutil.copy(ROOT / "Dockerfile", folder)
    return DockerfileParser(str(folder)).structure


def values(dockerfile: list[dict], instruction: str) -> list[str]:
    return [part["value"] for part in dockerfile if part["instruction"] == instruction]


def test_the_container_does_not_run_as_root(dockerfile):
    assert values(dockerfile, "USER") == ["llasa"]
    assert dockerfile[-1]["instruction"] == "CMD"


def test_the_container_installs_the_packages_before_the_code_is_there(dockerfile):
    steps = [part["value"] for part in dockerfile if part["instruction"] in {"RUN", "COPY"}]
    packages = next(i for i, step in enumerate(steps) if "--requirement" in step)
    code = next(i for i, step in enumerate(steps) if step.startswith("pipeline "))
    assert packages < code


def test_the_container_copies_only_what_there_is(dockerfile):
    for copied in values(dockerfile, "COPY"):
        for name in copied.split()[:-1]:
            assert (ROOT / name).exists(), name


def test_the_container_makes_the_sample_dataset_without_a_network():
    engine = shutil.which("docker")
    if engine is None or subprocess.run([engine, "info"], capture_output=True).returncode:
        pytest.skip("no Docker engine runs here")
    subprocess.run([engine, "build", "--tag", "llasa-dataset-test", str(ROOT)], check=True)
    limits = ["--rm", "--network", "none", "--tmpfs", "/work:uid=1000"]
    subprocess.run([engine, "run", *limits, "llasa-dataset-test", "create", "-o", "out"], check=True)


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_is_one_that_github_accepts(workflow):
    checker = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows"]
    done = subprocess.run([*checker, str(workflow)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_the_workflow_tries_every_python_that_the_project_claims():
    matrix = yaml.safe_load((ROOT / ".github/workflows/tests.yml").read_text())["jobs"]["tests"]["strategy"]
    claimed = [line.rpartition(" ")[2] for line in PROJECT["classifiers"] if "Python :: 3." in line]
    assert matrix["matrix"]["python"] == claimed


def test_the_hooks_are_the_commands_of_make_lint_and_types():
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    makefile = (ROOT / "Makefile").read_text()
    for hook in hooks:
        assert f"\t{hook['entry']}" in makefile


def test_the_citation_names_the_version_of_the_project():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == PROJECT["version"]
    assert citation["cff-version"] == "1.2.0"
    assert json.dumps(citation["authors"])


def test_the_changelog_begins_with_the_version_of_the_project():
    lines = (ROOT / "CHANGELOG.md").read_text().splitlines()
    newest = next(line for line in lines if line.startswith("## "))
    assert newest.split()[1] == PROJECT["version"]


def test_every_file_that_contributing_names_is_there():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:pipeline|tests|data)/[\w./]+)`", text))
    assert len(named) > 8
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []
