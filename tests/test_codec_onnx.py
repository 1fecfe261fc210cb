"""The decoder as an ONNX file: PyTorch's waveform, in real arithmetic, for any length."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from pipeline.codec import load_codec
from pipeline.codec.fake import FakeCodec
from pipeline.codec.onnx_export import TOLERANCE, Decoder, RealInverseStft, difference, export
from pipeline.config import CodecSettings
from pipeline.errors import UsageError

pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")


def test_the_real_inverse_stft_is_the_models_own() -> None:
    codec = load_codec(CodecSettings(device="cpu"))
    head = codec._model.acoustic_decoder.head
    hidden = torch.randn(2, 50, head.linear.in_features, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        torch.testing.assert_close(RealInverseStft(head)(hidden), head(hidden), rtol=1e-4, atol=1e-5)


def test_the_exported_decoder_gives_pytorchs_waveform_for_any_number_of_clips_and_codes(
    tmp_path: Path,
) -> None:
    codec = load_codec(CodecSettings(device="cpu"))
    path = tmp_path / "folder" / "decoder.onnx"
    assert export(codec, path) < TOLERANCE
    codes = torch.randint(0, codec.codebook_size, (3, 77), generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        assert difference(path, codes, Decoder(codec._model)(codes)) < TOLERANCE


def test_a_codec_of_another_kind_is_refused_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="fake: is not one of transformers' own"):
        export(FakeCodec(), tmp_path / "decoder.onnx")
