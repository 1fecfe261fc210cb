"""Finds a codec's files, here or on the Hub, and reads their kind, licence and fingerprint.

Reads names and headers only. Weights must be safetensors: a pickle can run code.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml
from safetensors import safe_open

from pipeline.errors import UsageError
from pipeline.runtime import find_file

CONFIG, WEIGHTS, INDEX = "config.json", "model.safetensors", "model.safetensors.index.json"
EXTRACTOR, CARD = "preprocessor_config.json", "README.md"
ORIGINAL_PREFIX = "CodecEnc."  # only the authors' layout has such keys


@dataclass(frozen=True)
class Checkpoint:
    """A codec's files in a local folder; `name` is what the user asked for."""

    name: str
    folder: Path

    @cached_property
    def weights(self) -> list[Path]:
        """The safetensors files, sorted. Raises UsageError if there are none."""
        if (self.folder / INDEX).is_file():
            index = json.loads((self.folder / INDEX).read_text(encoding="utf-8"))
            found = [self.folder / name for name in sorted(set(index["weight_map"].values()))]
        else:
            found = [self.folder / WEIGHTS]
        missing = [path.name for path in found if not path.is_file()]
        if missing:
            others = sorted(path.name for path in self.folder.glob("*.bin")) + sorted(
                path.name for path in self.folder.glob("*.ckpt")
            )
            hint = f"; {others[0]} is not safetensors: convert it" if others else ""
            raise UsageError(f"the codec folder {self.folder} has no {missing[0]}{hint}")
        return found

    @cached_property
    def keys(self) -> frozenset[str]:
        """Names of all tensors, from the files' headers."""
        names: set[str] = set()
        for path in self.weights:
            with safe_open(path, framework="pt") as opened:
                names.update(opened.keys())
        return frozenset(names)

    @cached_property
    def config(self) -> dict[str, Any]:
        """The parsed config.json; empty where there is none."""
        path = self.folder / CONFIG
        try:
            content = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        except json.JSONDecodeError as error:
            raise UsageError(f"{path} is not valid JSON: {error}") from error
        return content if isinstance(content, dict) else {}

    @property
    def kind(self) -> str:
        """`original` (the authors' layout), else the transformers model type: `xcodec2`, `neucodec`."""
        if any(key.startswith(ORIGINAL_PREFIX) for key in self.keys):
            return "original"
        return str(self.config.get("model_type", "unknown"))

    def licence(self) -> str:
        """Return the licence that the model card's header names, else `unknown`."""
        path = self.folder / CARD
        if not path.is_file():
            return "unknown"
        parts = path.read_text(encoding="utf-8").split("---\n", 2)
        header = yaml.safe_load(parts[1]) if len(parts) == 3 and not parts[0].strip() else None
        return str(header.get("license", "unknown")) if isinstance(header, dict) else "unknown"

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
    folder = find_file(name)
    if folder is not None and folder.is_dir():
        return Checkpoint(name, folder)
    if Path(name).is_absolute() or name.startswith((".", "~")) or name.count("/") != 1:
        raise UsageError(
            f"no codec folder {name}: give a folder with {WEIGHTS}, or a Hugging Face id (owner/name)"
        )
    return Checkpoint(name, _fetch(name, revision))


def _fetch(name: str, revision: str | None) -> Path:
    from transformers.utils.hub import cached_file

    try:
        fetched = [
            cached_file(name, file, revision=revision, _raise_exceptions_for_missing_entries=required)
            for file, required in ((CONFIG, True), (EXTRACTOR, False), (CARD, False), (WEIGHTS, True))
        ]
    except OSError as error:
        raise UsageError(
            f"cannot fetch the codec {name} from the Hugging Face hub; without a network, download it "
            f"elsewhere (hf download {name} --local-dir FOLDER) and give --codec FOLDER"
        ) from error
    return Path(str(fetched[0])).parent
