"""Which language each text is in, by lingua, whatever the dataset says of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import pyarrow as pa

from pipeline.annotate.protocol import Column, Rows, Values
from pipeline.recognise.error_rate import primary
from pipeline.recognise.text_language import most_likely, probabilities


class Language:
    """The language that a text shows by itself: short ones show little, so look at the confidence."""

    name = "language"
    version = 2
    settings: ClassVar[Mapping[str, Any]] = {"detector": "lingua 2.1"}
    columns: ClassVar[Mapping[str, Column]] = {
        "text_language": Column(pa.string(), "language of the text, ISO 639-1"),
        "text_language_confidence": Column(pa.float32(), "how likely that is, 0 to 1"),
        "stated_language_confidence": Column(
            pa.float32(), "how likely the text is in the row's own `language`, 0 to 1; null: it has none"
        ),
    }

    def annotate(self, rows: Rows) -> Values:
        """See `RowAnnotator.annotate`."""
        likely = [probabilities(text, accurate=True) for text in rows.table["text"].to_pylist()]
        found = [most_likely(one) for one in likely]
        named = "language" in rows.table.column_names
        stated = rows.table["language"].to_pylist() if named else [None] * len(likely)
        own = [
            None if language is None else one.get(primary(language))
            for one, language in zip(likely, stated, strict=True)
        ]
        return {
            "text_language": [language for language, _ in found],
            "text_language_confidence": [round(confidence, 4) for _, confidence in found],
            "stated_language_confidence": [None if one is None else round(one, 4) for one in own],
        }
