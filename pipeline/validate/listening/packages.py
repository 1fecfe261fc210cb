"""Scores that optional packages bring: STOI, PESQ, Distill-MOS, speaker similarity, speech detection.

A package that is not there is a `Missing`, said once in the report, never an error. The only module that
imports these packages.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.errors import PIP

RATE = 16_000  # Hz, of everything here
MIN_SECONDS = 0.4  # below it STOI, PESQ and MOS have too few frames to say anything
INSTALL = f"{PIP} {{}}"

Score = Callable[[np.ndarray, np.ndarray], dict[str, float]]  # source, decoded: aligned, float32 (samples,)


@dataclass(frozen=True)
class Missing:
    """A package that is not installed, what it would have measured, and how to get it."""

    package: str
    purpose: str
    install: str


@dataclass(frozen=True)
class Package:
    """An optional package: `load()` gives its score."""

    module: str
    purpose: str
    load: Callable[[], Score]
    install: str


def load_scores() -> tuple[list[Score], list[Missing]]:
    """Return every score whose package is there, and the packages that are not."""
    scores, missing = [], []
    for package in PACKAGES:
        if importlib.util.find_spec(package.module) is None:
            missing.append(Missing(package.module, package.purpose, package.install))
        else:
            scores.append(package.load())
    return scores, missing


def load_speech_detector() -> tuple[Callable[[np.ndarray], float] | None, list[Missing]]:
    """Return a function for the share of time with speech, by Silero's detector; None if not installed."""
    if importlib.util.find_spec("silero_vad") is None:
        how = INSTALL.format("silero-vad")
        return None, [Missing("silero_vad", "share of speech by a detector (levels are used instead)", how)]
    import torch
    from silero_vad import get_speech_timestamps, load_silero_vad

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # it is a TorchScript file, which torch gives up
        detector = load_silero_vad()

    def share(waveform: np.ndarray) -> float:
        found = get_speech_timestamps(torch.from_numpy(waveform), detector, sampling_rate=RATE)
        return float(sum(part["end"] - part["start"] for part in found) / max(len(waveform), 1))

    return share, []


def _stoi() -> Score:
    from pystoi import stoi

    def score(source: np.ndarray, decoded: np.ndarray) -> dict[str, float]:
        with warnings.catch_warnings():
            warnings.simplefilter("error", RuntimeWarning)
            try:
                return {"stoi": float(stoi(source, decoded, RATE))}
            except RuntimeWarning:  # too little of the clip is louder than its silence
                return {}

    return score


def _pesq() -> Score:
    from pesq import PesqError, pesq

    def score(source: np.ndarray, decoded: np.ndarray) -> dict[str, float]:
        try:
            return {
                "pesq_wb": float(pesq(RATE, source, decoded, "wb")),
                "pesq_nb": float(pesq(RATE, source, decoded, "nb")),
            }
        except (PesqError, ValueError):  # silent, or too short: it finds nothing to compare
            return {}

    return score


def _mos() -> Score:
    import distillmos
    import torch

    with contextlib.redirect_stdout(io.StringIO()):  # it prints where its weights are
        model: Any = distillmos.ConvTransformerSQAModel()
    model.train(mode=False)

    @torch.inference_mode()
    def score(source: np.ndarray, decoded: np.ndarray) -> dict[str, float]:
        opinions = [float(model(torch.from_numpy(waveform)[None])) for waveform in (source, decoded)]
        return {"mos_source": opinions[0], "mos_decoded": opinions[1]}

    return score


def _speaker() -> Score:
    from pipeline.recognise.speaker import load_speaker_encoder

    encoder = load_speaker_encoder("speaker similarity")

    def score(source: np.ndarray, decoded: np.ndarray) -> dict[str, float]:
        return {"speaker_similarity": float(encoder.embed(source) @ encoder.embed(decoded))}

    return score


PACKAGES = (
    Package("pystoi", "intelligibility (STOI)", _stoi, INSTALL.format("pystoi")),
    Package("pesq", "perceived quality (PESQ)", _pesq, INSTALL.format("pesq")),
    Package(
        "distillmos", "opinion score without reference (Distill-MOS)", _mos, INSTALL.format("distillmos")
    ),
    Package("resemblyzer", "speaker similarity (weak)", _speaker, "pip install --no-deps Resemblyzer==0.1.4"),
)
