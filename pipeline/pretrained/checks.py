"""Looks at a stranger's files before they are loaded: configurations that are none, sizes that are absurd.

Nothing is allocated for what a file says; a configuration is only compared with the weights beside it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipeline.errors import PipelineError, UsageError
from pipeline.pretrained.folders import ADAPTER, ADAPTER_WEIGHTS, CONFIG, INDEX, WEIGHTS
from pipeline.runtime import is_out_of_memory

SIZED = (CONFIG, ADAPTER, "preprocessor_config.json")  # a tokenizer's limit is often 10**30, meaning none
LARGEST_JSON = 64 * 2**20  # bytes; the largest tokenizers have 30 MB
LARGEST_INTEGER = 2**40  # more than any size, position or id of a model
MOST_REPEATS = 512  # layers, blocks, heads: each is an object in Python
REPEATED = re.compile(r"layers?$|depth|blocks?$|heads?$|experts?$|codebooks?$|quantizers?$")
DEEPEST = 20  # levels of nesting in a configuration
VALUES_A_BYTE = 3  # parameters that a byte of weights stands for at most; 4-bit weights have 2
SPARE = 2**24  # parameters and buffers that need not be in the files


@contextmanager
def opening(what: str, hint: str) -> Iterator[None]:
    """Turn every failure inside the block, where libraries read `what`, into one UsageError.

    The libraries raise almost any exception, tokenizers a bare one, for a damaged or hostile file. `hint`
    says what to do; out of memory has a sentence of its own.
    """
    try:
        yield
    except PipelineError:
        raise
    except Exception as error:
        if is_out_of_memory(error):
            raise UsageError(
                f"{what} does not fit into memory: take a smaller one, or another device"
            ) from error
        raise UsageError(f"cannot load {what} ({reason(error)}): {hint}") from error


def reason(error: BaseException) -> str:
    """Return the first line of an error's message, shortened, or its kind if it has none."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:200].rstrip(".:")


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object. Raises UsageError, which names the file, for anything else."""
    try:
        if path.stat().st_size > LARGEST_JSON:
            raise UsageError(f"{path} has more than {LARGEST_JSON >> 20} MB: it is no configuration")
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"{path} is not valid JSON ({reason(error)}): fetch it again") from error
    if not isinstance(content, dict):
        raise UsageError(f"{path} holds {type(content).__name__}, not an object: fetch it again")
    return content


def check_sizes(values: Mapping[str, Any], where: str) -> None:
    """Raise UsageError, which names `where` and the key, if a number in a configuration is absurd."""
    for key, value in _numbers(values, "", 0, where):
        limit = MOST_REPEATS if REPEATED.search(key) else LARGEST_INTEGER
        if abs(value) > limit:
            shown = f"{value:,}" if abs(value) < 10**15 else "a number of more than 15 digits"
            raise UsageError(f"{where} asks for {key} = {shown}: no model is built from that")


def check_folder(folder: Path) -> None:
    """Look at every configuration and every header of weights in a folder.

    Raises UsageError, which names the file, for one that is damaged, or asks for absurd sizes.
    """
    for path in sorted(folder.glob("*config.json")):
        values = read_json(path)
        if path.name in SIZED:
            check_sizes(values, str(path))
    if (folder / ADAPTER).is_file():
        _check_rank(folder)
    elif (folder / WEIGHTS).is_file() or (folder / INDEX).is_file():
        for path in weight_files(folder):
            shapes(path)


def weight_files(folder: Path) -> list[Path]:
    """List a folder's safetensors files, sorted. Raises UsageError if one is missing."""
    index = folder / INDEX
    names = [WEIGHTS]
    if index.is_file():
        placed = read_json(index).get("weight_map")
        names = sorted(set(map(str, placed.values()))) if isinstance(placed, dict) else []
        if not names or any(Path(name).name != name for name in names):
            raise UsageError(f"{index} does not map weights to files beside it: fetch it again")
    for name in names:
        if not (folder / name).is_file():
            others = sorted(path.name for kind in ("*.bin", "*.ckpt", "*.pt") for path in folder.glob(kind))
            hint = f"; {others[0]} is not safetensors: convert it" if others else ""
            raise UsageError(f"the folder {folder} has no {name}{hint}")
    return [folder / name for name in names]


def shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Read the shape of each tensor from a safetensors file's header.

    Raises UsageError if the file is damaged or truncated.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np") as opened:
            names = list(opened.keys())
            return {name: tuple(opened.get_slice(name).get_shape()) for name in names}
    except (SafetensorError, OSError, ValueError, OverflowError) as error:
        raise UsageError(
            f"{path} is damaged or no safetensors file ({reason(error)}): fetch it again"
        ) from error


def check_against_weights(model: Any, folder: Path, what: str) -> None:
    """Raise UsageError if a model on the meta device is larger than the folder's weights can fill."""
    asked = sum(tensor.numel() for tensor in (*model.parameters(), *model.buffers()))
    stored = sum(path.stat().st_size for path in weight_files(folder))
    if asked > VALUES_A_BYTE * stored + SPARE:
        raise UsageError(
            f"the configuration of {what} asks for {asked:,} parameters and its weights have {stored:,} "
            "bytes: they do not belong together"
        )


def _check_rank(folder: Path) -> None:
    """Compare the rank that an adapter's configuration asks for with its weights."""
    if not (folder / ADAPTER_WEIGHTS).is_file():
        raise UsageError(f"the LoRA folder {folder} has no {ADAPTER_WEIGHTS}: save it again with peft")
    config = read_json(folder / ADAPTER)
    patterns = config.get("rank_pattern")
    ranks = [config.get("r"), *(patterns.values() if isinstance(patterns, dict) else ())]
    largest = max((min(shape) for shape in shapes(folder / ADAPTER_WEIGHTS).values() if shape), default=0)
    for rank in ranks:
        if rank is not None and (not isinstance(rank, int) or not 0 < rank <= largest):
            raise UsageError(f"{folder / ADAPTER} asks for rank {rank!r} and its weights have {largest}")


def _numbers(value: Any, key: str, depth: int, where: str) -> Iterator[tuple[str, int]]:
    if depth > DEEPEST:
        raise UsageError(f"{where} is nested more than {DEEPEST} levels deep: it is no configuration")
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _numbers(inner, str(name), depth + 1, where)
    elif isinstance(value, list):
        for inner in value:
            yield from _numbers(inner, key, depth + 1, where)
    elif isinstance(value, int) and not isinstance(value, bool):
        yield key, value
