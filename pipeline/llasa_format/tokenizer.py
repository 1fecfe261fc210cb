"""Finding and loading the tokenizer of a LLASA model: a folder, a LoRA folder or a Hugging Face id."""

from __future__ import annotations

from typing import Any

from pipeline.errors import UsageError
from pipeline.pretrained.folders import find_folder
from pipeline.pretrained.identity import base_of
from pipeline.pretrained.loading import load_tokenizer as load_checked

HINT = (
    "give a folder with config.json, weights and tokenizer, a LoRA folder whose base model is there, or a "
    "Hugging Face id that this machine can reach"
)


def load_tokenizer(name: str, revision: str | None = None) -> Any:
    """Load the tokenizer of a model; a LoRA folder without one has its base model's.

    Raises UsageError if it cannot be had.
    """
    folder = find_folder(name, "model")
    base = base_of(folder) if folder else None
    if folder and base and not (folder / "tokenizer_config.json").is_file():
        return load_tokenizer(base)
    tokenizer = load_checked(folder or name, f"the tokenizer of {name}", HINT, revision)
    if not getattr(tokenizer, "is_fast", False):
        raise UsageError(f"the tokenizer of {name} has no tokenizer.json: {HINT}")
    return tokenizer
