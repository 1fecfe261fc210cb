"""Exports a dataset with one call: what `python -m pipeline export` and the library's users share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import UsageError
from pipeline.llasa_format import DATE

if TYPE_CHECKING:
    from pipeline.dataset.reader import Dataset
    from pipeline.export.formats import Outcome


def export(
    dataset: str | Path | Dataset,
    to: str,
    *,
    tokenizer: str,
    output: str | Path | None = None,
    max_length: int = 2048,
    messages: bool = False,
    val_share: float = 0.0,
    split_by: str = "seed",
    val_ids: str | Path | None = None,
    seed: int = 0,
    date: str = DATE,
    progress: Callable[[int], object] = lambda rows: None,
) -> Outcome:
    """Write the files that one training program reads; a finished export of the same is left as it is.

    `to` is llasa-trainer, llasa-memmap, unsloth-memmap, sharded-memmap or sft; `messages` makes the last one
    write turns instead of token ids. `tokenizer` is that of the LLASA to train: a folder or Hugging Face id.
    `output` is the folder to write (default: `export/` in the dataset). Samples of more than `max_length`
    tokens with their prompt are listed and left out. For validation, `val_share` of the rows are set aside,
    by chance (`split_by="seed"`) or whole speakers (`"speaker"`), or those whose ids the file `val_ids` lists
    (`"id"`); another `seed` chooses others. `date` stands in the prompts of models that date them.
    `progress` is called with the number of rows just written.

    Raises UsageError, before anything is written, if the arguments do not fit or a file of the dataset is
    missing or damaged.

    >>> from pipeline import export_dataset
    >>> outcome = export_dataset("out/sample", "sft", tokenizer="data/sample/llasa-random", val_share=0.1)
    >>> sum(outcome.rows.values())
    64
    """
    from pipeline.dataset.reader import Dataset
    from pipeline.export import formats
    from pipeline.export.samples import open_prompts
    from pipeline.export.splits import split

    if max_length < 1:
        raise UsageError(f"--max-length is {max_length}: give a number of tokens, such as 2048")
    if messages and to != "sft":
        raise UsageError(f"--messages is for --to sft, not for {to}")
    if to == "unsloth-memmap" and (val_share or val_ids):
        raise UsageError("unsloth-memmap is one set: export it without --val-share and --val-ids")
    found = Dataset(dataset) if isinstance(dataset, str | Path) else dataset
    found.check_files()
    held = split(found, split_by, val_share, seed, None if val_ids is None else Path(val_ids))
    codebook = max((int(state.codec["codebook_size"]) for state in found.states()), default=0)
    prompts = open_prompts(tokenizer, codebook, date)
    name = "sft-messages" if messages else to
    folder = Path(output) if output else found.root / "export" / name
    asked: dict[str, Any] = {"date": date, **held.asked}
    return formats.write(found, name, prompts, held, folder, max_length, asked, progress)
