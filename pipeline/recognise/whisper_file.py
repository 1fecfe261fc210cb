"""A checkpoint file of openai-whisper. The only module that imports that package."""

from __future__ import annotations

import math
import pickle
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import whisper
from whisper import timing

from pipeline.pretrained.torch_files import check_whisper_file
from pipeline.recognise.recogniser import BATCH, RATE, WINDOW, Heard, Word, join, unloadable, windows

MEL_FRAMES = RATE // 100  # samples a frame of Whisper's spectrogram


class WhisperFile:
    """Greedy decoding of 30 s windows; longer waveforms are heard in pieces."""

    def __init__(self, path: Path, device: torch.device | str | None = None, half: bool = False) -> None:
        """Load `path`. Raises UsageError if it is no such checkpoint."""
        self.name = path.name
        check_whisper_file(path)
        try:
            self._model: Any = whisper.load_model(str(path), device=device or "cpu")
        except (
            OSError,
            RuntimeError,
            KeyError,
            TypeError,
            ValueError,
            EOFError,
            pickle.PickleError,
        ) as error:
            raise unloadable(str(path), error) from error
        self._half = half and self._model.device.type == "cuda"
        self.language = None if self._model.is_multilingual else "en"
        self._tokenizer(self.language or "en")

    def transcribe(self, waveforms: Sequence[np.ndarray], language: str | None) -> list[Heard]:
        """See `Recogniser.transcribe`."""
        pieces = [(number, piece) for number, clip in enumerate(waveforms) for piece in windows(clip)]
        heard: list[list[Heard]] = [[] for _ in waveforms]
        options = whisper.DecodingOptions(
            language=self.language or language, without_timestamps=True, fp16=self._half
        )
        for first in range(0, len(pieces), BATCH):
            chosen = pieces[first : first + BATCH]
            mels = torch.stack([self._mel(piece) for _, piece in chosen]).to(self._model.device)
            results = whisper.decode(self._model, mels, options)
            for (number, _), found in zip(chosen, results, strict=True):
                confidence = math.exp(found.avg_logprob) if found.text else 0.0
                heard[number].append(Heard(found.text.strip(), found.language, confidence))
        return [join(parts) for parts in heard]

    def words(self, waveform: np.ndarray, language: str | None) -> list[Word]:
        """See `Recogniser.words`: times by the decoder's attention to the spectrogram."""
        language = self.language or language
        mel = self._mel(waveform).to(self._model.device)
        options = whisper.DecodingOptions(language=language, without_timestamps=True, fp16=self._half)
        found = whisper.decode(self._model, mel, options)
        tokenizer = self._tokenizer(found.language)
        tokens = [token for token in found.tokens if token < tokenizer.eot]
        frames = min(len(waveform), WINDOW) // MEL_FRAMES
        timed = timing.find_alignment(self._model, tokenizer, tokens, mel, frames) if tokens else []
        return [Word(each.word.strip(), each.start, each.end) for each in timed if each.word.strip()]

    def _mel(self, waveform: np.ndarray) -> torch.Tensor:
        padded = whisper.pad_or_trim(waveform.astype(np.float32), WINDOW)
        mel: torch.Tensor = whisper.log_mel_spectrogram(padded, self._model.dims.n_mels)
        return mel.half() if self._half else mel

    def _tokenizer(self, language: str) -> Any:
        multilingual = self._model.is_multilingual
        with warnings.catch_warnings():  # it leaves its vocabulary's file to the collector
            warnings.simplefilter("ignore", ResourceWarning)
            return whisper.tokenizer.get_tokenizer(
                multilingual,
                num_languages=self._model.num_languages,
                language=language,
                task="transcribe",
            )
