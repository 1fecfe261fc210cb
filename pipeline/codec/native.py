"""XCodec2 and NeuCodec behind the codec protocol, on the models that transformers brings.

encoder.py does the arithmetic, runners.py handles devices and threads, exactness.py says when a clip is in
doubt, and reference.py decides it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pipeline.codec import compilation, decoder
from pipeline.codec.activation import fastest_activation
from pipeline.codec.encoder import BatchEncoder, EncoderOutput
from pipeline.codec.exactness import Tolerance
from pipeline.codec.log_mel import LogMel
from pipeline.codec.reference import Reference
from pipeline.codec.runners import BatchRunner, CpuRunner, Runner, SubBatch, Wait
from pipeline.codec.shapes import widened

PRECISIONS = {None: "fp32", torch.bfloat16: "bf16", torch.float16: "fp16"}


@dataclass(frozen=True, slots=True)
class Family:
    """What sets the two codecs apart; `pad_samples`: zeros around a clip when features are computed.

    Without them the features end one code early, so NeuCodec has none for a clip shorter than one.
    """

    pad_samples: int
    extra_codes: int
    output_rate: int  # Hz


@dataclass(frozen=True, slots=True)
class Identity:
    """What a codec is called: see `pipeline.codec.protocol.Codec`."""

    name: str
    licence: str
    fingerprint: str


class NativeCodec:
    """See `pipeline.codec.protocol.Codec`; `half` is the dtype of the two encoders, None for exact float32.

    `whole_batches`: batch on a CPU as on a GPU, where clips one by one are faster. `compiled`: see
    `BatchEncoder.compile`; for whole batches only.
    """

    def __init__(
        self,
        model: Any,
        extractor: Any,
        family: Family,
        identity: Identity,
        *,
        half: torch.dtype | None = None,
        whole_batches: bool = False,
        compiled: bool = False,
    ) -> None:
        self.name, self.licence, self.fingerprint = identity.name, identity.licence, identity.fingerprint
        self.sample_rate = int(extractor.sampling_rate)
        self.output_sample_rate, self.extra_codes = family.output_rate, family.extra_codes
        self.precision = PRECISIONS[half]
        self.hop_length = int(np.prod(model.config.downsampling_ratios))
        self.codebook_size = int(np.prod(model.config.quantization_levels))
        self.reference = Reference(model, extractor)
        self.tolerance: Tolerance | None = None  # measured when first needed
        self._model, self._half, self._device = model, half, model.device
        alone = self._device.type == "cpu" and not whole_batches
        self._encoder = BatchEncoder(
            model,
            LogMel(family.pad_samples, self._device),
            self.hop_length,
            fastest_activation(self._device),
            own_attention=not alone,
        )
        self._stepped = compiled and not alone
        if self._stepped:
            compilation.prepare(model)
            self._encoder.compile()
        self._runner: Runner = CpuRunner(self._encode) if alone else BatchRunner(self._encode, self._device)

    def launch(self, waveforms: Tensor, lengths: Tensor) -> NativePending:
        """See `Codec.launch`."""
        if self.tolerance is None and self._half is None:
            self.tolerance = Tolerance()
            self.tolerance.measure(self.pre_quant, self.reference, self.sample_rate)
        coded = lengths // self.hop_length + self.extra_codes > 0
        if not coded.all():
            waveforms, lengths = waveforms[coded], lengths[coded]
        waits = self._runner.start(waveforms, lengths) if len(lengths) else []
        return NativePending(self, coded.tolist(), waveforms, lengths, waits)

    def encode(self, waveforms: Tensor, lengths: Tensor) -> list[np.ndarray]:
        """See `Codec.encode`."""
        return self.launch(waveforms, lengths).result()

    def decode(self, codes: Sequence[np.ndarray]) -> list[np.ndarray]:
        """See `Codec.decode`."""
        return decoder.decode(self._model, codes)

    @torch.inference_mode()
    def pre_quant(self, waveform: Tensor) -> Tensor:
        """Return the fast path's values before rounding, float32 (codes, dimensions), in CPU memory."""
        coded = self._encode(
            waveform[None].to(self._device), torch.tensor([len(waveform)], device=self._device)
        )
        return coded.pre_quant[0, : int(coded.counts[0])].cpu()

    def _encode(self, waveforms: Tensor, lengths: Tensor) -> EncoderOutput:
        clips = len(lengths)
        if self._stepped:
            waveforms, lengths = widened(waveforms, lengths, self.hop_length)
        return self._encoder(waveforms, lengths, self._half).first(clips)


class NativePending:
    """See `pipeline.codec.protocol.Pending`; `coded` says for every clip whether it was started."""

    def __init__(
        self,
        codec: NativeCodec,
        coded: Sequence[bool],
        waveforms: Tensor,
        lengths: Tensor,
        waits: Sequence[Wait],
    ) -> None:
        self._codec, self._coded = codec, coded
        self._waveforms, self._lengths, self._waits = waveforms, lengths, waits

    def result(self) -> list[np.ndarray]:
        """Wait, and let the reference encode the clips in doubt again, alone."""
        codes: list[np.ndarray] = []
        for part in (wait() for wait in self._waits):
            made, counts = part.codes.numpy(), part.counts.tolist()
            for place, count in enumerate(counts):
                alone = self._again(part, place, len(codes))
                codes.append(made[place, :count].copy() if alone is None else alone)
        started = iter(codes)
        return [next(started) if coded else np.empty(0, np.uint16) for coded in self._coded]

    def _again(self, part: SubBatch, place: int, row: int) -> np.ndarray | None:
        """Return the reference's codes if the clip's own are in doubt, else None."""
        tolerance, count = self._codec.tolerance, int(part.counts[place])
        if tolerance is None:  # half precision rounds too often for making good clip by clip
            return None
        tolerance.clips += 1
        reliable = bool(part.reliable[place])
        if reliable and float(part.margins[place]) >= tolerance.value:
            return None
        tolerance.redone += 1
        codes, pre_quant = self._codec.reference.encode_scaled(
            self._waveforms[row, : int(self._lengths[row])]
        )
        if reliable:
            tolerance.observe(float((part.pre_quant[place, :count] - pre_quant).abs().max()))
        return codes
