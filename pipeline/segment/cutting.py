"""Finds stretches of speech in a stream of audio and cuts them at pauses, holding no more than it must.

A pause is where the detector hears no speech for at least `BREATH`. A segment ends at the first pause of
`pause` seconds after `min_seconds`; one that would pass `max_seconds` ends at its longest pause. The cut is
the quietest moment of that pause, and at most `margin` seconds of silence stay on each side of the speech.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from pipeline.recognise.speech import FRAME, RATE, Network, SpeechDetector
from pipeline.segment.settings import SegmentSettings

ON, OFF = 0.5, 0.35  # probabilities at which speech begins and ends
FAINT = 0.1  # probability at which an onset may have begun: the detector is late by 0.1 s and more at vowels
ONSET = 16 * FRAME  # samples that an onset may last until speech is sure
BREATH = 3  # frames without speech that make a pause: 0.1 s, longer than a stop consonant's closure
SHORTEST = 3  # frames of speech; less is a click
LONE = 1.0  # seconds of pause over which too short a segment is not joined with the next
UNBROKEN = 120 * RATE  # samples of speech without a pause that are held
STEP = RATE // 100  # samples between the moments whose loudness is compared
SPAN = 2 * STEP  # samples that a moment lasts


@dataclass(frozen=True)
class Piece:
    """Speech between two pauses: `start` and `end` in samples at 16 kHz, and the audio there.

    `pauses` are those inside it. `whole` is False where no pause was found within UNBROKEN, so that an edge
    may lie in a word.
    """

    start: int
    end: int
    waveform: np.ndarray
    whole: bool = True
    pauses: tuple[tuple[int, int], ...] = ()

    @property
    def seconds(self) -> float:
        """Return how long it lasts."""
        return (self.end - self.start) / RATE

    def part(self, start: int, end: int) -> Piece:
        """Return the part between two samples of the recording."""
        waveform = self.waveform[start - self.start : end - self.start]
        inside = tuple(pause for pause in self.pauses if start <= pause[0] and pause[1] <= end)
        return Piece(start, end, waveform, self.whole, inside)


def cut_stream(blocks: Iterable[np.ndarray], network: Network, settings: SegmentSettings) -> Iterator[Piece]:
    """Yield the pieces of a recording, float32 blocks (n,) at 16 kHz, in order.

    A piece may be shorter than `min_seconds`, where nothing is near to join it with, and longer than
    `max_seconds`, where there is no pause to cut at.
    """
    detector, cutter = SpeechDetector(network), _Cutter(settings)
    for block in blocks:
        cutter.add(block)
        for probability in detector.probabilities(block):
            cutter.hear(probability)
            yield from cutter.pieces()
        cutter.forget()
    for probability in detector.probabilities(np.zeros(0, np.float32), last=True):
        cutter.hear(probability)
    cutter.close()
    yield from cutter.pieces()


@dataclass
class _Speech:
    """Samples that hold speech without a pause: [start, end); from `sure` on the detector is sure of it.

    `whole`: it begins after a pause.
    """

    start: int
    sure: int
    end: int
    whole: bool = True


class _Cutter:
    """What is heard and not yet part of a piece. Positions are samples from the recording's beginning."""

    def __init__(self, settings: SegmentSettings) -> None:
        self._shortest = round(settings.min_seconds * RATE)
        self._longest = round(settings.max_seconds * RATE)
        self._pause = round(settings.pause * RATE)
        self._margin = round(settings.margin * RATE)
        self._audio, self._origin = np.zeros(0, np.float32), 0
        self._heard = 0  # samples whose probabilities are known
        self._silent = BREATH  # frames since speech was last heard
        self._faint = self._faint_end = 0  # begin and end of what may be an onset, before the next frame
        self._speech: list[_Speech] = []
        self._ended = 0  # end of the last piece
        self._closed = False

    def add(self, block: np.ndarray) -> None:
        """Take in audio that is to be heard."""
        self._audio = np.concatenate([self._audio, block])

    def hear(self, probability: float) -> None:
        """Take in the probability of speech in the next frame."""
        begins = self._heard
        self._heard += FRAME
        if probability >= (OFF if self._silent == 0 else ON):
            if self._silent >= BREATH or not self._speech:
                start = self._onset(begins) if self._silent >= BREATH else begins
                self._speech.append(_Speech(start, begins, begins, whole=self._silent >= BREATH))
            self._speech[-1].end = self._heard
            self._silent = 0
        else:
            self._silent += 1
            if self._silent == BREATH:
                self._forget_click()
        if probability >= FAINT:
            if begins - self._faint_end > BREATH * FRAME:
                self._faint = begins
            self._faint_end = self._heard

    def close(self) -> None:
        """Take it that nothing follows."""
        self._closed, self._silent = True, BREATH
        self._heard = min(self._heard, self._origin + len(self._audio))
        self._forget_click()
        for speech in self._speech:
            speech.end = min(speech.end, self._heard)

    def pieces(self) -> Iterator[Piece]:
        """Yield what can be cut off, whatever follows."""
        while (count := self._ready()) is not None:
            yield self._take(count)

    def forget(self) -> None:
        """Drop the audio that no piece can need."""
        keep = self._speech[0].start if self._speech else self._heard - ONSET
        number = keep - self._margin - self._origin
        if number > 0:
            self._audio, self._origin = self._audio[number:], self._origin + number

    def _onset(self, begins: int) -> int:
        """Return where speech that is sure from sample `begins` has begun: after a pause, if it is faint."""
        if begins - self._faint_end > BREATH * FRAME:
            return begins
        earliest = self._speech[-1].end + BREATH * FRAME if self._speech else self._ended
        return min(begins, max(self._faint, begins - ONSET, earliest))

    def _forget_click(self) -> None:
        if self._speech:
            last = self._speech[-1]
            if last.whole and last.end - last.sure < SHORTEST * FRAME:
                self._speech.pop()

    def _ready(self) -> int | None:
        """Return how many stretches of speech make the next piece; None if more must be heard first."""
        speech = self._speech
        if not speech:
            return None
        for number in range(len(speech)):
            length = speech[number].end - speech[0].start
            if length > self._longest:
                return self._longest_pause(number) if number else self._unbroken()
            final = number + 1 == len(speech)
            if final and not self._closed and self._silent < BREATH:
                return None  # it goes on
            follows = self._heard if final else speech[number + 1].start
            pause = follows - speech[number].end
            enough = self._pause if length >= self._shortest else round(LONE * RATE)
            if pause >= enough or (final and self._closed):
                return number + 1
        return None

    def _unbroken(self) -> int | None:
        goes_on = len(self._speech) == 1 and not self._closed and self._silent < BREATH
        return None if goes_on and self._speech[0].end - self._speech[0].start < UNBROKEN else 1

    def _longest_pause(self, over: int) -> int:
        """Return the number of stretches before the longest pause; stretch `over` is too far."""
        long_enough = [n for n in range(1, over + 1) if self._length(n) >= self._shortest]
        return max(long_enough or range(1, over + 1), key=self._pause_after)

    def _length(self, count: int) -> int:
        return self._speech[count - 1].end - self._speech[0].start

    def _pause_after(self, count: int) -> int:
        return self._speech[count].start - self._speech[count - 1].end

    def _take(self, count: int) -> Piece:
        spoken, rest = self._speech[:count], self._speech[count:]
        first, last = spoken[0], spoken[-1]
        start = max(first.start - self._margin, self._ended, self._origin)
        end = min(last.end + self._margin, self._heard)
        if rest:
            begins, ends = last.end - self._origin, rest[0].start - self._origin
            cut = self._origin + quietest(self._audio, begins, ends)
            end, self._ended = min(end, cut), max(rest[0].start - self._margin, cut)
        else:
            self._ended = end
        going_on = not rest and not self._closed and self._silent < BREATH
        self._speech = rest
        waveform = self._audio[start - self._origin : end - self._origin].copy()
        pauses = tuple((one.end, two.start) for one, two in pairwise(spoken))
        return Piece(start, end, waveform, first.whole and not going_on, pauses)


def quietest(waveform: np.ndarray, begins: int, ends: int) -> int:
    """Return the sample in the middle of the quietest 20 ms of a waveform's part [begins, ends)."""
    stretch = waveform[begins:ends].astype(np.float64)
    if len(stretch) < SPAN:
        return (begins + max(ends, begins)) // 2
    moments = np.lib.stride_tricks.sliding_window_view(stretch, SPAN)[::STEP]
    return begins + int(np.argmin((moments**2).mean(axis=1))) * STEP + SPAN // 2
