"""Loads models, tokenizers and extractors with `transformers`: checked first, remote code refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipeline.errors import UsageError
from pipeline.pretrained.checks import check_against_weights, check_folder, opening
from pipeline.runtime import quiet

SAFE = {"trust_remote_code": False}  # said each time: without it, transformers asks the user


def load_model(model_class: Any, folder: Path, what: str, hint: str, **options: Any) -> Any:
    """Load a model of `model_class` (or an Auto class) from a local folder of safetensors.

    Raises UsageError, one sentence that calls it `what` and ends in `hint`: before anything is allocated if
    configuration and weights cannot belong together, later for the first key too many, too few or of another
    shape.
    """
    import torch
    from transformers import AutoConfig

    check_folder(folder)
    with quiet(), opening(what, hint):
        config_class = getattr(model_class, "config_class", None) or AutoConfig
        config = config_class.from_pretrained(folder, **SAFE)
        build = getattr(model_class, "from_config", model_class)
        with torch.device("meta"):
            empty = build(config)
        check_against_weights(empty, folder, what)
        del empty
        model, report = model_class.from_pretrained(
            folder, use_safetensors=True, output_loading_info=True, **options, **SAFE
        )
    for words, key in (
        ("lacks the key", "missing_keys"),
        ("has the unknown key", "unexpected_keys"),
        ("has another shape for", "mismatched_keys"),
    ):
        if report[key]:
            raise UsageError(f"{what} {words} {min(map(str, report[key]))}: its configuration is another's")
    return model


def load_adapted(base: Any, folder: Path, what: str, hint: str) -> Any:
    """Return the model `base` with the LoRA of a local folder merged into it. Raises UsageError."""
    from peft import PeftModel

    check_folder(folder)
    with quiet(), opening(what, hint):
        return PeftModel.from_pretrained(base, folder).merge_and_unload()


def load_tokenizer(name: str | Path, what: str, hint: str, revision: str | None = None) -> Any:
    """Load the tokenizer of a folder or Hugging Face id. Raises UsageError if it cannot be had."""
    from transformers import AutoTokenizer

    if isinstance(name, Path):
        check_folder(name)
    with quiet(), opening(what, hint):
        return AutoTokenizer.from_pretrained(name, revision=revision, **SAFE)


def load_extractor(extractor_class: Any, folder: Path, what: str, hint: str) -> Any:
    """Load a feature extractor of a local folder. Raises UsageError if it cannot be had."""
    check_folder(folder)
    with quiet(), opening(what, hint):
        return extractor_class.from_pretrained(folder)
