"""Finds a codec's files, here or on the Hub, and reads their kind, licence and fingerprint.

Reads names and headers only. Weights must be safetensors: a pickle can run code.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from pipeline.pretrained.checks import read_json, shapes, weight_files
from pipeline.pretrained.folders import CONFIG, fetch, find_folder

EXTRACTOR, CARD = "preprocessor_config.json", "README.md"
LONGEST_LICENCE = 100  # characters of what is called one
ORIGINAL_PREFIX = "CodecEnc."  # only the authors' layout has such keys


@dataclass(frozen=True)
class Checkpoint:
    """A codec's files in a local folder; `name` is what the user asked for."""

    name: str
    folder: Path

    @cached_property
    def weights(self) -> list[Path]:
        """The safetensors files, sorted. Raises UsageError if there are none."""
        return weight_files(self.folder)

    @cached_property
    def keys(self) -> frozenset[str]:
        """Names of all tensors, from the files' headers. Raises UsageError if one is damaged."""
        return frozenset(name for path in self.weights for name in shapes(path))

    @cached_property
    def config(self) -> dict[str, Any]:
        """The parsed config.json; empty where there is none."""
        path = self.folder / CONFIG
        return read_json(path) if path.is_file() else {}

    @property
    def kind(self) -> str:
        """`original` (the authors' layout), else the transformers model type: `xcodec2`, `neucodec`."""
        if any(key.startswith(ORIGINAL_PREFIX) for key in self.keys):
            return "original"
        return str(self.config.get("model_type", "unknown"))

    def licence(self) -> str:
        """Return the licence that the model card's header names, else `unknown`."""
        path = self.folder / CARD
        try:
            parts = path.read_text(encoding="utf-8").split("---\n", 2)
            header = yaml.safe_load(parts[1]) if len(parts) == 3 and not parts[0].strip() else None
        except (OSError, ValueError, RecursionError, yaml.YAMLError):
            return "unknown"  # no card, or none that says it
        licence = header.get("license") if isinstance(header, dict) else None
        return licence if isinstance(licence, str) and len(licence) <= LONGEST_LICENCE else "unknown"

    def fingerprint(self) -> str:
        """Return the SHA-256 over the configurations and weights, byte by byte: 64 hex digits."""
        digest = hashlib.sha256()
        for path in (self.folder / CONFIG, self.folder / EXTRACTOR, *self.weights):
            if path.is_file():
                digest.update(path.name.encode())
                with path.open("rb") as opened:
                    digest.update(hashlib.file_digest(opened, "sha256").digest())
        return digest.hexdigest()


def find(name: str, revision: str | None = None) -> Checkpoint:
    """Find the codec called `name`: a folder, here or below the repository, else a Hugging Face id.

    Raises UsageError if it is neither, or cannot be fetched.
    """
    folder = find_folder(name, "codec") or fetch(name, revision, "codec", (EXTRACTOR, CARD))
    return Checkpoint(name, folder)
