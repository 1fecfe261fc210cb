"""Models from folders: merged LoRA, full models, smaller weights, and what is refused."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from llasa_helpers import CODEBOOK, prompts, tokenizer

from pipeline.errors import MissingPackage, UsageError
from pipeline.llasa import attention, loading, tiny
from pipeline.llasa.generation import LocalGenerator, Request
from pipeline.llasa.loading import ModelSettings
from pipeline.llasa.sampling import Sampling
from pipeline.pretrained.folders import find_folder
from pipeline.runtime import pick_device

CPU = torch.device("cpu")
# peft asks transformers for a property by its old name
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "base"
    tiny.save(tiny.build_model(tokenizer(), hidden=32, heads=4, kv_heads=2), tokenizer(), folder)
    return folder


@pytest.fixture(scope="module")
def adapter(base: Path) -> Path:
    peft = pytest.importorskip("peft")
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    config = peft.LoraConfig(r=4, lora_alpha=64, target_modules=["q_proj", "v_proj"], init_lora_weights=False)
    torch.manual_seed(0)
    folder = base.parent / "adapter"
    peft.get_peft_model(model, config).save_pretrained(folder)
    return folder


def load(folder: Path, **settings: Any) -> loading.Loaded:
    return loading.load(ModelSettings(name=str(folder), device="cpu", **settings), CODEBOOK)


def said(loaded: loading.Loaded) -> np.ndarray:
    generator = LocalGenerator(loaded, batch=1, max_tokens=512, compile=False)
    request = Request(prompts().tokens("Some words."), Sampling(temperature=0, max_codes=30))
    return generator.generate([request])[0].codes


def scores(model: Any) -> torch.Tensor:
    with torch.inference_mode():
        return model(torch.tensor([prompts().tokens("Some words.")])).logits


def test_a_full_model_is_loaded_in_float32_for_attention_over_slots(base: Path) -> None:
    loaded = load(base)
    assert loaded.model.dtype == torch.float32
    assert loaded.model.config._attn_implementation == attention.SDPA
    assert len(said(loaded)) == 30


def test_a_lora_folder_is_merged_and_the_merged_model_is_the_one_that_speaks(
    base: Path, adapter: Path
) -> None:
    from peft import AutoPeftModelForCausalLM

    loaded = load(adapter)  # has no tokenizer: the base's is read
    assert not any("lora" in name for name, _ in loaded.model.named_modules())
    unmerged = AutoPeftModelForCausalLM.from_pretrained(adapter, dtype=torch.float32)
    torch.testing.assert_close(scores(loaded.model), scores(unmerged), atol=1e-3, rtol=1e-3)
    assert not np.array_equal(said(load(adapter)), said(load(base)))


@pytest.mark.filterwarnings("ignore::DeprecationWarning:torchao")
@pytest.mark.parametrize("kind", ["int8", "int4"])
def test_smaller_weights_are_in_the_layers_alone_and_still_speak(base: Path, kind: str) -> None:
    pytest.importorskip("torchao")
    plain, small = load(base), load(base, quantize=kind)
    kinds = {
        type(module.weight.data) for module in small.model.model.layers.modules() if hasattr(module, "weight")
    }
    assert any("torchao" in kind.__module__ for kind in kinds)
    for outer in (small.model.lm_head, small.model.model.embed_tokens):
        assert type(outer.weight.data) is torch.Tensor
    apart = (scores(small.model) - scores(plain.model)).abs().max() / scores(plain.model).std()
    assert 0 < apart < (0.3 if kind == "int8" else 3)
    assert len(said(small)) == 30


def test_compiling_a_model_that_is_spread_over_devices_is_refused_in_one_sentence(base: Path) -> None:
    loaded = load(base)
    loaded.model.hf_device_map = {"model.layers.0": 0, "model.layers.1": "cpu"}
    with pytest.raises(UsageError, match="--compile needs the model on one device"):
        LocalGenerator(loaded, batch=1, max_tokens=512, compile=True)


def test_int4_for_a_model_too_narrow_for_its_groups_is_refused_in_one_sentence() -> None:
    with pytest.raises(UsageError, match="int4 groups 32 weights and this model is 16 wide: take int8"):
        loading.quantize(tiny.build_model(tokenizer(), hidden=16), "int4")


@pytest.mark.parametrize(
    ("bf16", "sentence"), [(False, "add --bf16, or take int8"), (True, "this GPU has no bf16, take int8")]
)
def test_int4_on_cuda_without_bf16_is_refused_before_anything_is_loaded(
    monkeypatch: pytest.MonkeyPatch, bf16: bool, sentence: str
) -> None:
    monkeypatch.setattr(loading, "pick_device", lambda name: torch.device("cuda"))
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: False)
    with pytest.raises(UsageError, match=f"int4 computes in bf16 on CUDA: {sentence}"):
        loading.load(ModelSettings(name="no/model", quantize="int4", bf16=bf16), CODEBOOK)


@pytest.mark.parametrize(("compile", "batch", "notices"), [(False, 1, 1), (True, 8, 1), (True, 1, 0)])
def test_int8_on_cuda_says_when_it_is_slower(compile: bool, batch: int, notices: int) -> None:
    settings = ModelSettings(quantize="int8", compile=compile, batch=batch)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        loading.check_quantization(settings, torch.device("cuda"), torch.bfloat16)
        loading.check_quantization(settings, CPU, torch.float32)
    assert ["saves memory here, not time" in str(one.message) for one in said] == [True] * notices


def test_flex_attention_without_compiling_is_refused_in_one_sentence() -> None:
    with pytest.raises(UsageError, match="--attn flex is a compiled kernel: add --compile"):
        ModelSettings(attn="flex")


def test_codes_that_the_vocabulary_lacks_are_refused_in_one_sentence(base: Path) -> None:
    with pytest.raises(UsageError, match=r"has no token <\|s_64\|>"):
        loading.load(ModelSettings(name=str(base), device="cpu"), CODEBOOK + 1)


@pytest.mark.parametrize("name", ["./nowhere", "/no/such/folder"])
def test_a_folder_that_is_not_there_is_named(name: str) -> None:
    with pytest.raises(UsageError, match=f"there is no model folder {name}"):
        find_folder(name, "model")


def test_a_folder_without_a_model_is_refused_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot load the tokenizer of"):
        load(tmp_path)


def test_settings_that_do_not_exist_are_refused() -> None:
    with pytest.raises(UsageError, match="--attn is 'fast'; it must be one of auto, sdpa, flash, flex"):
        ModelSettings(attn="fast")
    with pytest.raises(UsageError, match="--quantize is 'int2'; it must be one of int8, int4"):
        ModelSettings(quantize="int2")
    with pytest.raises(UsageError, match="no device 'tpu9'"):
        pick_device("tpu9")


@pytest.mark.parametrize(
    ("cpu_has", "expected"),
    [({"bf16", "fp16"}, torch.bfloat16), ({"fp16"}, torch.float16), (set(), torch.float32)],
)
@pytest.mark.filterwarnings("ignore:this CPU computes neither")
def test_bf16_falls_back_to_what_the_device_computes_in(
    monkeypatch: pytest.MonkeyPatch, cpu_has: set[str], expected: torch.dtype
) -> None:
    for kind in ("bf16", "fp16"):
        monkeypatch.setattr(
            torch.ops.mkldnn, f"_is_mkldnn_{kind}_supported", lambda kind=kind: kind in cpu_has
        )
    assert loading.pick_dtype(True, CPU) == expected
    assert loading.pick_dtype(False, CPU) == torch.float32


@pytest.mark.parametrize(("has_bf16", "expected"), [(True, torch.bfloat16), (False, torch.float16)])
def test_gpus_without_bf16_get_fp16(
    monkeypatch: pytest.MonkeyPatch, has_bf16: bool, expected: torch.dtype
) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: has_bf16)
    assert loading.pick_dtype(True, torch.device("cuda")) == expected


def test_flash_attention_is_taken_where_it_is_installed_and_can_run(monkeypatch: pytest.MonkeyPatch) -> None:
    cuda = torch.device("cuda")
    monkeypatch.setattr(attention, "flash_is_installed", lambda: True)
    assert loading.pick_attention("auto", cuda, torch.bfloat16) == attention.FLASH
    assert loading.pick_attention("auto", cuda, torch.float32) == attention.SDPA
    assert loading.pick_attention("sdpa", cuda, torch.bfloat16) == attention.SDPA
    with pytest.raises(UsageError, match="runs on CUDA in bf16 or fp16 only"):
        loading.pick_attention("flash", CPU, torch.float32)


def test_flash_attention_that_is_not_installed_is_named_with_its_command(base: Path) -> None:
    if attention.flash_is_installed():
        pytest.skip("it is installed")
    with pytest.raises(MissingPackage, match="--attn flash needs the package flash-attn"):
        load(base, attn="flash")


def test_the_flash_path_says_what_sdpa_says(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a stand-in for its kernel, which reads the keys and values up to each row's length."""
    import sys
    from types import SimpleNamespace

    def kernel(
        q: Any, k: Any, v: Any, cache_seqlens: Any, softmax_scale: float, causal: bool
    ) -> torch.Tensor:
        tokens, groups = q.shape[1], q.shape[2] // k.shape[2]
        ahead = torch.arange(k.shape[1])
        last = cache_seqlens[:, None] - tokens + torch.arange(tokens)
        mask = (ahead <= last[..., None])[:, None]
        q, k, v = (
            t.transpose(1, 2) for t in (q, k.repeat_interleave(groups, 2), v.repeat_interleave(groups, 2))
        )
        out = torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=softmax_scale)
        return out.transpose(1, 2)

    monkeypatch.setitem(sys.modules, "flash_attn", SimpleNamespace(flash_attn_with_kvcache=kernel))
    monkeypatch.setattr(attention, "flash_is_installed", lambda: True)
    flash, plain = load(base), load(base)
    attention.use(flash.model, attention.FLASH)
    np.testing.assert_array_equal(said(flash), said(plain))
