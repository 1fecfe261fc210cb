"""The authors' package `xcodec2` behind the codec protocol: the yardstick, one clip at a time.

The package pins an old PyTorch and builds itself on downloaded weights, so it is installed without its pins
(tools/parity-requirements.txt says how) and its model is assembled here from its own modules, as its
constructor does, without the download. The only module that imports it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import PreTrainedModel, SeamlessM4TFeatureExtractor, Wav2Vec2BertModel

from pipeline.codec.checkpoint import Checkpoint
from pipeline.codec.native import Identity
from pipeline.codec.original.weights import config_of
from pipeline.codec.protocol import Codec, Done
from pipeline.errors import UsageError

INSTALL = "pip install --no-deps -r tools/parity-requirements.txt"
UNUSED = ("semantic_model.",)  # the constructor loads more layers of it than it reads; ours has only those


class OriginalCodec(Codec):
    """See `pipeline.codec.protocol.Codec`; float32 only."""

    sample_rate = 16_000
    output_sample_rate = 16_000
    hop_length = 320
    precision = "fp32"
    extra_codes = 1
    codebook_size = 65_536

    def __init__(self, model: Any, identity: Identity, device: torch.device) -> None:
        self.name, self.licence, self.fingerprint = identity.name, identity.licence, identity.fingerprint
        self._model, self._device = model.to(device), device

    def launch(self, waveforms: Tensor, lengths: Tensor) -> Done:
        """See `Codec.launch`; waits."""
        return Done(
            [self._one(clip[:length]) for clip, length in zip(waveforms, lengths.tolist(), strict=True)]
        )

    def decode(self, codes: Sequence[np.ndarray]) -> list[np.ndarray]:
        """See `Codec.decode`."""
        made: list[np.ndarray] = []
        for clip in codes:
            given = torch.from_numpy(clip.astype(np.int64)).to(self._device)[None, None]
            made.append(self._model.decode_code(given)[0, 0].cpu().numpy())
        return made

    def _one(self, clip: Tensor) -> np.ndarray:
        codes: np.ndarray = (
            self._model.encode_code(clip[None].to(self._device))[0, 0].cpu().numpy().astype(np.uint16)
        )
        return codes


def load_original_package(found: Checkpoint) -> Any:
    """Return the package's `XCodec2Model` with the checkpoint's weights.

    Raises UsageError if either is missing.
    """
    if found.kind != "original":
        raise UsageError(
            f"--codec-impl original needs a checkpoint in the authors' layout; {found.name} is not one"
        )
    given: dict[str, Tensor] = {}
    for path in found.weights:
        given.update(load_file(path))
    try:
        semantic: Any = config_of(given).semantic_model_config
    except KeyError as error:
        raise UsageError(f"the codec {found.name} lacks the key {error.args[0]}") from error
    semantic.output_hidden_states = True
    model = _assembled(semantic)
    report = model.load_state_dict(given, strict=False)
    extra = [key for key in report.unexpected_keys if not key.startswith(UNUSED)]
    for words, keys in (("lacks the key", report.missing_keys), ("has the unknown key", extra)):
        if keys:
            raise UsageError(f"the codec {found.name} {words} {min(keys)}")
    return model.eval().requires_grad_(False)


def _assembled(semantic: Any) -> Any:
    try:
        from xcodec2.configuration_bigcodec import BigCodecConfig
        from xcodec2.modeling_xcodec2 import XCodec2Model
        from xcodec2.vq.codec_decoder_vocos import CodecDecoderVocos
        from xcodec2.vq.codec_encoder import CodecEncoder_Transformer
        from xcodec2.vq.module import SemanticEncoder
    except ImportError as error:
        raise UsageError(f"--codec-impl original needs the package xcodec2 ({error}): {INSTALL}") from error

    class Assembled(XCodec2Model):  # type: ignore[misc]
        def __init__(self) -> None:
            config = BigCodecConfig()
            PreTrainedModel.__init__(self, config)
            self.semantic_model = Wav2Vec2BertModel(semantic)
            self.SemanticEncoder_module = SemanticEncoder(*[config.semantic_hidden_size] * 3)
            self.CodecEnc = CodecEncoder_Transformer()
            self.generator = CodecDecoderVocos()
            self.fc_prior = nn.Linear(2048, 2048)
            self.fc_post_a = nn.Linear(2048, 1024)
            self.feature_extractor = SeamlessM4TFeatureExtractor(  # type: ignore[no-untyped-call]
                feature_size=80, num_mel_bins=80, padding_value=1, stride=2
            )

    return Assembled()
