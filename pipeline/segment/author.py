"""Gives the segments of one recording the words of its author, where there is a text to align."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from pipeline.recognise.ctc import CtcModel, Emissions
from pipeline.segment.aligning import align
from pipeline.segment.letters import Letters
from pipeline.segment.records import Left, Omission, Segment
from pipeline.segment.settings import SegmentSettings


@dataclass(frozen=True)
class Author:
    """The text of a recording, None if there is none, and perhaps a model that hears where its words are."""

    text: str | None
    aligner: CtcModel | None
    settings: SegmentSettings
    _letters: dict[str | None, str] = field(default_factory=dict)  # by language, of the text and the model

    def hear(self, waveform: np.ndarray, language: str | None) -> Emissions | None:
        """Return what the aligner hears of the text's letters in a segment; None without an aligner."""
        if self.aligner is None or self.text is None:
            return None
        if language not in self._letters:
            self._letters[language] = self.aligner.known(Letters.of(self.text, language).letters)
        return self.aligner.hear(waveform, self._letters[language])

    def words_of(
        self, audio: str, segments: Sequence[Segment], sounds: Sequence[Emissions | None]
    ) -> tuple[list[Segment], list[Omission]]:
        """Return the segments with the author's words, and what the text or the recording has alone."""
        if self.text is None:
            return [], [Omission(audio, Left.NOT_IN_TEXT, "there is no text of its name to align")]
        language = self.settings.language or next((each.language for each in segments), None)
        heard = [each.text for each in segments]
        known = [sound for sound in sounds if sound is not None]
        limit = self.settings.max_misreading
        matches, rest = align(heard, self.text, limit, language, known if self.aligner else None)
        kept, omitted = [], []
        for each, match in zip(segments, matches, strict=True):
            if match is not None:
                kept.append(replace(each, text=match, heard=each.text))
            else:
                detail = "the text has nothing like it in its place"
                omitted.append(Omission(audio, Left.NOT_IN_TEXT, detail, each.start, each.end, each.text))
        detail = "the text has it, and no segment"
        return kept, omitted + [Omission(audio, Left.NOT_SAID, detail, text=passage) for passage in rest]
