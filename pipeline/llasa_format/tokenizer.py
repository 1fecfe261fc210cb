"""Finding and loading the tokenizer of a LLASA model: a folder, a LoRA folder or a Hugging Face id."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pipeline.errors import UsageError
from pipeline.runtime import find_file

ADAPTER = "adapter_config.json"


def find_model(name: str) -> str:
    """Return a local folder of that name, from here or the repository's root; else the name, as a Hub id.

    Raises UsageError if it can be neither.
    """
    folder = find_file(name)
    if folder is not None and folder.is_dir():
        return str(folder)
    if name.startswith((".", "/", "~")) or name.count("/") > 1:
        raise UsageError(f"there is no model folder {name}: give a folder with weights or a Hugging Face id")
    return name


def base_of(name: str) -> str | None:
    """Return the base model that a LoRA folder names; None if `name` is not a LoRA folder."""
    path = Path(name) / ADAPTER
    if not path.is_file():
        return None
    try:
        return str(json.loads(path.read_text(encoding="utf-8"))["base_model_name_or_path"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{path} does not name a base model: give a folder that peft saved") from error


def load_tokenizer(name: str, revision: str | None = None) -> Any:
    """Load the tokenizer of a model; a LoRA folder without one has its base model's.

    Raises UsageError if it cannot be had.
    """
    from transformers import AutoTokenizer

    folder = find_model(name)
    try:
        return AutoTokenizer.from_pretrained(folder, revision=revision)
    except (OSError, ValueError) as error:
        base = base_of(folder)
        if base is not None:
            return load_tokenizer(base)
        raise not_found(name, "tokenizer") from error


def not_found(name: str, what: str) -> UsageError:
    """Describe a tokenizer or model that cannot be loaded."""
    base = base_of(name)
    named = f"{name} (or its base model {base})" if base else name
    return UsageError(
        f"cannot load the {what} of {named}: give a folder with config.json, weights and tokenizer, "
        "a LoRA folder whose base model is there, or a Hugging Face id that this machine can reach"
    )
