"""Which annotators there are, by name; a user's own is a Python file."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable
from pathlib import Path

from pipeline.annotate.protocol import Annotator, ClipAnnotator, RowAnnotator
from pipeline.errors import MissingPackage, UsageError

NAMES = ("codes", "duplicates", "language", "level", "quality")
PACKAGES = {"language": ("lingua", "lingua-language-detector"), "quality": ("speechmos", "speechmos")}
OWN = "annotator"  # what a user's file calls it


def open_annotators(names: Iterable[str]) -> list[Annotator]:
    """Open annotators by name, or by the path of a Python file that has an `annotator`.

    Raises UsageError if there is none of a name, or if two would write the same column.
    """
    opened = [_open(name) for name in dict.fromkeys(names)]
    columns = [column for annotator in opened for column in annotator.columns]
    for column in columns:
        if columns.count(column) > 1:
            raise UsageError(f"two annotators write the column {column}: leave one of them out")
    return opened


def _open(name: str) -> Annotator:
    if name.endswith(".py"):
        return _own(Path(name))
    if name not in NAMES:
        raise UsageError(
            f"there is no annotator {name}: there are {', '.join(NAMES)}, and Python files of your own"
        )
    module, package = PACKAGES.get(name, ("pyarrow", ""))
    if importlib.util.find_spec(module) is None:
        raise MissingPackage(package, "validate", f"the annotator {name}")
    if name == "codes":
        from pipeline.annotate.annotators.codes import Codes

        return Codes()
    if name == "duplicates":
        from pipeline.annotate.annotators.duplicates import Duplicates

        return Duplicates()
    if name == "level":
        from pipeline.annotate.annotators.level import Level

        return Level()
    if name == "quality":
        from pipeline.annotate.annotators.quality import Quality

        return Quality()
    from pipeline.annotate.annotators.language import Language

    return Language()


def _own(path: Path) -> Annotator:
    """Run a user's file and return its annotator."""
    spec = importlib.util.spec_from_file_location(f"annotator_{path.stem}", path)
    if spec is None or spec.loader is None or not path.is_file():
        raise UsageError(f"there is no annotator {path}")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    annotator = getattr(module, OWN, None)
    if not isinstance(annotator, RowAnnotator | ClipAnnotator):
        raise UsageError(
            f"{path} has no `{OWN}` with name, version, columns, settings, and annotate(rows) or "
            "hear(waveform, rate)"
        )
    return annotator
