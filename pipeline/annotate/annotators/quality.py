"""How good recordings sound, by DNSMOS: opinion scores from 1 to 5 that need no reference."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import torch

from pipeline.annotate.protocol import Column, Values
from pipeline.audio.decode import resample
from pipeline.recognise.opinion import RATE, Opinion, load_opinion


class Quality:
    """Means over the recording's windows; see `pipeline.recognise.opinion`."""

    name = "quality"
    version = 2
    settings: ClassVar[Mapping[str, Any]] = {"models": "speechmos 0.0.1.1"}
    columns: ClassVar[Mapping[str, Column]] = {
        "dnsmos_ovrl": Column(pa.float32(), "overall quality, DNSMOS P.835, 1 to 5"),
        "dnsmos_sig": Column(pa.float32(), "quality of the speech, DNSMOS P.835, 1 to 5"),
        "dnsmos_bak": Column(pa.float32(), "quality of the background, DNSMOS P.835, 1 to 5"),
        "dnsmos_p808": Column(pa.float32(), "overall quality, DNSMOS P.808, 1 to 5"),
    }

    def hear(self, waveform: np.ndarray, rate: int) -> Values:
        """See `ClipAnnotator.hear`."""
        scores = self._opinion.score(resample(torch.from_numpy(waveform), rate, RATE).numpy())
        return {f"dnsmos_{name}": round(score, 4) for name, score in scores.items()}

    @cached_property
    def _opinion(self) -> Opinion:
        return load_opinion("the annotator quality")
