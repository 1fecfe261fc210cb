"""Names models by what is in them, so that what one said is not taken for what its successor says."""

from __future__ import annotations

import contextlib
import hashlib
from pathlib import Path

from pipeline.errors import UsageError
from pipeline.pretrained.checks import read_json
from pipeline.pretrained.folders import ADAPTER
from pipeline.runtime import find_file

READ = {".safetensors", ".bin", ".pt", ".pth", ".json", ".model", ".txt", ".jinja"}
DESCRIBED_BY = ("adapter_config.json", "config.json")  # a file that every model has one of


def identity(name: str) -> str:
    """Return the name of a model or recogniser with a digest of its files, here or from the Hub."""
    from transformers.utils.hub import cached_file

    place = name.rpartition(":")[2] or name  # `faster-whisper:FOLDER`
    path = find_file(place)
    for file in DESCRIBED_BY if path is None else ():
        options = {"local_files_only": True, "_raise_exceptions_for_missing_entries": False}
        with contextlib.suppress(OSError):  # no name of the Hub: loading says so, or needs none
            if found := cached_file(place, file, _raise_exceptions_for_connection_errors=False, **options):
                path = Path(found).parent
                break
    return name if path is None else f"{Path(name).name} {content_digest(path)}"


def content_digest(path: Path) -> str:
    """Return 12 hex digits of a model's weights, adapter, tokenizer and configuration.

    `path` is a file, or a folder whose files count; what a trainer keeps in folders below does not. An
    adapter's base counts too where it is a folder here.
    """
    files = (
        [path] if path.is_file() else sorted(p for p in path.iterdir() if p.suffix in READ and p.is_file())
    )
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as content:
            digest.update(f"{file.name}\0{hashlib.file_digest(content, 'sha256').hexdigest()}\n".encode())
    base = base_of(path)
    folder = None if base is None else find_file(base)
    if folder is not None and folder.is_dir() and folder.resolve() != path.resolve():
        digest.update(content_digest(folder).encode())
    return digest.hexdigest()[:12]


def base_of(folder: Path) -> str | None:
    """Return the base model that a LoRA folder names; None if it is not one."""
    path = folder / ADAPTER
    if not path.is_file():
        return None
    base = read_json(path).get("base_model_name_or_path")
    if not isinstance(base, str) or (Path(base) / ADAPTER).exists():
        raise UsageError(f"{path} does not name a base model: give a folder that peft saved")
    return base
