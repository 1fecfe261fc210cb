"""The records that flow through the pipeline: Utterance → Clip | Rejection → Encoded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from operator import attrgetter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor


class Reason(StrEnum):
    """Why an utterance is not in the dataset: a fixed vocabulary that reports and tools count by."""

    # seen while planning
    MISSING_AUDIO = "missing_audio"  # a transcript names audio that is not there
    OUTSIDE_CORPUS = "outside_corpus"  # a transcript names audio out of the corpus, or by a URL
    MALFORMED_TRANSCRIPT = "malformed_transcript"  # a transcript entry that cannot be read
    DUPLICATE_ID = "duplicate_id"
    EMPTY_TEXT = "empty_text"
    TEXT_TOO_SHORT = "text_too_short"
    TEXT_TOO_LONG = "text_too_long"
    TOO_SHORT = "too_short"
    TOO_LONG = "too_long"
    EXCLUDED = "excluded"  # named by --exclude
    # seen while planning or loading
    EMPTY_FILE = "empty_file"
    NOT_AUDIO = "not_audio"  # no decoder knows it
    TRUNCATED = "truncated"  # ends before its header says
    DECODE_FAILED = "decode_failed"
    # seen while loading
    NOT_FINITE = "not_finite"  # NaN or infinite samples
    OUT_OF_RANGE = "out_of_range"  # far beyond full scale
    SILENT = "silent"
    DECODE_TIMEOUT = "decode_timeout"
    DECODER_CRASHED = "decoder_crashed"  # took its worker process down
    # seen while encoding
    OUT_OF_MEMORY = "out_of_memory"  # does not fit on the device even alone


@dataclass(frozen=True, slots=True)
class Utterance:
    """One text with its audio, as the corpus states it.

    `audio` is a locator that the corpus's `AudioSource` opens; for a folder, a POSIX path relative to it.
    `start` and `end` (seconds) cut an utterance out of a longer recording.
    """

    id: str
    audio: str
    text: str
    speaker: str | None = None
    language: str | None = None
    start: float | None = None
    end: float | None = None

    def __reduce__(self) -> tuple[type[Utterance], tuple[Any, ...]]:
        return Utterance, _FIELDS(self)  # a quarter of the time that the dataclass's own way takes


_FIELDS = attrgetter(*(field.name for field in fields(Utterance)))


@dataclass(frozen=True, slots=True)
class Rejection:
    """An utterance that is left out, and why; `detail` is one sentence for a person."""

    id: str
    audio: str
    reason: Reason
    detail: str


@dataclass(frozen=True, slots=True)
class Clip:
    """Decoded audio of one utterance: mono, at the codec's sample rate.

    `row` is the utterance's row in the manifest; `waveform` is float32 of shape (samples,);
    `sample_rate` (Hz) and `duration` (seconds) are the source's, as decoded; `figures` what was heard in it,
    by column, if somebody listened.
    """

    row: int
    waveform: Tensor
    sample_rate: int
    duration: float
    figures: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Encoded:
    """A clip's codes, uint16 of shape (samples // hop_length + 1,)."""

    row: int
    codes: np.ndarray
    sample_rate: int
    duration: float
