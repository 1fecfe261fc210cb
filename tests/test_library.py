"""The library's calls do what the examples in their docstrings show."""

import doctest
from pathlib import Path

import pytest

from pipeline.build.dataset import create_dataset
from pipeline.export.api import export
from pipeline.validate.api import validate

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with the sample dataset in it, and the repository's data."""
    root = tmp_path_factory.mktemp("library")
    create_dataset(output=root / "out" / "sample")
    (root / "data").symlink_to(ROOT / "data")
    return root


@pytest.mark.parametrize("call", [validate, export], ids=lambda call: call.__name__)
def test_the_example_of_a_call_holds(call, folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    (example,) = doctest.DocTestFinder(recurse=False).find(call, globs={})
    found = doctest.DocTestRunner().run(example)
    assert found.attempted > 1
    assert found.failed == 0, capsys.readouterr().out
