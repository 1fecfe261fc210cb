"""The library: `from pipeline import …`, and the examples of its functions, run as they stand."""

from __future__ import annotations

import doctest
import subprocess
import sys
from pathlib import Path

import pytest

import pipeline

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where someone tries the examples: a folder with the sample dataset, and the repository's data."""
    folder = tmp_path_factory.mktemp("reader")
    pipeline.create_dataset(output=folder / "out/sample")
    (folder / "data").symlink_to(ROOT / "data")
    return folder


@pytest.mark.parametrize("name", pipeline.__all__)
def test_each_functions_example_does_what_it_says(
    name: str, reader: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(reader)
    found = doctest.DocTestFinder(recurse=False).find(getattr(pipeline, name), name, globs={})
    runner = doctest.DocTestRunner(verbose=False)
    for test in found:
        runner.run(test)
    assert runner.summarize(verbose=False).failed == 0
    assert runner.tries > 0


def test_importing_the_library_loads_nothing_heavy_and_its_names_stay_functions() -> None:
    code = (
        "import sys, pipeline\n"
        "heavy = {'torch', 'transformers', 'datasets', 'pyarrow', 'numpy', 'soundfile'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "import pipeline.validate.session, pipeline.export.samples, pipeline.llasa.speak\n"
        "from pipeline import *\n"
        "assert all(callable(globals()[name]) for name in pipeline.__all__)\n"
        "assert not hasattr(pipeline, 'no_such_name')\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
