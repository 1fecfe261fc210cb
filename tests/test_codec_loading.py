"""From settings to a codec: checkpoints of both layouts, and one sentence for what can be wrong."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from codec_helpers import SAMPLE, authors_layout, differences, padded, sound, xcodec2
from safetensors.torch import load_file, save_file
from torch import Tensor

from pipeline.codec.agreement import agreeing, encode_alone
from pipeline.codec.loading import half_precision, load
from pipeline.config import CodecSettings
from pipeline.errors import UsageError


def saved(folder: Path, tensors: dict[str, Tensor]) -> str:
    folder.mkdir(exist_ok=True)
    save_file(tensors, folder / "model.safetensors")
    return str(folder)


@pytest.mark.parametrize(
    ("magnitude", "direction"),
    [("parametrizations.weight.original0", "parametrizations.weight.original1"), ("weight_g", "weight_v")],
)
def test_weights_in_the_authors_layout_fill_the_native_model(
    tmp_path: Path, magnitude: str, direction: str
) -> None:
    codec = load(
        CodecSettings(name=saved(tmp_path / "codec", authors_layout(magnitude, direction)), device="cpu")
    )
    state, native = codec._model.state_dict(), xcodec2()[0].state_dict()  # type: ignore[attr-defined]
    for name, tensor in native.items():
        torch.testing.assert_close(state[name], tensor, msg=name)
    assert len(state) == len(native) + 14 * len(
        [n for n in native if "semantic_encoder.encoder.layers.0." in n]
    )


def change(tensors: dict[str, Tensor], how: Callable[[dict[str, Tensor]], object]) -> dict[str, Tensor]:
    how(tensors)
    return tensors


@pytest.mark.parametrize(
    ("how", "named"),
    [
        (lambda t: t.pop("fc_prior.bias"), "fc_encoder.bias"),
        (lambda t: t.pop("fc_post_a.bias"), "fc_post_a.bias"),
        (lambda t: t.pop("CodecEnc.conv_blocks.0.weight_v"), "CodecEnc.conv_blocks.0.weight_v"),
        (lambda t: t.update(stray=torch.zeros(1)), "stray"),
        (lambda t: t.update({"fc_prior.more": torch.zeros(1)}), "fc_encoder.more"),
        (lambda t: t.update({"fc_prior.bias": torch.zeros(3)}), "fc_encoder.bias"),
    ],
)
def test_a_key_too_many_or_too_few_in_the_authors_layout_is_named(
    tmp_path: Path, how: Callable[[dict[str, Tensor]], object], named: str
) -> None:
    name = saved(tmp_path / "codec", change(authors_layout("weight_g", "weight_v"), how))
    with pytest.raises(UsageError, match=re.escape(named)):
        load(CodecSettings(name=name, device="cpu"))


@pytest.mark.parametrize(
    ("how", "named"),
    [
        (lambda t: t.pop("fc_encoder.bias"), "lacks the key fc_encoder.bias"),
        (lambda t: t.update(stray=torch.zeros(1)), "unknown key stray"),
    ],
)
def test_a_key_too_many_or_too_few_in_the_native_layout_is_named(
    tmp_path: Path, how: Callable[[dict[str, Tensor]], object], named: str
) -> None:
    (tmp_path / "config.json").write_bytes((SAMPLE / "config.json").read_bytes())
    saved(tmp_path, change(load_file(SAMPLE / "model.safetensors"), how))
    with pytest.raises(UsageError, match=named):
        load(CodecSettings(name=str(tmp_path), device="cpu"))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"name": "no/such/folder"}, "there is no codec folder no/such/folder"),
        ({"name": "data"}, "has no model.safetensors"),
        ({"impl": "neucodec"}, "is of kind xcodec2; expected: neucodec"),
        ({"impl": "original"}, "authors' layout"),
        ({"device": "cuda:99"}, "no device cuda:99"),
        ({"device": "abacus"}, "give auto, cpu, cuda or cuda:N"),
    ],
)
def test_what_a_user_can_mend_is_one_sentence(settings: dict[str, str], words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        load(CodecSettings(**{"device": "cpu", **settings}))
    assert "\n" not in str(caught.value)


def test_an_id_that_cannot_be_fetched_says_how_to_give_a_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(UsageError, match="hf download owner/name --local-dir FOLDER"):
        load(CodecSettings(name="owner/name", device="cpu"))


def test_without_the_decoder_it_encodes_and_says_that_it_cannot_decode() -> None:
    codec = load(CodecSettings(device="cpu"), decoder=False)
    clips = [sound(5_000, 0)]
    codes = codec.encode(*padded(clips))
    assert differences(codes, [codec.reference.encode(clips[0])]) == 0  # type: ignore[attr-defined]
    with pytest.raises(UsageError, match="loaded for encoding only"):
        codec.decode(codes)


def test_the_fingerprint_follows_the_weights(tmp_path: Path) -> None:
    for name in ("config.json", "preprocessor_config.json"):
        (tmp_path / name).write_bytes((SAMPLE / name).read_bytes())
    tensors = load_file(SAMPLE / "model.safetensors")
    fingerprints = []
    for step in (0.0, 0.0, 1.0):
        tensors["fc_encoder.bias"] += step
        saved(tmp_path, tensors)
        fingerprints.append(load(CodecSettings(name=str(tmp_path), device="cpu")).fingerprint)
    assert fingerprints[0] == fingerprints[1] != fingerprints[2]


def test_bf16_on_a_processor_without_it_is_float32_with_a_notice(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.setattr(torch.cpu, name, lambda: False)
    with pytest.warns(UserWarning, match="float32"):
        assert half_precision(True, torch.device("cpu")) is None


def test_bf16_on_a_processor_that_has_it_keeps_most_codes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True)
    codec = load(CodecSettings(bf16=True, device="cpu"))
    assert codec.precision == "bf16"
    clips = [sound(16_000, seed) for seed in range(3)]
    equal, total = agreeing(codec.encode(*padded(clips)), [encode_alone(codec, clip) for clip in clips])
    assert 0.8 < equal / total < 1.0


def test_the_licence_comes_from_the_model_card() -> None:
    assert load(CodecSettings(name=str(SAMPLE), device="cpu")).licence == "apache-2.0"
    assert load(CodecSettings(name=str(SAMPLE), device="cpu", licence="mine")).licence == "mine"
