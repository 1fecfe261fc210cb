"""Score the stored models through this project's own codec and speaker, as a user meets them.

Knows which clips and texts are scored and how they are spoken. The measures are in scores.py.
"""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import fetch_whisper
import numpy as np
import soundfile
import torch

from pipeline.codec import load_codec
from pipeline.codec.protocol import Codec
from pipeline.config import CodecSettings
from pipeline.llasa.loading import ModelSettings
from pipeline.llasa.sampling import Sampling
from pipeline.llasa.speaking import Speech, open_speaker
from sample_models import scores, spoken_texts
from sample_models.prompts import SAMPLE_RATE, Prompt

SEED = 0


def round_trip(codec: Codec, waveforms: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Each clip encoded and decoded, alone, and cut to its own length."""
    made = []
    for waveform in waveforms:
        codes = codec.encode(torch.from_numpy(waveform)[None], torch.tensor([len(waveform)]))
        made.append(codec.decode(codes)[0][: len(waveform)])
    return made


def score_all(training: list[Prompt], held_out: list[Prompt], models: Path, heard: Path) -> dict[str, Any]:
    """The codec on held-out prompts, the LLASA on known and on new texts; `heard` gets the sound."""
    judge = scores.Judge(fetch_whisper.fetch(fetch_whisper.DEFAULT))
    codec = load_codec(CodecSettings(name=str(models / "codec")))
    sources = [prompt.waveform for prompt in held_out]
    made = round_trip(codec, sources)
    _keep(heard / "codec", [prompt.name for prompt in held_out], made)
    texts = [prompt.text for prompt in held_out]
    result: dict[str, Any] = {"codec": _rounded(asdict(scores.score_pairs(judge, sources, made, texts)))}
    if (models / "llasa").exists():
        speaker = open_speaker(ModelSettings(name=str(models / "llasa"), max_tokens=1024), codec)
        spoken = {
            "trained texts": spoken_texts.trained(training, several=False),
            "trained texts of several sentences": spoken_texts.trained(training, several=True),
            "recombined texts": list(spoken_texts.RECOMBINED),
        }
        for title, wanted in spoken.items():
            speeches = speaker.speak(wanted, sampling=Sampling(seed=SEED, max_codes=500))
            names = [str(number) for number in range(len(wanted))]
            _keep(heard / title, names, [speech.waveform for speech in speeches])
            result[f"llasa, {title}"] = _spoken(judge, speeches, wanted)
    return result


def _spoken(judge: scores.Judge, speeches: Sequence[Speech], texts: Sequence[str]) -> dict[str, Any]:
    heard = judge.hear([speech.waveform for speech in speeches])
    said = scores.Scores(
        clips=len(texts),
        wer=scores.wer(heard, texts),
        source_wer=None,
        stoi=None,
        distill_mos=judge.mos([speech.waveform for speech in speeches]),
        source_distill_mos=None,
    )
    ended = sum(speech.ended for speech in speeches)
    pairs = [{"text": text, "heard": words} for text, words in zip(texts, heard, strict=True)]
    return {**_rounded(asdict(said)), "ended": ended, "transcripts": pairs}


def _rounded(values: dict[str, Any]) -> dict[str, Any]:
    known = {key: value for key, value in values.items() if value is not None}
    return {key: round(value, 3) if isinstance(value, float) else value for key, value in known.items()}


def _keep(folder: Path, names: Sequence[str], waveforms: Sequence[np.ndarray]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, waveform in zip(names, waveforms, strict=True):
        soundfile.write(folder / f"{name.replace('/', '-')}.wav", waveform, SAMPLE_RATE)
