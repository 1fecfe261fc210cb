"""XCodec2 and NeuCodec behind the codec protocol, on the models that transformers brings.

encoder.py does the arithmetic, runners.py handles devices and threads, exactness.py says when a clip is in
doubt, and reference.py decides it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pipeline.codec import decoder
from pipeline.codec.activation import fastest_activation
from pipeline.codec.encoder import BatchEncoder, EncoderOutput
from pipeline.codec.exactness import Tolerance
from pipeline.codec.fast import fast_parts
from pipeline.codec.log_mel import LogMel
from pipeline.codec.protocol import Codec
from pipeline.codec.reference import Reference
from pipeline.codec.runners import BatchRunner, CpuRunner, Part
from pipeline.codec.shapes import Shape

# Audio from which compiling pays on CUDA: it takes about 100 s, and compiled and uncompiled encoding are
# estimated at 2,000 and 1,000 times real time. It depends on the corpus alone, so that a run that was
# interrupted goes on as it began. `make gpu-check` measures all three.
COMPILE_SECONDS = 200_000.0
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


class NativeCodec(Codec):
    """See `pipeline.codec.protocol.Codec`; `half` is the dtype of the encoders, None for exact float32.

    `whole_batches`: batch on a CPU as on a GPU, where clips one by one are faster. `compiled`: see
    `BatchEncoder.compile`; None lets the work that is expected decide. For whole batches only.
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
        compiled: bool | None = False,
    ) -> None:
        self.name, self.licence, self.fingerprint = identity.name, identity.licence, identity.fingerprint
        self.sample_rate = int(extractor.sampling_rate)
        self.output_sample_rate, self.extra_codes = family.output_rate, family.extra_codes
        self.precision = PRECISIONS[half]
        self.hop_length = int(np.prod(model.config.downsampling_ratios))
        self.codebook_size = int(np.prod(model.config.quantization_levels))
        self.reference = Reference(model, extractor)
        self.tolerance = Tolerance() if half is None else None
        self._model, self._device = model, model.device
        alone = self._device.type == "cpu" and not whole_batches
        self._encoder = BatchEncoder(
            fast_parts(model, half),
            LogMel(family.pad_samples, self._device),
            self.hop_length,
            fastest_activation(self._device),
            own_attention=not alone,
            half=half,
        )
        self._runner: CpuRunner | BatchRunner = (
            CpuRunner(self._encoder) if alone else BatchRunner(self._encode, self._device, self.hop_length)
        )
        self._compiled, self._first_seconds = compiled, 0.0
        if compiled and not alone:
            self._encoder.compile()
        # On CUDA clips in doubt are encoded again beside the batches that follow, on a stream of their own.
        self._again: ThreadPoolExecutor | None = None
        if self._device.type == "cuda":
            self._again = ThreadPoolExecutor(1, "again", torch.cuda.set_device, (self._device,))

    def expect(self, shapes: Sequence[Shape], seconds: float) -> None:
        """See `Codec.expect`."""
        if not isinstance(self._runner, BatchRunner):
            return
        self._runner.shapes = tuple(shapes)
        if self._compiled is None and seconds >= COMPILE_SECONDS and self._device.type == "cuda":
            self._compiled = True
            self._encoder.compile()

    def shrink(self) -> bool:
        """See `Codec.shrink`."""
        return isinstance(self._runner, BatchRunner) and self._runner.shrink()

    def report(self) -> str:
        """See `Codec.report`."""
        words = [f"{self.precision} on {self._device}"]
        if isinstance(runner := self._runner, BatchRunner) and runner.padded_codes:
            words.append(
                ("compiled" if self._compiled else "not compiled")
                + f", first batch {self._first_seconds:.1f} s"
            )
            words.append(
                f"{len(runner.used)} batch shapes, {1 - runner.codes / runner.padded_codes:.1%} padding"
            )
        if self.tolerance is not None and self.tolerance.clips:
            share = self.tolerance.redone / self.tolerance.clips
            words.append(f"{share:.1%} of clips encoded twice, so that every code is exact")
        return "; ".join(words)

    def launch(self, waveforms: Tensor, lengths: Tensor) -> NativePending:
        """See `Codec.launch`."""
        coded = torch.nonzero(lengths // self.hop_length + self.extra_codes > 0)[:, 0]
        clips = len(lengths)
        if len(coded) < clips:
            waveforms, lengths = waveforms[coded], lengths[coded]
        parts = self._runner.start(waveforms, lengths) if len(lengths) else []
        pending = NativePending(self, coded.tolist(), clips, waveforms, lengths, parts)
        if self._again is not None:
            pending.finish_in(self._again)
        return pending

    def decode(self, codes: Sequence[np.ndarray]) -> list[np.ndarray]:
        """See `Codec.decode`."""
        return decoder.decode(self._model, codes)

    def _encode(self, waveforms: Tensor, lengths: Tensor) -> EncoderOutput:
        started = time.perf_counter()
        made = self._encoder(waveforms, lengths)
        self._first_seconds = self._first_seconds or time.perf_counter() - started
        return made


class NativePending:
    """See `pipeline.codec.protocol.Pending`; `coded` are the batch's rows that have codes at all."""

    def __init__(
        self,
        codec: NativeCodec,
        coded: Sequence[int],
        clips: int,
        waveforms: Tensor,
        lengths: Tensor,
        parts: Sequence[Part],
    ) -> None:
        self._codec, self._coded, self._clips = codec, coded, clips
        self._waveforms, self._lengths, self._parts = waveforms, lengths, parts
        self._finished: Future[list[np.ndarray]] | None = None

    def finish_in(self, executor: ThreadPoolExecutor) -> None:
        """Let a thread do what `result` would, on its own stream, while other batches are launched."""

        def finish() -> list[np.ndarray]:
            with torch.cuda.stream(torch.cuda.Stream()):  # type: ignore[no-untyped-call]
                return self._finish()

        self._finished = executor.submit(finish)

    def result(self) -> list[np.ndarray]:
        """Wait, and let the reference encode the clips in doubt again, alone."""
        return self._finish() if self._finished is None else self._finished.result()

    def _finish(self) -> list[np.ndarray]:
        codes = [np.empty(0, np.uint16)] * self._clips
        for part in self._parts:
            made = part.wait()
            for place, row in enumerate(part.rows):
                own = made.codes[place, : int(made.counts[place])].numpy().copy()
                codes[self._coded[row]] = self._surely(made, place, row, own)
        return codes

    def _surely(self, made: EncoderOutput, place: int, row: int, own: np.ndarray) -> np.ndarray:
        """Return a clip's own codes, or the reference's if those are in doubt."""
        tolerance = self._codec.tolerance
        if tolerance is None or made.margins is None or made.reliable is None or made.pre_quant is None:
            return own  # half precision rounds too often for making good clip by clip
        reliable = bool(made.reliable[place])
        if not tolerance.in_doubt(float(made.margins[place]), reliable=reliable):
            return own
        codes, pre_quant = self._codec.reference.encode_scaled(
            self._waveforms[row, : int(self._lengths[row])]
        )
        if reliable:
            moved = (made.pre_quant[place, : len(pre_quant)] - pre_quant).abs().max()
            tolerance.observe(float(moved), len(codes))
        return codes
