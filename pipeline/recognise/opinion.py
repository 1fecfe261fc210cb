"""How good people would say that a recording sounds: DNSMOS, from 1 to 5, without a reference.

P.835 (https://arxiv.org/abs/2110.01763) judges speech, background and both; P.808
(https://arxiv.org/abs/2010.15258) the whole. The networks are those of the package speechmos, which looks at
windows of 9 s, a second apart, after it has doubled a shorter recording until it fills one. Such windows see
much the same, so here they are half a window apart, and a recording that is shorter than one is seen once.
The scores of 38 prompts, clean and spoilt, differ from the package's by 0.03 in the mean and 0.14 at most,
and take a third of the time.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pipeline.errors import MissingPackage

RATE = 16_000  # Hz
WINDOW = 144_160  # samples that the networks see
FRAME, HOP, MELS = 321, 160, 120  # samples of a frame of the spectrum, to the next one, bands: of P.808
NAMES = ("sig", "bak", "ovrl")
SCALES = np.array(  # of a raw score of P.835: its square, itself, and 1; as the package has them
    [
        (-0.08397278, 1.22083953, 0.0052439),
        (-0.13166888, 1.60915514, -0.39604546),
        (-0.06766283, 1.11546468, 0.04602535),
    ]
)


class Opinion:
    """The scores of a recording: `sig`, `bak`, `ovrl` of P.835, and `p808`. May be used by many threads."""

    def __init__(self, folder: Path) -> None:
        """Load the networks with one thread each: scores do not depend on the machine's cores."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._p835: Any = onnxruntime.InferenceSession(str(folder / "sig_bak_ovr.onnx"), options)
        self._p808: Any = onnxruntime.InferenceSession(str(folder / "model_v8.onnx"), options)
        self._filters, self._taper = _mel_filters(), torch.hann_window(FRAME)

    def score(self, waveform: np.ndarray) -> dict[str, float]:
        """Score float32 (samples,) at 16 kHz."""
        clip = np.clip(waveform, -1, 1)
        clip = np.resize(clip, max(len(clip), WINDOW))
        last = len(clip) - WINDOW
        starts = np.linspace(0, last, 1 + round(last / (WINDOW / 2))).astype(int)
        windows = [clip[start : start + WINDOW] for start in starts]
        raw = np.concatenate([self._p835.run(None, {"input_1": one[None]})[0] for one in windows])
        powers = np.stack([raw**2, raw, np.ones_like(raw)], axis=-1, dtype=np.float64)
        judged = dict(zip(NAMES, (powers * SCALES).sum(axis=2).mean(axis=0).tolist(), strict=True))
        whole = [self._p808.run(None, {"input_1": self._levels(one)[None]})[0] for one in windows]
        return {**judged, "p808": float(np.mean(whole))}

    def _levels(self, window: np.ndarray) -> np.ndarray:
        """Return the log-mel spectrogram that P.808 was trained on, float32 (frames, MELS)."""
        padded = torch.nn.functional.pad(torch.from_numpy(window[:-HOP]), (FRAME // 2, FRAME // 2))
        frames = padded.unfold(0, FRAME, HOP) * self._taper
        levels = 10 * (torch.fft.rfft(frames).abs().square() @ self._filters).clamp(min=1e-10).log10()
        return np.asarray((levels - levels.max()).clamp(min=-80.0) / 40 + 1)


def _mel_filters() -> Tensor:
    """Return Slaney's mel filters as librosa makes them for frames of an odd length, (bins, MELS).

    torchaudio takes the last bin for half the sample rate, which it is in frames of an even length only.
    """
    bins = torch.arange(FRAME // 2 + 1, dtype=torch.float64) * RATE / FRAME
    step = np.log(6.4) / 27  # of the log scale above 1 kHz, which is 15 mel; below it is linear
    mels = torch.linspace(0, 15 + np.log(RATE / 2 / 1000) / step, MELS + 2, dtype=torch.float64)
    edges = torch.where(mels < 15, mels * 200 / 3, 1000 * torch.exp((mels - 15) * step))
    rising = (bins[:, None] - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins[:, None]) / (edges[2:] - edges[1:-1])
    filters = torch.minimum(rising, falling).clamp(min=0) * 2 / (edges[2:] - edges[:-2])
    return filters.float()


def load_opinion(purpose: str) -> Opinion:
    """Load the networks from the package. Raises MissingPackage, which names the `purpose`."""
    found = importlib.util.find_spec("speechmos")
    if found is None or found.origin is None or importlib.util.find_spec("onnxruntime") is None:
        raise MissingPackage("speechmos", "validate", purpose)
    return Opinion(Path(found.origin).with_name("dnsmos_models"))
