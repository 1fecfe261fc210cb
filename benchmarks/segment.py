"""How well recordings are cut and transcribed: against their truth, a fixed grid, and Whisper's own chunks.

    apt-get download asterisk-core-sounds-en-g722 asterisk-core-sounds-en
    for each in asterisk*.deb; do dpkg -x $each prompts; done
    python -m benchmarks.segment prompts                   # an hour of audio; 25 minutes of one core
    python -m benchmarks.segment prompts --seconds 600

`long_recordings.py` makes the recording. Prints a table and writes benchmarks/results/segment.json.

What of the segments is not speech is read in two ways. `music_noise_and_long_pauses` is what a listener would
cut out: music, noise, and silences of more than half a second. `all_that_is_no_word` is every sample outside
the words as they are when trimmed: it also counts the margins, breaths, and the pauses of 0.2 to 0.5 s
between prompts that one segment joins, which a transcript has as commas and full stops. Errors are counted in
words with numbers as they are read, since 11 and 12 side by side are not 1112.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jiwer
import numpy as np
import pyarrow.parquet as pq
import soundfile
import whisper

from benchmarks.common import save, seconds
from benchmarks.long_recordings import RATE, Prompt, Recording, Spoken, loudness, make_recording, read_prompts
from pipeline.recognise.error_rate import normalise
from pipeline.recognise.loading import open_recogniser
from pipeline.recognise.recogniser import Heard, Recogniser, Word
from pipeline.recognise.speech import load_network
from pipeline.segment import run
from pipeline.segment.aligning import align
from pipeline.segment.cutting import cut_stream
from pipeline.segment.letters import NUMBER, spell
from pipeline.segment.settings import SegmentSettings

GRID = 20  # seconds
PAUSE = 0.5  # seconds of silence inside a segment from which it is more than a breath
SPOKEN = 0.05  # of a prompt's loudest 10 ms: above it a cut is in a word
BATCH = 16


@dataclass(frozen=True)
class Cut:
    """A segment, in samples, and what was heard in it."""

    start: int
    end: int
    text: str


class Timed:
    """A recogniser whose time is taken."""

    def __init__(self, recogniser: Recogniser) -> None:
        self.inner, self.seconds = recogniser, 0.0
        self.name, self.language = recogniser.name, recogniser.language

    def transcribe(self, waveforms: Sequence[np.ndarray], language: str | None) -> list[Heard]:
        started = time.perf_counter()
        heard = self.inner.transcribe(waveforms, language)
        self.seconds += time.perf_counter() - started
        return heard

    def words(self, waveform: np.ndarray, language: str | None) -> list[Word] | None:
        return self.inner.words(waveform, language)


def ours(recording: Recording, folder: Path, recogniser: Timed, settings: SegmentSettings) -> list[Cut]:
    """What `segment` makes of it, through files."""
    (folder / "in").mkdir()
    soundfile.write(folder / "in/recording.flac", recording.waveform, RATE, subtype="PCM_16")
    run.open_recogniser = lambda *_: recogniser  # loaded already, so that only the work is timed
    run.segment_recordings(str(folder / "in"), str(folder / "out"), settings, say=lambda _: None)
    rows = pq.read_table(folder / "out/segments").to_pylist()
    return [Cut(round(row["start"] * RATE), round(row["end"] * RATE), row["text"]) for row in rows]


def grid(recording: Recording, recogniser: Recogniser) -> list[Cut]:
    starts = range(0, len(recording.waveform), GRID * RATE)
    windows = [recording.waveform[start : start + GRID * RATE] for start in starts]
    heard = transcribe(windows, recogniser)
    return [
        Cut(start, start + len(window), text)
        for start, window, text in zip(starts, windows, heard, strict=True)
        if text
    ]


def whisper_chunks(recording: Recording, model: Path) -> list[Cut]:
    """Whisper's own segments: its `transcribe` moves a window of 30 s along by the times it hears."""
    loaded = whisper.load_model(str(model))
    found = whisper.transcribe(loaded, recording.waveform, fp16=False, temperature=0.0, language="en")
    return [Cut(round(s["start"] * RATE), round(s["end"] * RATE), s["text"]) for s in found["segments"]]


def transcribe(waveforms: Sequence[np.ndarray], recogniser: Recogniser) -> list[str]:
    batches = (waveforms[first : first + BATCH] for first in range(0, len(waveforms), BATCH))
    return [heard.text for batch in batches for heard in recogniser.transcribe(batch, "en")]


def measure(recording: Recording, cuts: Sequence[Cut]) -> dict[str, float]:
    """Shares, in percent, of what is inside the segments and of what is not."""
    speech, other, kept = (np.zeros(len(recording.waveform), bool) for _ in range(3))
    for each in recording.spoken:
        speech[each.start : each.end] = True
    for start, end in recording.other:
        other[start:end] = True
    for cut in cuts:
        kept[cut.start : cut.end] = True
    long = long_pauses(cuts, speech | other)
    said = " ".join(each.prompt.text for each in inside(recording, cuts, 0.5))
    edits, length = errors([(said, " ".join(cut.text for cut in cuts))])
    return {
        "segments": len(cuts),
        "mean_seconds": float(np.mean([cut.end - cut.start for cut in cuts])) / RATE,
        "speech_inside": 100 * (speech & kept).sum() / speech.sum(),
        "music_and_noise": 100 * (other & kept).sum() / kept.sum(),
        "music_noise_and_long_pauses": 100 * ((other & kept).sum() + long) / kept.sum(),
        "all_that_is_no_word": 100 * (kept & ~speech).sum() / kept.sum(),
        "cuts_in_words": 100
        * np.mean([in_word(recording, at) for cut in cuts for at in (cut.start, cut.end)]),
        "word_error_rate": 100 * edits / length,
    }


def long_pauses(cuts: Sequence[Cut], sounding: np.ndarray) -> int:
    """Samples of the silences in segments that last longer than PAUSE."""
    total = 0
    for cut in cuts:
        edges = np.flatnonzero(
            np.diff(np.concatenate([[True], sounding[cut.start : cut.end], [True]]).astype(int))
        )
        lengths = edges[1::2] - edges[::2]
        total += int(lengths[lengths > PAUSE * RATE].sum())
    return total


def in_word(recording: Recording, at: int) -> bool:
    """Whether a cut falls where a prompt, taken alone and clean, sounds."""
    for each in recording.spoken:
        if each.start < at < each.end:
            levels = loudness(each.prompt.waveform)
            here = min((at - each.start) * 100 // RATE, len(levels) - 1)
            return bool(levels[max(0, here - 1) : here + 2].min() > SPOKEN * levels.max())
    return False


def inside(recording: Recording, cuts: Sequence[Cut], share: float) -> list[Spoken]:
    """The prompts of which at least `share` is in the segments."""
    covered = np.zeros(len(recording.waveform), bool)
    for cut in cuts:
        covered[cut.start : cut.end] = True
    return [each for each in recording.spoken if covered[each.start : each.end].mean() >= share]


def true_words(recording: Recording, cut: Cut) -> str | None:
    """What is said in a segment; None if a prompt is in it in part, so that nobody knows which words are."""
    touched = [each for each in recording.spoken if each.start < cut.end and cut.start < each.end]
    shares = [(min(cut.end, e.end) - max(cut.start, e.start)) / (e.end - e.start) for e in touched]
    whole = [each for each, share in zip(touched, shares, strict=True) if share > 0.9]
    return " ".join(each.prompt.text for each in whole) if len(whole) == len(touched) else None


def errors(pairs: Sequence[tuple[str, str]]) -> tuple[int, int]:
    """Edits, and words that are said."""
    read = [(as_read(said), as_read(heard)) for said, heard in pairs]
    found = jiwer.process_words([said for said, _ in read], [heard for _, heard in read])
    edits = found.substitutions + found.deletions + found.insertions
    return edits, found.hits + found.substitutions + found.deletions


def as_read(text: str) -> str:
    """The words of a text in lower case, numbers spelled out."""
    spelled = NUMBER.sub(lambda number: f" {spell(number[0], 'en')} ", text)
    return normalise(spelled.replace("-", " "), "xx")


def alone(recording: Recording, recogniser: Recogniser) -> float:
    """The recogniser's word error rate, in percent, on each prompt of the recording alone."""
    prompts: list[Prompt] = list({each.prompt.name: each.prompt for each in recording.spoken}.values())
    texts = transcribe([prompt.waveform for prompt in prompts], recogniser)
    heard = {prompt.name: text for prompt, text in zip(prompts, texts, strict=True)}
    edits, length = errors([(e.prompt.text, heard[e.prompt.name]) for e in recording.spoken])
    return 100 * edits / length


def aligned(recording: Recording, cuts: Sequence[Cut], limit: float) -> dict[str, float]:
    """Percent of kept segments of whole prompts that get their true words, and of segments kept."""
    text = "\n".join(each.prompt.text for each in recording.spoken)
    texts, _ = align([cut.text for cut in cuts], text, limit, "en")
    known = [
        (given, said)
        for given, cut in zip(texts, cuts, strict=True)
        if given is not None and (said := true_words(recording, cut)) is not None
    ]
    right = sum(words(given) == words(said) for given, said in known)
    kept = sum(given is not None for given in texts)
    return {
        "true_words": 100 * right / len(known),
        "segments_that_were_judged": len(known),
        "kept": 100 * kept / len(cuts),
    }


def words(text: str) -> str:
    return "".join(letter for letter in normalise(text, "en") if letter.isalnum())


def main() -> None:
    parser = argparse.ArgumentParser(description="Cuts and words against the truth.")
    parser.add_argument("prompts", type=Path, help="where the Debian packages are unpacked, or /")
    parser.add_argument("--seconds", type=float, default=3600, metavar="S")
    parser.add_argument("--asr", type=Path, default=Path("build/models/tiny.en.pt"), metavar="FILE")
    arguments = parser.parse_args()
    settings = SegmentSettings(asr=str(arguments.asr))
    recording = make_recording(read_prompts(arguments.prompts), arguments.seconds, seed=0)
    recogniser = Timed(open_recogniser(str(arguments.asr)))
    results: dict[str, Any] = {"seconds": round(recording.seconds, 1), "prompts": len(recording.spoken)}
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        cuts = ours(recording, Path(folder), recogniser, settings)
        whole, heard = time.perf_counter() - started, recogniser.seconds
    network = load_network()
    blocks = [recording.waveform[at : at + 10 * RATE] for at in range(0, len(recording.waveform), 10 * RATE)]
    vad = seconds(lambda: list(cut_stream(blocks, network, settings)))
    results["speed"] = {
        "run_seconds": whole,
        "recogniser_seconds": heard,
        "detector_alone_seconds": vad,
        "over_both_percent": 100 * (whole / (heard + vad) - 1),
        "times_real_time": recording.seconds / whole,
        "detector_times_real_time": recording.seconds / vad,
    }
    results["this"] = measure(recording, cuts)
    results["aligned"] = aligned(recording, cuts, settings.max_misreading)
    results["whisper"] = measure(recording, whisper_chunks(recording, arguments.asr))
    results["grid"] = measure(recording, grid(recording, recogniser))
    results["clips_alone_word_error_rate"] = alone(recording, recogniser)
    save("segment", rounded(results))
    table(results)


def rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: rounded(each) for key, each in value.items()}
    return round(float(value), 2) if isinstance(value, float | np.floating) else value


def table(results: dict[str, Any]) -> None:
    print(f"{results['seconds']:,} s, {results['prompts']} prompts; percent")
    print(f"{'':30}{'this':>10}{'whisper':>10}{'grid':>10}")
    for key in results["this"]:
        print(f"{key:30}" + "".join(f"{results[way][key]:10.2f}" for way in ("this", "whisper", "grid")))
    print(f"word error rate of the clips alone: {results['clips_alone_word_error_rate']:.2f}")
    print(
        ", ".join(f"{key} {value:.2f}" for key, value in {**results["aligned"], **results["speed"]}.items())
    )


if __name__ == "__main__":
    main()
