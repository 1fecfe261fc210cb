"""The training data: one speaker's telephone prompts, taken from two Debian packages.

Knows: where the packages keep the audio (headerless G.722) and the texts, and which prompts are held out.
Does not know: codecs, models, how a prompt becomes a training crop.
"""

import gzip
import hashlib
import re
import subprocess
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np

SAMPLE_RATE = 16_000  # Hz, mono: what G.722 holds and XCodec2 takes
PACKAGES = ("asterisk-core-sounds-en-g722", "asterisk-core-sounds-en")
AUDIO = Path("usr/share/asterisk/sounds/en_US_f_Allison")
TEXTS = Path("usr/share/doc/asterisk-core-sounds-en/core-sounds-en.txt.gz")
HELD_OUT = 20  # prompts never seen in training
SHIPPED = 10  # of these, the ones stored in the repository for the tests


@dataclass(frozen=True, slots=True)
class Prompt:
    """One spoken prompt. `waveform`: float32, (samples,), 16 kHz, in [-1, 1]."""

    name: str
    text: str
    waveform: np.ndarray

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return len(self.waveform) / SAMPLE_RATE


def fetch(build: Path) -> Path:
    """Download and unpack the packages under `build`; nothing is installed. Returns the unpacked root."""
    root = build / "root"
    if (root / TEXTS).exists() and (root / AUDIO).exists():
        return root
    root.mkdir(parents=True, exist_ok=True)
    subprocess.run(["apt-get", "download", *PACKAGES], cwd=build, check=True)
    for package in PACKAGES:
        archive = max(build.glob(f"{package}_*.deb"))
        subprocess.run(["dpkg", "-x", str(archive), str(root)], check=True)
    return root


def read_g722(path: Path) -> np.ndarray:
    """Decode a headerless G.722 file (64 kbit/s) to float32 (samples,) at 16 kHz."""
    with av.open(str(path), format="g722") as container:
        frames = [frame.to_ndarray().reshape(-1) for frame in container.decode(audio=0)]
    return np.concatenate(frames).astype(np.float32) / 2**15


def read_texts(path: Path) -> dict[str, str]:
    """Texts by prompt name; entries that describe a sound, `[beep]` or `(silence)`, are left out."""
    texts: dict[str, str] = {}
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            name, colon, text = line.strip().partition(": ")
            text = re.sub(r"\s+", " ", text.replace("...", "")).strip()
            if colon and name[0] != ";" and not re.search(r"[\[(]", text) and re.search(r"\w", text):
                texts[name] = text
    return texts


def load(root: Path) -> list[Prompt]:
    """All prompts that have both audio and text, by name."""
    texts = read_texts(root / TEXTS)
    prompts = []
    for path in sorted((root / AUDIO).rglob("*.g722")):
        name = path.relative_to(root / AUDIO).with_suffix("").as_posix()
        if name in texts:
            prompts.append(Prompt(name, texts[name], read_g722(path)))
    return prompts


def split(prompts: list[Prompt]) -> tuple[list[Prompt], list[Prompt]]:
    """Part the prompts into (training, held out).

    Held out are full sentences of 2 to 6 s, chosen by a hash of the name; a text that another prompt
    repeats is not chosen, or the words at least would not be new.
    """
    words = {prompt.name: re.sub(r"\W+", " ", prompt.text.lower()).strip() for prompt in prompts}
    counts = Counter(words.values())
    sentences = [
        prompt
        for prompt in prompts
        if 2 <= prompt.seconds <= 6 and len(prompt.text.split()) >= 5 and counts[words[prompt.name]] == 1
    ]
    chosen = sorted(sentences, key=lambda prompt: hashlib.sha256(prompt.name.encode()).digest())[:HELD_OUT]
    names = {prompt.name for prompt in chosen}
    return [prompt for prompt in prompts if prompt.name not in names], chosen
