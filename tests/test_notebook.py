"""The notebook runs from the repository up to the training, which test_publish_training.py runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NOTEBOOK = json.loads((ROOT / "examples" / "first_voice.ipynb").read_text(encoding="utf-8"))
CELLS = [cell for cell in NOTEBOOK["cells"] if cell["cell_type"] == "code"]


def test_the_notebook_makes_judges_and_exports_a_dataset(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "data").symlink_to(ROOT / "data")
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for cell in CELLS:
        if "training" in cell["metadata"].get("tags", ()):
            break
        exec("".join(cell["source"]), names)
    said = capsys.readouterr().out
    assert "12 rows" in said
    assert "verdict: " in said
    assert len(list((tmp_path / "out/first-voice/export/sft").glob("train-*.parquet"))) == 1


def test_every_cell_is_python_and_none_was_saved_with_its_output() -> None:
    for cell in CELLS:
        compile("".join(cell["source"]), "first_voice.ipynb", "exec")
        assert not cell["outputs"]
        assert cell["execution_count"] is None
