"""Finds the folder of a model: here, below the repository, or fetched from the Hugging Face Hub."""

from __future__ import annotations

from pathlib import Path

from pipeline.errors import UsageError
from pipeline.runtime import find_file

CONFIG, WEIGHTS, INDEX = "config.json", "model.safetensors", "model.safetensors.index.json"
ADAPTER, ADAPTER_WEIGHTS = "adapter_config.json", "adapter_model.safetensors"  # a LoRA folder's


def find_folder(name: str, what: str) -> Path | None:
    """Find the local folder called `name`; None if it can only be a Hugging Face id.

    Raises UsageError, which calls it a `what`, if it can be neither.
    """
    folder = find_file(name) if name and "\0" not in name else None
    if folder is not None and folder.is_dir():
        return folder
    if not name or "\0" in name or name.startswith((".", "/", "~")) or name.count("/") > 1:
        raise UsageError(
            f"there is no {what} folder {name}: give a folder with {WEIGHTS}, or a Hugging Face id"
        )
    return None


def fetch(name: str, revision: str | None, what: str, extras: tuple[str, ...] = ()) -> Path:
    """Fetch configuration, weights and what there is of `extras` of a Hugging Face id.

    A LoRA has its adapter's files instead. Returns their folder in the cache. Raises UsageError if they
    cannot be had.
    """
    from transformers.utils.hub import cached_file, get_checkpoint_shard_files

    def file(path: str, *, required: bool = True) -> str | None:
        found = cached_file(name, path, revision=revision, _raise_exceptions_for_missing_entries=required)
        return None if found is None else str(found)

    try:
        for extra in extras:
            file(extra, required=False)
        if adapter := file(ADAPTER, required=False):
            file(ADAPTER_WEIGHTS)
            return Path(adapter).parent
        config = file(CONFIG)
        if index := file(INDEX, required=False):
            get_checkpoint_shard_files(name, index, revision=revision)  # type: ignore[no-untyped-call]
        else:
            file(WEIGHTS)
    except (OSError, ValueError) as error:
        raise UsageError(
            f"cannot fetch the {what} {name} from the Hugging Face hub; without a network, download it "
            f"elsewhere (hf download {name} --local-dir FOLDER) and give that FOLDER"
        ) from error
    return Path(str(config)).parent
