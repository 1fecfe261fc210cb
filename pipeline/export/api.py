"""Exports a dataset with one call: what `python -m pipeline export` and the library's users share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import UsageError
from pipeline.llasa_format import DATE

if TYPE_CHECKING:
    from pipeline.dataset.reader import Dataset
    from pipeline.export.formats import Outcome

MAX_LENGTH = 2048  # tokens, as LLASA was trained


def export(
    dataset: str | Path | Dataset,
    to: str,
    *,
    tokenizer: str | None = None,
    output: str | Path | None = None,
    max_length: int | None = None,
    messages: bool = False,
    val_share: float = 0.0,
    split_by: str = "seed",
    val_ids: str | Path | None = None,
    seed: int = 0,
    date: str | None = None,
    embed_audio: bool = False,
    audio: str | Path | None = None,
    progress: Callable[[int], object] = lambda rows: None,
) -> Outcome:
    """Write the files that one training program reads; a finished export of the same is left as it is.

    `to` is llasa-trainer, llasa-memmap, unsloth-memmap, sharded-memmap or sft; `messages` makes the last one
    write turns instead of token ids. `tokenizer` is that of the LLASA to train: a folder or Hugging Face id.
    Samples of more than `max_length` tokens (default: 2,048) with their prompt are listed and left out.
    `date` stands in the prompts of models that date them. Or `to` is webdataset or lhotse, which have none of
    these: their rows are text and codes, and with `embed_audio` the recordings (from `audio`, if they were
    moved). `output` is the folder to write (default: `export/` in the dataset). For validation, `val_share`
    of the rows are set aside, by chance (`split_by="seed"`) or whole speakers (`"speaker"`), or those whose
    ids the file `val_ids` lists (`"id"`); another `seed` chooses others. `progress` is called with the number
    of rows just written.

    Raises UsageError, before anything is written, if the arguments do not fit or a file of the dataset is
    missing or damaged; also if a recording to embed cannot be read.

    >>> from pipeline import export_dataset
    >>> outcome = export_dataset("out/sample", "sft", tokenizer="data/sample/llasa-random", val_share=0.1)
    >>> sum(outcome.rows.values())
    64
    """
    from pipeline.dataset.reader import Dataset
    from pipeline.dataset.recordings import Recordings, open_source
    from pipeline.export import formats
    from pipeline.export.samples import open_prompts
    from pipeline.export.splits import split

    of_tokens = {"--tokenizer": tokenizer, "--max-length": max_length, "--date": date}
    if to in formats.ROW_FORMATS and (
        given := [flag for flag, value in of_tokens.items() if value is not None]
    ):
        raise UsageError(f"--to {to} writes no tokens: leave out {' and '.join(given)}")
    if to in formats.FORMATS and tokenizer is None:
        raise UsageError(f"--to {to} needs --tokenizer: that of the LLASA to train")
    if to in formats.FORMATS and embed_audio:
        raise UsageError(f"--embed-audio is for --to {' and '.join(formats.ROW_FORMATS)}, not for {to}")
    if audio is not None and not embed_audio:
        raise UsageError("--audio says where --embed-audio finds the recordings: give both")
    if max_length is not None and max_length < 1:
        raise UsageError(f"--max-length is {max_length}: give a number of tokens, such as 2048")
    if messages and to != "sft":
        raise UsageError(f"--messages is for --to sft, not for {to}")
    if to == "unsloth-memmap" and (val_share or val_ids):
        raise UsageError("unsloth-memmap is one set: export it without --val-share and --val-ids")
    found = Dataset(dataset) if isinstance(dataset, str | Path) else dataset
    found.check_files()
    name = "sft-messages" if messages else to
    held = split(found, split_by, val_share, seed, None if val_ids is None else Path(val_ids))
    folder = Path(output) if output else found.root / "export" / name
    if tokenizer is None:
        recordings = Recordings(found, open_source(found, audio)) if embed_audio else None
        return formats.write(found, formats.as_rows(name, recordings), held, folder, progress)
    codebook = max((int(state.codec["codebook_size"]) for state in found.states()), default=0)
    date, max_length = date or DATE, max_length or MAX_LENGTH
    tokens = formats.as_tokens(name, open_prompts(tokenizer, codebook, date), max_length, date)
    return formats.write(found, tokens, held, folder, progress)
