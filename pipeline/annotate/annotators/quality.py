"""How good recordings sound, by DNSMOS: opinion scores from 1 to 5 that need no reference.

P.835 (https://arxiv.org/abs/2110.01763) judges speech, background and both; P.808
(https://arxiv.org/abs/2010.15258) the whole. The weights come with the package speechmos.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import torch

from pipeline.annotate.protocol import Column, Values
from pipeline.audio.decode import resample

RATE = 16_000  # Hz, of the models
NAMES = {
    "dnsmos_ovrl": "ovrl_mos",
    "dnsmos_sig": "sig_mos",
    "dnsmos_bak": "bak_mos",
    "dnsmos_p808": "p808_mos",
}


class Quality:
    """Means over windows of 9 s, a second apart; shorter recordings are repeated, as the authors do."""

    name = "quality"
    version = 1
    settings: ClassVar[Mapping[str, Any]] = {"models": "speechmos 0.0.1.1"}
    columns: ClassVar[Mapping[str, Column]] = {
        "dnsmos_ovrl": Column(pa.float32(), "overall quality, DNSMOS P.835, 1 to 5"),
        "dnsmos_sig": Column(pa.float32(), "quality of the speech, DNSMOS P.835, 1 to 5"),
        "dnsmos_bak": Column(pa.float32(), "quality of the background, DNSMOS P.835, 1 to 5"),
        "dnsmos_p808": Column(pa.float32(), "overall quality, DNSMOS P.808, 1 to 5"),
    }

    def __init__(self) -> None:
        self._model = _load()
        self._lock = threading.Lock()  # around the resampler's cache alone; the models run side by side

    def hear(self, waveform: np.ndarray, rate: int) -> Values:
        """See `ClipAnnotator.hear`."""
        with self._lock:
            clip = resample(torch.from_numpy(waveform), rate, RATE).numpy()
        found = self._model(np.clip(clip, -1, 1), RATE, False)
        return {name: round(float(found[theirs]), 4) for name, theirs in NAMES.items()}


def _load() -> Any:
    """Load the models with one thread each: scores do not depend on the machine's cores."""
    import onnxruntime

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # librosa's, as it is imported
        from speechmos import dnsmos

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    folder = Path(dnsmos.__file__).with_name("dnsmos_models")
    model = dnsmos.DNSMOS.__new__(dnsmos.DNSMOS)
    model.onnx_sess = onnxruntime.InferenceSession(str(folder / "sig_bak_ovr.onnx"), options)
    model.p808_onnx_sess = onnxruntime.InferenceSession(str(folder / "model_v8.onnx"), options)
    return model
