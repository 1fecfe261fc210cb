"""Figures of rows, kept as they are measured, so that a run that was stopped goes on from there."""

from __future__ import annotations

import json
from pathlib import Path
from types import TracebackType
from typing import Any


class RowLog:
    """A JSONL file, a row a line, under a first line that names what measured them: else it begins anew.

    Rows carry `row` (their number) and `digest` (of their codes). A line that a killed run left
    unfinished is dropped. Use as a context manager.
    """

    def __init__(self, path: Path, name: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        head = json.dumps({"measured_by": name})
        lines = path.read_text(encoding="utf-8").split("\n")[:-1] if path.exists() else []
        if not lines or lines[0] != head:
            lines = [head]
        self._rows: dict[int, dict[str, Any]] = {}
        for figures in map(json.loads, lines[1:]):
            self._rows[figures["row"]] = figures
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        self._file = path.open("a", encoding="utf-8", newline="\n")

    def get(self, row: int, digest: str) -> dict[str, Any] | None:
        """Return the figures of a row whose codes still have this digest."""
        figures = self._rows.get(row)
        return figures if figures is not None and figures["digest"] == digest else None

    def add(self, figures: dict[str, Any]) -> None:
        """Keep a row's figures."""
        self._rows[figures["row"]] = figures
        self._file.write(json.dumps(figures, ensure_ascii=False) + "\n")
        self._file.flush()

    def __enter__(self) -> RowLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
