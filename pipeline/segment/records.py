"""What comes out of a recording: segments, and what was left out of it with the reason."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import pyarrow as pa


class Left(StrEnum):
    """Why a part of a recording is in no segment; recordings that cannot be read have `Reason`s."""

    NO_SPEECH = "no_speech"  # of a recording: the detector hears none
    TOO_SHORT = "too_short"  # less than min_seconds of speech, alone
    NO_PAUSE = "no_pause"  # more than max_seconds without a place to cut
    NOT_HEARD = "not_heard"  # the recogniser hears no words
    UNSURE = "unsure"  # below min_confidence
    REPETITIVE = "repetitive"  # the same words again and again, as recognisers write of music
    SPARSE = "sparse"  # far too few words for so much speech: the recogniser stopped early
    DISAGREEMENT = "disagreement"  # the second recogniser hears something else
    NOT_IN_TEXT = "not_in_text"  # said, and not in the text to align
    NOT_SAID = "not_said"  # in the text, and not said


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of a recording and its text; `start` and `end` in seconds, exact to the source's sample.

    `heard` is what the recogniser heard, where `text` is the author's.
    """

    audio: str
    start: float
    end: float
    text: str
    language: str | None = None
    confidence: float | None = None
    speaker: str | None = None
    heard: str | None = None


@dataclass(frozen=True, slots=True)
class Omission:
    """A part of a recording that is in no segment, or all of it; `text` is what was heard or not said."""

    audio: str
    reason: str
    detail: str
    start: float | None = None
    end: float | None = None
    text: str | None = None


SCHEMA = pa.schema(
    [
        pa.field("audio", pa.string(), nullable=False),
        pa.field("start", pa.float64(), nullable=False),
        pa.field("end", pa.float64(), nullable=False),
        pa.field("text", pa.string(), nullable=False),
        ("language", pa.string()),
        ("confidence", pa.float64()),
        ("speaker", pa.string()),
        ("heard", pa.string()),
    ]
)
