"""Loads a LLASA model ready to speak: LoRA folder, full model or Hugging Face id; precision and device.

Every failure that a user can mend is one sentence.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM

from pipeline.errors import MissingPackage, UsageError
from pipeline.llasa import attention
from pipeline.llasa_format.prompt import PromptFormat, read_prompt_format
from pipeline.llasa_format.tokenizer import HINT, load_tokenizer
from pipeline.pretrained.checks import read_json
from pipeline.pretrained.folders import ADAPTER, fetch, find_folder
from pipeline.pretrained.identity import base_of
from pipeline.pretrained.loading import load_adapted, load_model
from pipeline.runtime import REPOSITORY, pick_device

SAMPLES = ("data/sample/llasa", "data/sample/llasa-random")  # the first that is there is the default
ATTENTIONS = ("auto", "sdpa", "flash", "flex")
QUANTIZATIONS = ("int8", "int4")
GROUP = 32  # weights that share a scale in int4


@dataclass(frozen=True)
class ModelSettings:
    """Which model speaks, and how it is run.

    `batch` requests at once and `max_tokens` a request (prompt and speech) size the key-value cache.
    """

    name: str = field(default_factory=lambda: sample_model())
    revision: str | None = None
    device: str = "auto"
    bf16: bool = False
    attn: str = "auto"
    quantize: str | None = None
    compile: bool = False
    batch: int = 8
    max_tokens: int = 2048

    def __post_init__(self) -> None:
        if self.attn not in ATTENTIONS:
            raise UsageError(f"--attn is {self.attn!r}; it must be one of {', '.join(ATTENTIONS)}")
        if self.attn == "flex" and not self.compile:
            raise UsageError("--attn flex is a compiled kernel: add --compile, or leave --attn out")
        if self.quantize not in (None, *QUANTIZATIONS):
            raise UsageError(f"--quantize is {self.quantize!r}; it must be one of {', '.join(QUANTIZATIONS)}")


@dataclass(frozen=True)
class Loaded:
    """A model that is ready, how its prompts are spelled, and where it runs."""

    model: Any
    prompts: PromptFormat
    device: torch.device


def load(settings: ModelSettings, codebook_size: int) -> Loaded:
    """Load the model `settings.name`.

    Raises UsageError if it is not there or lacks tokens for the codec's codes.
    """
    device = pick_device(settings.device)
    dtype = pick_dtype(settings.bf16, device)
    check_quantization(settings, device, dtype)
    tokenizer = load_tokenizer(settings.name, settings.revision)
    prompts = read_prompt_format(tokenizer, codebook_size, settings.name)
    layout = prompts.layout
    model = _load_merged(settings, len(tokenizer), dtype, device)
    if not isinstance(getattr(model, "model", None), torch.nn.Module) or not hasattr(model.model, "layers"):
        raise UsageError(f"the model {settings.name} is no Llama: {HINT}")
    if model.get_output_embeddings().weight.shape[0] <= max(layout.code_ids.max(), layout.speech_end):
        raise UsageError(f"the model {settings.name} has fewer outputs than its tokenizer has speech codes")
    if settings.quantize:
        quantize(model, settings.quantize)
    attention.use(model, pick_attention(settings.attn, device, dtype))
    model.requires_grad_(False).train(mode=False)
    return Loaded(model, prompts, device)


def sample_model() -> str:
    """Return the model that speaks if none is named."""
    return next((name for name in SAMPLES if (REPOSITORY / name / "config.json").is_file()), SAMPLES[-1])


def pick_dtype(bf16: bool, device: torch.device) -> torch.dtype:
    """Return float32 unless `bf16`; then bf16, fp16 or float32, the first that the device computes in."""
    if not bf16:
        return torch.float32
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    if torch.ops.mkldnn._is_mkldnn_bf16_supported():
        return torch.bfloat16
    if torch.ops.mkldnn._is_mkldnn_fp16_supported():
        return torch.float16
    warnings.warn("this CPU computes neither in bf16 nor in fp16; the model runs in float32", stacklevel=2)
    return torch.float32


def pick_attention(wanted: str, device: torch.device, dtype: torch.dtype) -> str:
    """Return what is asked for; without, FlashAttention if it is installed and can run, else SDPA."""
    if wanted == "flex":
        return attention.FLEX
    can = device.type == "cuda" and dtype != torch.float32
    if wanted == "flash" and attention.flash_is_installed() and not can:
        raise UsageError("--attn flash runs on CUDA in bf16 or fp16 only: add --bf16, or leave --attn out")
    if wanted == "flash" or (wanted == "auto" and can and attention.flash_is_installed()):
        return attention.FLASH
    return attention.SDPA


def check_quantization(settings: ModelSettings, device: torch.device, dtype: torch.dtype) -> None:
    """Raise UsageError for int4 on CUDA in another precision than bf16; say when int8 costs time."""
    if device.type != "cuda":
        return
    if settings.quantize == "int4" and dtype != torch.bfloat16:
        mend = "this GPU has no bf16, take int8" if settings.bf16 else "add --bf16, or take int8"
        raise UsageError(f"--quantize int4 computes in bf16 on CUDA: {mend}")
    if settings.quantize == "int8" and not (settings.compile and settings.batch == 1):
        warnings.warn(
            "--quantize int8 saves memory here, not time: it is slower than bf16 unless given with --compile "
            "and --batch 1",
            stacklevel=2,
        )


def quantize(model: Any, kind: str) -> None:
    """Convert weights of the model's layers to int8 or int4, in place; embeddings and output layer stay.

    Raises UsageError for int4 if a layer's width does not divide into groups of GROUP weights.
    """
    widths = {one.in_features for one in model.model.layers.modules() if isinstance(one, torch.nn.Linear)}
    if kind == "int4" and any(width % GROUP for width in widths):
        raise UsageError(f"int4 groups {GROUP} weights and this model is {min(widths)} wide: take int8")
    try:
        from torchao.quantization import Int8WeightOnlyConfig, quantize_
    except ImportError as error:
        raise MissingPackage("torchao", "tts", f"--quantize {kind}") from error
    config = Int8WeightOnlyConfig() if kind == "int8" else _int4_config(model.device.type)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=UserWarning, module="torchao")
        quantize_(model.model.layers, config)


def _int4_config(device: str) -> Any:
    """Return, on CUDA, the packing that the tinygemm kernels read.

    Elsewhere, return one that any device can unpack.
    """
    from torchao.quantization import Int4WeightOnlyConfig, IntxWeightOnlyConfig
    from torchao.quantization.granularity import PerGroup

    if device == "cuda":
        return Int4WeightOnlyConfig(group_size=GROUP, int4_packing_format="tile_packed_to_4d")
    return IntxWeightOnlyConfig(
        weight_dtype=torch.int4,  # type: ignore[attr-defined]
        granularity=PerGroup(GROUP),
    )


def _load_merged(settings: ModelSettings, tokens: int, dtype: torch.dtype, device: torch.device) -> Any:
    """Load the model on its device; a LoRA is merged into its base, as compiling and quantising need.

    `tokens`: how many the tokenizer has; a LoRA may have been trained with more than its base knows.
    """
    placed = {
        "dtype": dtype,
        "device_map": "auto" if settings.device == "auto" and device.type == "cuda" else str(device),
    }

    def load_whole(name: str, revision: str | None = None) -> tuple[Any, Path]:
        folder = find_folder(name, "model") or fetch(name, revision, "model")
        base = base_of(folder)
        if base is None:
            return load_model(AutoModelForCausalLM, folder, f"the model {name}", HINT, **placed), folder
        return load_whole(base, read_json(folder / ADAPTER).get("revision"))[0], folder

    model, folder = load_whole(settings.name, settings.revision)
    if base_of(folder) is None:
        return model
    if tokens > model.get_input_embeddings().weight.shape[0]:
        model.resize_token_embeddings(tokens)
    try:
        return load_adapted(model, folder, f"the LoRA folder {settings.name}", HINT)
    except ImportError as error:
        raise MissingPackage("peft", "tts", f"the LoRA folder {settings.name}") from error
