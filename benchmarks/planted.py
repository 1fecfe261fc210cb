"""A corpus of real prompts in which faults are planted, and which clip has which.

The prompts are those of `long_recordings.py`, with their silences; French and Spanish ones, of the packages
asterisk-core-sounds-fr and -es, are other voices and other languages. The noise is made here.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import soundfile

from benchmarks.long_recordings import RATE, Prompt, noise, read_prompts

FRENCH, SPANISH = ("fr", "fr_CA_f_June"), ("es", "es_MX_f_Allison")
NOISES = (30, 20, 10, 0)  # dB of speech over noise
CODECS = ("mp3", "ogg")
LONGEST = 20 * RATE  # samples of a prompt that is taken
CLEAN = ""


@dataclass(frozen=True)
class Planted:
    """A clip with its fault; `of` names the clip that it copies."""

    id: str
    text: str
    waveform: np.ndarray
    fault: str = CLEAN
    language: str = "en"
    ending: str = "wav"
    of: str = ""


def plant(root: Path, each: int, seed: int = 0) -> list[Planted]:
    """Return the English prompts below `root`, `each` with each fault, and `each` of what is added."""
    random = np.random.default_rng(seed)
    prompts, french, spanish = (
        [one for one in read_prompts(root, *voice, trim=False) if len(one.waveform) < LONGEST]
        for voice in ((), (FRENCH,), (SPANISH,))
    )
    clips = [
        Planted(prompt.name.replace("/", "-"), prompt.text, prompt.waveform)
        for prompt in (prompts[number] for number in random.permutation(len(prompts)))
    ]
    faults: dict[str, Callable[[Planted], Planted]] = {
        f"noise_{level}": lambda clip, level=level: with_noise(clip, level, random) for level in NOISES
    }
    faults["clipping"] = lambda clip: clipped(clip, random.uniform(6, 20))
    faults["cut_end"] = lambda clip: cut(clip, random)
    faults["second_voice"] = lambda clip: over(clip, french[random.integers(len(french))])
    made, rest = list[Planted](), iter(clips)
    for fault, spoil in faults.items():
        made += [replace(spoil(next(rest)), fault=fault) for _ in range(each)]
    made += swapped([next(rest) for _ in range(each)])
    clean = list(rest)
    made += clean
    made += [copied(clip, random) for clip in clean[:each]]
    made += added(french, "another_voice", "fr", random, each)
    made += added(spanish, "wrong_language", "en", random, each)
    return made


def with_noise(clip: Planted, level: float, random: np.random.Generator) -> Planted:
    made = noise(random, len(clip.waveform) / RATE + 0.1)[: len(clip.waveform)]
    return replace(
        clip, waveform=clip.waveform + made * (rms(clip.waveform) / rms(made)) / 10 ** (level / 20)
    )


def clipped(clip: Planted, decibels: float) -> Planted:
    """Recorded too loud by so many dB, and turned down again."""
    loud = np.clip(clip.waveform / np.abs(clip.waveform).max() * 10 ** (decibels / 20), -1, 1)
    return replace(clip, waveform=0.7 * loud)


def cut(clip: Planted, random: np.random.Generator) -> Planted:
    """Cut where it is loud: somewhere in the first or the last quarter, within 10 dB of the loudest 20 ms."""
    step = RATE // 50
    whole = len(clip.waveform) // step * step
    levels = np.sqrt((clip.waveform[:whole].reshape(-1, step) ** 2).mean(axis=1))
    loud = np.flatnonzero(levels > levels.max() / 10**0.5)
    first, last = loud[loud < len(levels) / 4], loud[loud > len(levels) * 3 / 4]
    places = first if len(first) and (random.random() < 0.5 or not len(last)) else last
    place = int(random.choice(places if len(places) else loud)) * step
    waveform = clip.waveform[place:] if places is first else clip.waveform[: place + step]
    return replace(clip, waveform=waveform)


def over(clip: Planted, other: Prompt) -> Planted:
    """Somebody else speaks at the same time, as loud."""
    voice = np.resize(other.waveform, len(clip.waveform))
    return replace(clip, waveform=0.6 * (clip.waveform + voice * rms(clip.waveform) / rms(voice)))


def swapped(clips: list[Planted]) -> list[Planted]:
    """Each has the text of the next one."""
    texts = [*(clip.text for clip in clips[1:]), clips[0].text]
    return [replace(clip, text=text, fault="swapped_text") for clip, text in zip(clips, texts, strict=True)]


def copied(clip: Planted, random: np.random.Generator) -> Planted:
    """The same, 3 to 20 dB softer, in another codec."""
    softer = clip.waveform / 10 ** (random.uniform(3, 20) / 20)
    ending = str(random.choice(CODECS))
    return Planted(f"{clip.id}-copy", clip.text, softer, "copy", clip.language, ending, clip.id)


def added(
    prompts: list[Prompt], fault: str, language: str, random: np.random.Generator, each: int
) -> Iterator[Planted]:
    for number in random.permutation(len(prompts))[:each]:
        prompt = prompts[number]
        yield Planted(f"{fault}-{number}", prompt.text, prompt.waveform, fault, language)


def rms(waveform: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(waveform, dtype=np.float64)))) + 1e-9


def write(clips: list[Planted], folder: Path) -> None:
    """Write `clips/` and `metadata.csv`, in which all say that one speaker speaks."""
    (folder / "clips").mkdir(parents=True)
    with (folder / "metadata.csv").open("w", encoding="utf-8", newline="") as file:
        lines = csv.writer(file)
        lines.writerow(["file_name", "text", "speaker", "language"])
        for clip in clips:
            name = f"{clip.id}.{clip.ending}"
            coding = {"wav": "PCM_16", "mp3": "MPEG_LAYER_III", "ogg": "VORBIS"}[clip.ending]
            soundfile.write(folder / "clips" / name, np.clip(clip.waveform, -1, 1), RATE, subtype=coding)
            lines.writerow([name, clip.text, "allison", clip.language])
