"""The check of the CUDA path: what it says without a GPU, and every line of it on the CPU."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from benchmarks import gpu_check
from benchmarks.gpu.line import Bench, Verdict


def test_without_a_gpu_it_says_what_it_would_do_and_ends_with_2(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert gpu_check.main([]) == 2
    said = capsys.readouterr().out
    assert all(f"{line.__name__} " in said and str(line.__doc__) in said for line in gpu_check.LINES)


def test_every_line_runs_on_the_cpu(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert gpu_check.main(["--dry", "--results", str(tmp_path)]) == 0, capsys.readouterr().out
    report = json.loads((tmp_path / "gpu-dry.json").read_text())
    assert [line["line"] for line in report["lines"]] == [line.__name__ for line in gpu_check.LINES]
    assert {line["passed"] for line in report["lines"]} == {True}
    assert (tmp_path / "gpu-dry.md").read_text().count("| PASS |") == len(gpu_check.LINES)


def test_a_line_that_fails_or_breaks_is_a_failure_of_the_whole(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(bench: Bench) -> Verdict:
        """One and one is three"""
        return Verdict(1 + 1 == 3, "it is 2")

    def broken(bench: Bench) -> Verdict:
        """Nothing breaks"""
        raise RuntimeError("it broke\nin two lines")

    monkeypatch.setattr(gpu_check, "LINES", (wrong, broken))
    assert gpu_check.main(["--dry", "--results", str(tmp_path)]) == 1
    assert capsys.readouterr().out.count("FAIL") == 2
    assert "| FAIL | Nothing breaks | RuntimeError: it broke |" in (tmp_path / "gpu-dry.md").read_text()
