"""Which annotators there are, by name; a user's own is a Python file."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pipeline.annotate.protocol import (
    Annotator,
    ClipAnnotator,
    Column,
    DatasetAnnotator,
    RowAnnotator,
    SpeechAnnotator,
)
from pipeline.dataset.rows import SCHEMA
from pipeline.errors import MissingPackage, UsageError

HOMES = {  # by name: the module in `annotators`, and its class
    "codes": ("codes", "Codes"),
    "copies": ("copies", "Copies"),
    "duplicates": ("duplicates", "Duplicates"),
    "fingerprint": ("fingerprint", "Fingerprint"),
    "language": ("language", "Language"),
    "level": ("level", "Level"),
    "quality": ("quality", "Quality"),
    "speaker": ("voice", "Speaker"),
    "transcript": ("transcript", "Transcript"),
    "voice": ("voice", "Voice"),
}
NAMES = tuple(HOMES)
READS = {"copies": "fingerprint", "speaker": "voice"}  # annotators that compare what another one measures
PACKAGES = {
    "language": ("lingua", "lingua-language-detector"),
    "quality": ("speechmos", "speechmos"),
    "transcript": ("jiwer", "jiwer"),
}
OWN = "annotator"  # what a user's file calls it


def open_annotators(
    names: Iterable[str], options: Mapping[str, Mapping[str, Any]] | None = None
) -> list[Annotator]:
    """Open annotators by name, or by the path of a Python file that has an `annotator`.

    `options`: by name, what an annotator is made with. Raises UsageError if there is none of a name, or if
    two would write the same column.
    """
    wanted = [one for name in names for one in (READS.get(name), name) if one]
    opened = [_open(name, (options or {}).get(name, {})) for name in dict.fromkeys(wanted)]
    taken = set(SCHEMA.names)
    for annotator in opened:
        if twice := taken & set(annotator.columns):
            raise UsageError(
                f"the annotator {annotator.name} writes a column {min(twice)}, which is there already: "
                "leave one of them out, or name it otherwise"
            )
        taken |= set(annotator.columns)
    return opened


def _open(name: str, options: Mapping[str, Any]) -> Annotator:
    if name.endswith(".py"):
        return _own(Path(name))
    if name not in HOMES:
        raise UsageError(
            f"there is no annotator {name}: there are {', '.join(NAMES)}, and Python files of your own"
        )
    package, called = PACKAGES.get(name, ("pyarrow", ""))
    if importlib.util.find_spec(package) is None:
        raise MissingPackage(called, "validate", f"the annotator {name}")
    module, kind = HOMES[name]
    opened: Annotator = getattr(importlib.import_module(f"pipeline.annotate.annotators.{module}"), kind)(
        **options
    )
    return opened


def _own(path: Path) -> Annotator:
    """Run a user's file and return its annotator."""
    spec = importlib.util.spec_from_file_location(f"annotator_{path.stem}", path)
    if spec is None or spec.loader is None or not path.is_file():
        raise UsageError(f"there is no annotator {path}")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise UsageError(f"{path} cannot be run: {type(error).__name__}: {error}") from error
    annotator = getattr(module, OWN, None)
    kinds = RowAnnotator | ClipAnnotator | SpeechAnnotator | DatasetAnnotator
    if not isinstance(annotator, kinds) or not all(
        isinstance(column, Column) for column in annotator.columns.values()
    ):
        raise UsageError(
            f"{path} has no `{OWN}` with name, version, columns (each a Column), settings, and "
            "annotate(rows), hear(waveform, rate) or compare(waveform, rate, row)"
        )
    if not annotator.name.isidentifier() or annotator.name in HOMES:
        raise UsageError(f"{path} calls its annotator {annotator.name}: give it a name of its own, as a word")
    return annotator
