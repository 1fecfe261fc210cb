"""XCodec2 and NeuCodec behind the codec protocol, on the models that transformers brings.

Knows devices, copies and sub-batches; the arithmetic is in encoder.py, and what decides a doubtful clip in
reference.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pipeline.codec.activation import plain
from pipeline.codec.encoder import BatchEncoder
from pipeline.codec.features import LogMel
from pipeline.codec.reference import Reference

DOUBTFUL = 1e-4  # distance from a rounding boundary below which a clip is encoded again, alone
CPU_SECONDS = 8.0  # padded audio a sub-batch on a CPU: what its caches hold


@dataclass(frozen=True, slots=True)
class Family:
    """What sets the two codecs apart. `edge`: zeros around a clip when features are computed, samples."""

    edge: int
    output_rate: int  # Hz


class NativeCodec:
    """See `pipeline.codec.protocol.Codec`. `half`: dtype of the encoders, None for exact float32."""

    def __init__(
        self,
        model: Any,
        extractor: Any,
        family: Family,
        *,
        name: str,
        licence: str,
        fingerprint: str,
        half: torch.dtype | None = None,
    ) -> None:
        self.name, self.licence, self.fingerprint = name, licence, fingerprint
        self.sample_rate = int(extractor.sampling_rate)
        self.output_sample_rate = family.output_rate
        self.hop_length = int(np.prod(model.config.downsampling_ratios))
        self.codebook_size = int(np.prod(model.config.quantization_levels))
        self.reference = Reference(model, extractor)
        self._model, self._half, self._device = model, half, model.device
        self._encoder = BatchEncoder(model, LogMel(family.edge, model.device), self.hop_length, plain)

    def launch(self, waveforms: Tensor, lengths: Tensor) -> NativePending:
        """See `Codec.launch`."""
        order = torch.argsort(lengths)
        parts: list[Part] = []
        for rows in self._sub_batches(lengths[order]):
            chosen = order[rows]
            longest = int(lengths[chosen].max())
            parts.append(self._start(waveforms[chosen, :longest], lengths[chosen], chosen))
        return NativePending(self, waveforms, lengths, parts)

    def encode(self, waveforms: Tensor, lengths: Tensor) -> list[np.ndarray]:
        """See `Codec.encode`."""
        return self.launch(waveforms, lengths).result()

    def decode(self, codes: Sequence[np.ndarray]) -> list[np.ndarray]:
        """See `Codec.decode`."""
        return [self._decode_one(clip) for clip in codes]

    @torch.inference_mode()
    def _decode_one(self, codes: np.ndarray) -> np.ndarray:
        given = torch.from_numpy(codes.astype(np.int64)).to(self._device)
        made: Tensor = self._model.decode(audio_codes=given[None, None]).audio_values
        return made[0, 0].float().cpu().numpy()

    @torch.inference_mode()
    def _start(self, waveforms: Tensor, lengths: Tensor, rows: Tensor) -> Part:
        coded = self._encoder(waveforms.to(self._device), lengths.to(self._device), self._half)
        doubtful = (coded.margin() < DOUBTFUL) | ~coded.steady
        return Part(rows, coded.codes.to(torch.uint16), coded.counts, doubtful)

    def _sub_batches(self, ordered: Tensor) -> list[slice]:
        """Slices of clips sorted by length: all at once on a GPU, as much as the caches hold on a CPU."""
        if self._device.type != "cpu":
            return [slice(0, len(ordered))]
        slices, first = [], 0
        for last, samples in enumerate(ordered.tolist()):
            if last > first and (last + 1 - first) * samples > CPU_SECONDS * self.sample_rate:
                slices.append(slice(first, last))
                first = last
        return [*slices, slice(first, len(ordered))]


@dataclass(frozen=True, slots=True)
class Part:
    """A sub-batch under way: its rows in the batch, and per clip its codes, how many, and whether to doubt
    them.
    """

    rows: Tensor
    codes: Tensor
    counts: Tensor
    doubtful: Tensor


class NativePending:
    """See `pipeline.codec.protocol.Pending`."""

    def __init__(self, codec: NativeCodec, waveforms: Tensor, lengths: Tensor, parts: list[Part]) -> None:
        self._codec, self._waveforms, self._lengths, self._parts = codec, waveforms, lengths, parts

    def result(self) -> list[np.ndarray]:
        """Wait, and encode the doubtful clips again, alone, by the reference."""
        exact = self._codec._half is None
        codes: list[np.ndarray] = [np.empty(0, np.uint16)] * len(self._lengths)
        for part in self._parts:
            made, counts, doubtful = part.codes.cpu().numpy(), part.counts.tolist(), part.doubtful.tolist()
            for place, row in enumerate(part.rows.tolist()):
                codes[row] = made[place, : counts[place]].copy()
                if exact and doubtful[place] and counts[place]:
                    codes[row] = self._codec.reference.encode(self._waveforms[row, : int(self._lengths[row])])
        return codes
