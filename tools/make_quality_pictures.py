"""Draw the pictures of docs/quality.md: one prompt of the sample corpus, as it is and with faults planted.

    python tools/make_quality_pictures.py          # needs the packages that `annotate` measures with

Writes docs/pictures/quality-*.png and prints the figures that stand below them.
"""

from __future__ import annotations

import base64
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.long_recordings import Prompt  # noqa: E402
from benchmarks.planted import Planted, clipped, cut, over, with_noise  # noqa: E402
from pipeline.annotate.annotators.level import Level  # noqa: E402
from pipeline.annotate.annotators.quality import Quality  # noqa: E402
from pipeline.audio.decode import decode, resample  # noqa: E402
from pipeline.validate.report.pictures import spectrogram  # noqa: E402

AUDIO, PICTURES = ROOT / "data/sample/audio", ROOT / "docs/pictures"
PROMPT, OTHER = "prompts/please-try-call-later.wav", "novel/austen-0880.wav"
RATE = 16_000  # Hz
SHOWN = ("snr", "clipped", "edge", "dnsmos_sig", "dnsmos_bak", "dnsmos_ovrl")


def read(name: str) -> np.ndarray:
    waveform, rate = decode(AUDIO / name, max_seconds=60, deadline_seconds=60)
    return resample(waveform, rate, RATE).numpy()


def faulty() -> dict[str, np.ndarray]:
    """The prompt with each fault, by name."""
    random, clip = np.random.default_rng(3), Planted("prompt", "", read(PROMPT))
    made = {
        "clean": clip,
        "noise": with_noise(clip, 10, random),
        "clipped": clipped(clip, 15),
        "cut": cut(clip, random),
        "second-voice": over(clip, Prompt("other", "", read(OTHER))),
    }
    return {name: one.waveform.astype(np.float32) for name, one in made.items()}


def main() -> None:
    PICTURES.mkdir(exist_ok=True)
    level, quality = Level(), Quality()
    print(f"{'':14}" + "".join(f"{name:>14}" for name in SHOWN))
    for name, waveform in faulty().items():
        address = spectrogram(waveform, RATE)
        (PICTURES / f"quality-{name}.png").write_bytes(base64.b64decode(address.partition(",")[2]))
        found = {**level.hear(waveform, RATE), **quality.hear(waveform, RATE)}
        print(f"{name:14}" + "".join(f"{found[column]:14.3f}" for column in SHOWN))


if __name__ == "__main__":
    main()
