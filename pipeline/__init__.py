"""Recordings and transcripts in, LLASA training data (text with XCodec2 codes) out.

The library's functions; each is loaded when it is first asked for, so importing this package costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.annotate.api import annotate as annotate_dataset
    from pipeline.build.dataset import create_dataset
    from pipeline.codec import load_codec
    from pipeline.export.api import export as export_dataset
    from pipeline.llasa.speak import speak
    from pipeline.select.api import select as select_rows
    from pipeline.validate.api import validate as validate_dataset

__all__ = [
    "annotate_dataset",
    "create_dataset",
    "export_dataset",
    "load_codec",
    "select_rows",
    "speak",
    "validate_dataset",
]

_HOMES = {  # where each is; validate, export and so on are rooms of this package, so not functions' names
    "annotate_dataset": ("pipeline.annotate.api", "annotate"),
    "create_dataset": ("pipeline.build.dataset", "create_dataset"),
    "export_dataset": ("pipeline.export.api", "export"),
    "load_codec": ("pipeline.codec", "load_codec"),
    "select_rows": ("pipeline.select.api", "select"),
    "speak": ("pipeline.llasa.speak", "speak"),
    "validate_dataset": ("pipeline.validate.api", "validate"),
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, function = _HOMES[name]
    return getattr(importlib.import_module(module), function)


def __dir__() -> list[str]:
    return sorted(__all__)
