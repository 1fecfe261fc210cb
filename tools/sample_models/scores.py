"""How a reconstruction sounds, in numbers: word error rate, STOI, Distill-MOS.

Knows: the three measures and how the texts are made comparable. Does not know: codecs or language models.
"""

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import distillmos
import jiwer
import numpy as np
import torch
import whisper
from pystoi import stoi
from whisper.normalizers import EnglishTextNormalizer

from sample_models.prompts import SAMPLE_RATE

KEYS = {"#": " pound ", "*": " star "}  # prompts name telephone keys by sign or by word


@dataclass(frozen=True, slots=True)
class Scores:
    """Over a set of clips. Rates and STOI as fractions, Distill-MOS from 1 to 5."""

    clips: int
    wer: float
    source_wer: float | None
    stoi: float | None
    distill_mos: float
    source_distill_mos: float | None


class Judge:
    """Whisper tiny.en and Distill-MOS, loaded once, on the CPU."""

    def __init__(self, whisper_file: Path) -> None:
        self.recogniser = whisper.load_model(str(whisper_file), device="cpu")
        self.normalise = EnglishTextNormalizer()
        self.rater = distillmos.ConvTransformerSQAModel().eval()

    def transcribe(self, waveform: np.ndarray) -> str:
        """What Whisper hears in a 16 kHz clip, greedily."""
        options = {"language": "en", "fp16": False, "temperature": 0.0, "condition_on_previous_text": False}
        return str(self.recogniser.transcribe(waveform.astype(np.float32), **options)["text"]).strip()

    def comparable(self, text: str) -> str:
        """Text in Whisper's own English normal form, telephone keys as words."""
        words = re.sub("[#*]", lambda sign: KEYS[sign[0]], text)
        return str(self.normalise(words))

    def wer(self, heard: Sequence[str], texts: Sequence[str]) -> float:
        """Word errors of all clips over words of all clips."""
        spoken = [self.comparable(text) for text in texts]
        return float(jiwer.wer(spoken, [self.comparable(text) for text in heard]))

    @torch.inference_mode()
    def mos(self, waveforms: Sequence[np.ndarray]) -> float:
        """Mean Distill-MOS, each clip alone."""
        return float(np.mean([self.rater(torch.from_numpy(w)[None].float()).item() for w in waveforms]))


def intelligibility(source: np.ndarray, made: np.ndarray) -> float:
    """Short-time objective intelligibility (Taal et al. 2011) of `made` against `source`, both 16 kHz."""
    length = min(len(source), len(made))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # pystoi warns of clips too short; those score 1e-5
        return float(stoi(source[:length], made[:length], SAMPLE_RATE))


def score_pairs(
    judge: Judge, sources: Sequence[np.ndarray], made: Sequence[np.ndarray], texts: Sequence[str]
) -> Scores:
    """Reconstructions beside their sources."""
    return Scores(
        clips=len(texts),
        wer=judge.wer([judge.transcribe(waveform) for waveform in made], texts),
        source_wer=judge.wer([judge.transcribe(waveform) for waveform in sources], texts),
        stoi=float(np.mean([intelligibility(a, b) for a, b in zip(sources, made, strict=True)])),
        distill_mos=judge.mos(made),
        source_distill_mos=judge.mos(sources),
    )
