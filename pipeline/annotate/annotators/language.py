"""Which language each text is in, by lingua, whatever the dataset says of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import pyarrow as pa

from pipeline.annotate.protocol import Column, Rows, Values
from pipeline.recognise.text_language import detect


class Language:
    """The language that a text shows by itself: short ones show little, so look at the confidence."""

    name = "language"
    version = 1
    settings: ClassVar[Mapping[str, Any]] = {"detector": "lingua 2.1"}
    columns: ClassVar[Mapping[str, Column]] = {
        "text_language": Column(pa.string(), "language of the text, ISO 639-1"),
        "text_language_confidence": Column(pa.float32(), "how likely that is, 0 to 1"),
    }

    def annotate(self, rows: Rows) -> Values:
        """See `RowAnnotator.annotate`."""
        found = [detect(text, accurate=True) for text in rows.table["text"].to_pylist()]
        return {
            "text_language": [language for language, _ in found],
            "text_language_confidence": [round(confidence, 4) for _, confidence in found],
        }
