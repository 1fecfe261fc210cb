"""Speech recognisers of the Hugging Face Hub or a folder, through transformers."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from transformers import LogitsProcessor

from pipeline.errors import UsageError
from pipeline.pretrained.checks import check_folder
from pipeline.pretrained.folders import find_folder
from pipeline.recognise.recogniser import BATCH, RATE, Heard, Recogniser, Word, join, unloadable, windows
from pipeline.runtime import quiet


def open_huggingface(name: str, device: torch.device, half: bool) -> Recogniser:
    """Load a model by id or folder. Raises UsageError if that fails."""
    from transformers import AutoConfig

    dtype = dtype_on(device, half)
    with loading(name, "recogniser") as found:
        if AutoConfig.from_pretrained(found, trust_remote_code=False).model_type == "whisper":
            return Whisper(found, device, dtype)
        return Pipeline(found, device, dtype)


def dtype_on(device: torch.device, half: bool) -> torch.dtype:
    """Return the type that a model's weights have: bfloat16 on a GPU with `half`, else float32."""
    return torch.bfloat16 if half and device.type == "cuda" else torch.float32


@contextlib.contextmanager
def loading(name: str, kind: str) -> Iterator[str]:
    """Check the folder of a model, if it is one, and load it quietly in the block.

    `kind`: the model's role, in words. Yields the folder, or the Hugging Face id. Raises UsageError for
    whatever the block raises.
    """
    folder = find_folder(name, kind)
    if folder is not None:
        check_folder(folder)
    try:
        with quiet():
            yield name if folder is None else str(folder)
    except UsageError:
        raise
    except Exception as error:  # the libraries raise almost any for a damaged or hostile folder
        raise unloadable(name, error) from error


class Whisper:
    """A Whisper by transformers' own classes: 30 s windows, greedy, in batches."""

    def __init__(self, name: str, device: torch.device, dtype: torch.dtype) -> None:
        from transformers import WhisperForConditionalGeneration, WhisperProcessor

        self.name = name
        self._device, self._dtype = device, dtype
        self._processor: Any = WhisperProcessor.from_pretrained(name)
        model: Any = WhisperForConditionalGeneration.from_pretrained(name, dtype=dtype)
        self._model: Any = model.to(device).eval()
        self._multilingual = bool(getattr(model.generation_config, "is_multilingual", False))
        self.language = None if self._multilingual else "en"

    @torch.inference_mode()
    def transcribe(self, waveforms: Sequence[np.ndarray], language: str | None) -> list[Heard]:
        """See `Recogniser.transcribe`."""
        pieces = [(number, piece) for number, clip in enumerate(waveforms) for piece in windows(clip)]
        heard: list[list[Heard]] = [[] for _ in waveforms]
        for first in range(0, len(pieces), BATCH):
            chosen = pieces[first : first + BATCH]
            for (number, _), found in zip(chosen, self._batch([p for _, p in chosen], language), strict=True):
                heard[number].append(found)
        return [join(parts) for parts in heard]

    def words(self, waveform: np.ndarray, language: str | None) -> None:
        """See `Recogniser.words`: not told, since few checkpoints name the attention heads that know."""

    def _batch(self, pieces: list[np.ndarray], language: str | None) -> list[Heard]:
        inputs = self._processor(pieces, sampling_rate=RATE, return_tensors="pt", return_attention_mask=True)
        features = inputs.input_features.to(self._device, self._dtype)
        languages = self._languages(features, language)
        options: dict[str, Any] = {"language": languages, "task": "transcribe"} if self._multilingual else {}
        sureness = _Confidence(self._model.generation_config.eos_token_id)
        with quiet():  # it warns of what a checkpoint's own generation_config.json says
            tokens = self._model.generate(
                features,
                attention_mask=inputs.attention_mask.to(self._device),
                logits_processor=[sureness],
                num_beams=1,
                **options,
            )
        texts = self._processor.batch_decode(tokens, skip_special_tokens=True)
        rows = zip(texts, languages, sureness.values(len(texts)), strict=True)
        return [Heard(text.strip(), language, sure if text.strip() else 0.0) for text, language, sure in rows]

    def _languages(self, features: torch.Tensor, language: str | None) -> list[str]:
        known = self.language or language
        if known is not None:
            return [known] * len(features)
        found = self._model.detect_language(features).flatten()
        return [token.strip("<|>") for token in self._processor.tokenizer.convert_ids_to_tokens(found)]


class _Confidence(LogitsProcessor):
    """Adds up the log-probabilities of the tokens that greedy decoding takes, without keeping logits."""

    def __init__(self, end: int) -> None:
        self._end = end
        self._before: torch.Tensor | None = None
        self._total: torch.Tensor | float = 0.0
        self._count: torch.Tensor | float = 0.0

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        if self._before is not None:
            taken = input_ids[:, -1:]
            counts = (taken != self._end).squeeze(1).double()
            self._total = self._total + self._before.gather(1, taken).squeeze(1).double() * counts
            self._count = self._count + counts
        self._before = scores.float().log_softmax(dim=-1)
        return scores

    def values(self, rows: int) -> list[float]:
        """Return each row's geometric mean of its tokens' probabilities."""
        if not isinstance(self._total, torch.Tensor) or not isinstance(self._count, torch.Tensor):
            return [0.0] * rows
        means: list[float] = (self._total / self._count.clamp(min=1)).exp().tolist()
        return means


class Pipeline:
    """Any other recogniser, through transformers' pipeline; it tells neither language nor confidence."""

    def __init__(self, name: str, device: torch.device, dtype: torch.dtype) -> None:
        import transformers

        self.name = name
        self.language: str | None = None
        open_pipeline: Any = transformers.pipeline
        self._pipe = open_pipeline(
            "automatic-speech-recognition", model=name, device=device, dtype=dtype, trust_remote_code=False
        )

    def transcribe(self, waveforms: Sequence[np.ndarray], language: str | None) -> list[Heard]:
        """See `Recogniser.transcribe`."""
        inputs = [{"raw": waveform, "sampling_rate": RATE} for waveform in waveforms]
        return [Heard(found["text"].strip(), language) for found in self._pipe(inputs, batch_size=BATCH)]

    def words(self, waveform: np.ndarray, language: str | None) -> list[Word] | None:
        """See `Recogniser.words`: CTC models know where each word is."""
        if self._pipe.type != "ctc":
            return None
        found = self._pipe({"raw": waveform, "sampling_rate": RATE}, return_timestamps="word")
        return [Word(each["text"], *each["timestamp"]) for each in found["chunks"]]
