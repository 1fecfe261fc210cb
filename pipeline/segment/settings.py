"""What `segment` can be told. All of it changes the result, so all of it makes up the fingerprint."""

from __future__ import annotations

from pydantic import Field, model_validator

from pipeline.config.settings import Section


class SegmentSettings(Section):
    """Which recognisers listen, and where recordings are cut."""

    asr: str = Field(
        "build/models/tiny.en.pt",
        description="speech recogniser: Hugging Face id or folder, Whisper .pt, or faster-whisper:NAME",
    )
    agree: str | None = Field(
        None, description="second recogniser: what the two do not hear alike is left out"
    )
    language: str | None = Field(
        None, description="language of all recordings, such as en; none: the recogniser names it"
    )
    min_seconds: float = Field(1.0, description="shortest segment, seconds", ge=0)
    max_seconds: float = Field(20.0, description="longest segment, seconds", gt=0, le=30)
    pause: float = Field(0.5, description="pause that ends a segment, seconds", gt=0)
    margin: float = Field(0.1, description="most silence kept before and after speech, seconds", ge=0)
    min_confidence: float = Field(
        0.35, description="least mean probability of a segment's tokens, where it is told", ge=0, le=1
    )
    max_disagreement: float = Field(
        0.2, description="most errors between both recognisers, by words (characters in Japanese)", ge=0
    )
    max_misreading: float = Field(
        0.25, description="with a text to align: most characters of it that are heard differently", ge=0
    )
    align: str | None = Field(
        None, description="text that is read: a file for one recording, or a folder with NAME.txt for each"
    )
    aligner: str | None = Field(
        None, description="CTC model that finds the words of the text: Hugging Face id or folder"
    )
    speakers: bool = Field(
        False, description="tell voices within a recording apart (weak: see data/README.md)"
    )
    cut: bool = Field(False, description="also write the segments as FLAC files with their texts")
    bf16: bool = Field(False, description="recognisers in half precision on a GPU")
    recordings_per_part: int = Field(16, description="recordings a part of the manifest", ge=1)

    @model_validator(mode="after")
    def _ordered(self) -> SegmentSettings:
        if self.min_seconds > self.max_seconds / 2:
            raise ValueError("min_seconds is more than half of max_seconds")
        if self.aligner is not None and self.align is None:
            raise ValueError("an aligner needs a text to align")
        return self
