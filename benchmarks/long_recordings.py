"""Long recordings whose cuts and words are known: prompts of Debian packages, joined with everything else.

    apt-get install asterisk-core-sounds-en-g722 asterisk-core-sounds-en     # or: apt-get download, dpkg -x

Prompts of one speaker (CC-BY-SA-3.0) come in a random order, again and again, with pauses of 0.2 to 3 s
between them, and every minute or so with music or noise made here. A quarter of it lies in the noise of a
room.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np

RATE = 16_000  # Hz, of the prompts and of what is made of them
SOUNDS = "usr/share/asterisk/sounds"
ENGLISH = ("en", "en_US_f_Allison")  # the language in the packages' names, and their folder of recordings
TEXTS = "usr/share/doc/asterisk-core-sounds-{0}/core-sounds-{0}.txt.gz"
SOUNDING = 0.02  # of the loudest 10 ms: below it the ends of a prompt are silence
WORDS = re.compile(r"[A-Za-z]{2}")


@dataclass(frozen=True)
class Prompt:
    """A prompt, float32 (n,)."""

    name: str
    text: str
    waveform: np.ndarray


@dataclass(frozen=True)
class Spoken:
    """Where a prompt is in a recording, in samples."""

    prompt: Prompt
    start: int
    end: int


@dataclass(frozen=True)
class Recording:
    """A recording, float32 (n,), and all that is said in it."""

    waveform: np.ndarray
    spoken: list[Spoken]
    other: list[tuple[int, int]]  # samples of music and noise

    @property
    def seconds(self) -> float:
        return len(self.waveform) / RATE


def read_prompts(root: Path, voice: tuple[str, str] = ENGLISH, trim: bool = True) -> list[Prompt]:
    """The prompts of words below `root`, where the packages are installed or unpacked, by name."""
    language, folder = voice
    listed = gzip.decompress((root / TEXTS.format(language)).read_bytes()).decode("utf-8", "replace")
    lines = (line.partition(":") for line in listed.splitlines() if not line.startswith(";"))
    texts = {name.strip(): " ".join(text.split()) for name, _, text in lines}
    found = []
    for path in sorted((root / SOUNDS / folder).rglob("*.g722")):
        name = path.relative_to(root / SOUNDS / folder).with_suffix("").as_posix()
        text = re.sub(r"[\[(<].*?[\])>]", "", texts.get(name, "")).strip()
        if WORDS.search(text):
            waveform = decode(path)
            found.append(Prompt(name, text, trimmed(waveform) if trim else waveform))
    return [prompt for prompt in found if len(prompt.waveform)]


def decode(path: Path) -> np.ndarray:
    with av.open(str(path), format="g722") as container:
        frames = [frame.to_ndarray().reshape(-1) for frame in container.decode(audio=0)]
    return np.concatenate(frames).astype(np.float32) / 2**15


def loudness(waveform: np.ndarray) -> np.ndarray:
    """Root mean square of each 10 ms."""
    step = RATE // 100
    whole = len(waveform) // step * step
    return np.sqrt((waveform[:whole].reshape(-1, step).astype(np.float64) ** 2).mean(axis=1))


def trimmed(waveform: np.ndarray) -> np.ndarray:
    levels = loudness(waveform)
    loud = np.flatnonzero(levels > SOUNDING * levels.max())
    return waveform[loud[0] * RATE // 100 : (loud[-1] + 1) * RATE // 100] if len(loud) else waveform[:0]


def make_recording(prompts: list[Prompt], seconds: float, seed: int) -> Recording:
    """Join prompts and what is not speech to about `seconds`."""
    random = np.random.default_rng(seed)
    parts, position = [silence(random, 0.5)], RATE // 2
    spoken, other = list[Spoken](), list[tuple[int, int]]()
    queue = _shuffled(prompts, random)
    next_other = random.uniform(20, 60)
    while position < seconds * RATE:
        prompt = next(queue)
        spoken.append(Spoken(prompt, position, position + len(prompt.waveform)))
        added = [prompt.waveform, silence(random, random.choice([0.2, 0.35, 0.5, 0.8, 1.5, 3.0]))]
        if position > next_other * RATE:
            make = music if random.random() < 0.5 else noise
            begins = position + sum(map(len, added))
            added.append(make(random, random.uniform(3, 12)))
            other.append((begins, begins + len(added[-1])))
            added.append(silence(random, random.uniform(0.3, 1)))
            next_other = position / RATE + random.uniform(30, 90)
        parts += added
        position += sum(map(len, added))
    waveform = np.concatenate(parts)
    return Recording(room(random, waveform), spoken, other)


def _shuffled(prompts: list[Prompt], random: np.random.Generator) -> Iterator[Prompt]:
    while True:
        for number in random.permutation(len(prompts)):
            yield prompts[number]


def silence(random: np.random.Generator, seconds: float) -> np.ndarray:
    """The hiss of a good microphone: -75 dB of full scale."""
    return random.normal(0, 1.8e-4, round(seconds * RATE)).astype(np.float32)


def noise(random: np.random.Generator, seconds: float) -> np.ndarray:
    """Noise whose spectrum falls, as of traffic, with slow swells and a few knocks."""
    number = round(seconds * RATE)
    spectrum = np.fft.rfft(random.normal(size=number))
    spectrum /= np.maximum(np.arange(len(spectrum)), 20) ** random.uniform(0.4, 1.0)
    made = np.fft.irfft(spectrum, number)
    swell = 1 + 0.5 * np.sin(2 * np.pi * random.uniform(0.1, 0.5) * np.arange(number) / RATE)
    made *= swell / np.abs(made).max()
    for at in random.integers(0, number, 3):
        knock = np.exp(-np.arange(min(2000, number - at)) / 200) * random.normal(size=min(2000, number - at))
        made[at : at + len(knock)] += 0.5 * knock
    return (0.15 * made).astype(np.float32)


def music(random: np.random.Generator, seconds: float) -> np.ndarray:
    """Chords of plucked strings with a beat."""
    number = round(seconds * RATE)
    time, made = np.arange(number) / RATE, np.zeros(number)
    beat = random.uniform(0.35, 0.6)
    for step, begins in enumerate(np.arange(0, seconds, beat)):
        here = np.maximum(time - begins, 0)
        envelope = (time >= begins) * np.exp(-3 * here)
        root = 110 * 2 ** (random.choice([0, 3, 5, 7]) / 12)
        for interval in (0, 4, 7, 12):
            pitch = root * 2 ** (interval / 12)
            made += envelope * sum(np.sin(2 * np.pi * pitch * k * here) / k**1.5 for k in range(1, 6))
        if step % 2:
            made += (time >= begins) * np.exp(-40 * here) * random.normal(size=number)
    return (0.2 * made / np.abs(made).max()).astype(np.float32)


def room(random: np.random.Generator, waveform: np.ndarray) -> np.ndarray:
    """Put every fourth stretch of half a minute into the hum and hiss of a room, 25 dB below speech."""
    result = waveform.copy()
    for first in range(0, len(result), 30 * RATE):
        if random.random() < 0.25:
            part = result[first : first + 30 * RATE]
            hum = np.sin(2 * np.pi * 100 * np.arange(len(part)) / RATE)
            part += (0.002 * random.normal(size=len(part)) + 0.002 * hum).astype(np.float32)
    return result
