"""How a reconstruction sounds, in numbers: word error rate, STOI, Distill-MOS.

Knows: the three measures and how the texts are made comparable. Does not know: codecs or language models.
"""

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import distillmos
import numpy as np
import torch
from pystoi import stoi

from pipeline.recognise.error_rate import count_errors
from pipeline.recognise.whisper_file import WhisperFile
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
    """Whisper tiny.en and Distill-MOS, loaded once."""

    def __init__(self, whisper_file: Path) -> None:
        self._recogniser = WhisperFile(whisper_file)
        self._rater = distillmos.ConvTransformerSQAModel().eval()

    def hear(self, waveforms: Sequence[np.ndarray]) -> list[str]:
        """What Whisper makes of 16 kHz clips, greedily."""
        return [heard.text for heard in self._recogniser.transcribe(waveforms, "en")]

    @torch.inference_mode()
    def mos(self, waveforms: Sequence[np.ndarray]) -> float:
        """Mean Distill-MOS, each clip alone."""
        ratings = [self._rater(torch.from_numpy(clip)[None].float()).item() for clip in waveforms]
        return float(np.mean(ratings))


def wer(heard: Sequence[str], texts: Sequence[str]) -> float:
    """Word errors of all clips over words of all clips, in Whisper's normal form, keys as words."""
    pairs = [(_with_keys(text), _with_keys(said)) for text, said in zip(texts, heard, strict=True)]
    errors = [count_errors(text, said, "en") for text, said in pairs]
    return sum(error.edits for error in errors) / sum(error.length for error in errors)


def _with_keys(text: str) -> str:
    return re.sub("[#*]", lambda sign: KEYS[sign[0]], text)


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
        wer=wer(judge.hear(made), texts),
        source_wer=wer(judge.hear(sources), texts),
        stoi=float(np.mean([intelligibility(a, b) for a, b in zip(sources, made, strict=True)])),
        distill_mos=judge.mos(made),
        source_distill_mos=judge.mos(sources),
    )
