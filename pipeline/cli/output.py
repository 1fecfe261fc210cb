"""What verbs print: one JSON object for programs, or lines for people, whose verdicts have colours.

Commands that are shown to someone are spelled as they would type them.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

COMMAND = "llasa-dataset"  # the script that pyproject.toml installs
COLOURS = {"passed": 32, "pass": 32, "unsure": 33, "not judged": 33, "failed": 31, "fail": 31}  # ANSI


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add `--json`."""
    parser.add_argument(
        "--json", action="store_true", help="print one JSON object, and all else on standard error"
    )


@contextlib.contextmanager
def printing_json(wanted: bool) -> Iterator[Callable[[Mapping[str, Any]], None]]:
    """Yield a function that prints an object; where one is `wanted`, all else goes to standard error."""
    stdout = sys.stdout

    def emit(found: Mapping[str, Any]) -> None:
        print(json.dumps(found, ensure_ascii=False, indent=1), file=stdout)

    with contextlib.redirect_stdout(sys.stderr) if wanted else contextlib.nullcontext():
        yield emit


def coloured(verdict: str, width: int = 0) -> str:
    """Return a verdict of `COLOURS`, filled up to `width`, in its colour where a terminal shows it.

    NO_COLOR (https://no-color.org) and TERM=dumb turn colours off.
    """
    plain = verdict.ljust(width)
    if not sys.stdout.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return plain
    return f"\033[{COLOURS[verdict]}m{plain}\033[0m" if verdict in COLOURS else plain


def program_name() -> str:
    """Return what the user typed: the installed command, or this package run as a module."""
    return COMMAND if Path(sys.argv[0]).name == COMMAND else "python -m pipeline"


def as_typed(shown: str) -> str:
    """Return a text whose commands call this program as the user does."""
    if program_name() != COMMAND:
        return shown
    shown = shown.replace("python create_dataset.py", f"{COMMAND} create")
    return shown.replace("python -m pipeline", COMMAND)
