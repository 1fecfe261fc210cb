"""Transcribes pieces of recordings, cuts those without pauses by words, and leaves out what is not sure."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice, pairwise

from pipeline.recognise.error_rate import count_errors
from pipeline.recognise.recogniser import WINDOW, Heard, Recogniser
from pipeline.recognise.speech import RATE
from pipeline.segment.cutting import Piece, quietest
from pipeline.segment.letters import Letters
from pipeline.segment.records import Left
from pipeline.segment.settings import SegmentSettings

BATCH = 16  # pieces transcribed together
SPARSE = 1.5  # letters a second below which most of the speech is not in the text, in any language
REPETITION = 2.4  # times that a text shrinks by zlib, above which it repeats itself; as in Whisper


@dataclass(frozen=True)
class Transcribed:
    """A piece and what was heard in it; with a reason, it is left out."""

    piece: Piece
    heard: Heard
    reason: Left | None = None
    detail: str = ""


@dataclass(frozen=True)
class Listener:
    """One recogniser, perhaps a second opinion, and how sure they must be."""

    recogniser: Recogniser
    second: Recogniser | None
    settings: SegmentSettings

    def listen(self, pieces: Iterable[Piece]) -> Iterator[list[Transcribed]]:
        """Yield what was heard, in order, a batch at a time."""
        parts = (part for piece in pieces for part in self._fitting(piece))
        while batch := list(islice(parts, BATCH)):
            yield self._transcribe(batch)

    def _fitting(self, piece: Piece) -> Iterator[Transcribed]:
        """Yield a piece; one that is too long in parts, cut between words if the recogniser knows them."""
        nothing = Heard("")
        if not piece.whole:
            yield Transcribed(piece, nothing, Left.NO_PAUSE, "it goes on without a pause, as singing does")
            return
        while piece.seconds > self.settings.max_seconds + 2 * self.settings.margin:
            gap = self._gap(piece)
            if gap is None:
                detail = f"{piece.seconds:.1f} s without a pause to cut at"
                yield Transcribed(piece, nothing, Left.NO_PAUSE, detail)
                return
            yield Transcribed(piece.part(piece.start, gap), nothing)
            piece = piece.part(gap, piece.end)
        if piece.seconds < self.settings.min_seconds:
            detail = f"{piece.seconds:.2f} s of speech with nothing near it"
            yield Transcribed(piece, nothing, Left.TOO_SHORT, detail)
        else:
            yield Transcribed(piece, nothing)

    def _gap(self, piece: Piece) -> int | None:
        """Return the sample of the recording, between two words, at which a part of a legal length ends."""
        window = piece.waveform[:WINDOW]
        words = self.recogniser.words(window, self.settings.language)
        if not words:
            return None
        least, most = self.settings.min_seconds, self.settings.max_seconds
        gaps = [(one.end, two.start) for one, two in pairwise(words)]
        fitting = [gap for gap in gaps if gap[0] >= least and gap[1] <= most]
        if not fitting:
            return None
        begins, ends = max(fitting, key=lambda gap: gap[1] - gap[0])
        return piece.start + quietest(window, round(begins * RATE), round(ends * RATE))

    def _transcribe(self, batch: list[Transcribed]) -> list[Transcribed]:
        open_ = [number for number, each in enumerate(batch) if each.reason is None]
        found = list(batch)
        waveforms = [batch[number].piece.waveform for number in open_]
        language = self.settings.language
        heard = self.recogniser.transcribe(waveforms, language) if waveforms else []
        for number, each in zip(open_, heard, strict=True):
            found[number] = self._judged(replace(batch[number], heard=each))
        found = [part for each in found for part in self._heard_again(each)]
        open_ = [number for number, each in enumerate(found) if each.reason is None]
        if self.second is not None:
            again = self.second.transcribe([found[number].piece.waveform for number in open_], language)
            for number, each in zip(open_, again, strict=True):
                found[number] = self._compared(found[number], each)
        return found

    def _heard_again(self, found: Transcribed) -> Iterator[Transcribed]:
        """Yield what was heard; if it is too little, what is heard before and after the longest pause."""
        piece, margin = found.piece, round(self.settings.margin * RATE)
        if found.reason is not Left.SPARSE or not piece.pauses:
            yield found
            return
        begins, ends = max(piece.pauses, key=lambda pause: pause[1] - pause[0])
        cut = piece.start + quietest(piece.waveform, begins - piece.start, ends - piece.start)
        halves = (piece.start, min(cut, begins + margin)), (max(cut, ends - margin), piece.end)
        for part in (part for half in halves for part in self._fitting(piece.part(*half))):
            if part.reason is None:
                [heard] = self.recogniser.transcribe([part.piece.waveform], self.settings.language)
                yield from self._heard_again(self._judged(replace(part, heard=heard)))
            else:
                yield part

    def _judged(self, found: Transcribed) -> Transcribed:
        text, confidence = found.heard.text, found.heard.confidence
        if not any(letter.isalnum() for letter in text):
            return replace(found, reason=Left.NOT_HEARD, detail="the recogniser hears no words")
        shrinks = len(text.encode()) / len(zlib.compress(text.encode()))
        if shrinks > REPETITION:
            return replace(found, reason=Left.REPETITIVE, detail=f"the text shrinks to a {shrinks:.1f}th")
        letters = len(Letters.of(text, found.heard.language).letters)
        if letters < SPARSE * found.piece.seconds:
            detail = f"{letters} letters are heard in {found.piece.seconds:.1f} s of speech"
            return replace(found, reason=Left.SPARSE, detail=detail)
        if confidence is not None and confidence < self.settings.min_confidence:
            detail = f"the recogniser's confidence is {confidence:.2f}"
            return replace(found, reason=Left.UNSURE, detail=detail)
        return found

    def _compared(self, found: Transcribed, second: Heard) -> Transcribed:
        errors = count_errors(found.heard.text, second.text, found.heard.language)
        if errors.rate <= self.settings.max_disagreement:
            return found
        detail = f"the second recogniser hears {second.text!r}"
        return replace(found, reason=Left.DISAGREEMENT, detail=detail)
