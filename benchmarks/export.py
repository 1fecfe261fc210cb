"""How fast a dataset becomes training files, beside the loop that published converters run.

    .venv/bin/python -m benchmarks.export                  20,000 rows of random codes, a minute
    .venv/bin/python -m benchmarks.export --rows 2000

Rows and megabytes a second of processor time, so that other work on the machine counts little, from finished
Parquet shards to each format. The loop takes one row at a time: tokenise its text, make its codes a list of
ids, pad, collect, and write one array at the end. `tokenising alone` is what no exporter can save.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.common import save
from benchmarks.validate import make
from pipeline.dataset.reader import Dataset
from pipeline.export.formats import FORMATS, as_tokens, write
from pipeline.export.splits import Split
from pipeline.llasa.tiny import build_tokenizer
from pipeline.llasa_format import DATE
from pipeline.llasa_format.prompt import PromptFormat, read_prompt_format

WIDTH = 2048  # tokens a row


def prompts_for(dataset: Dataset) -> PromptFormat:
    """A tokenizer in the LLASA layout that knows the dataset's words, as Llama's knows those of English."""
    texts = dataset.table(0, ["text"])["text"].to_pylist()
    tokenizer = build_tokenizer(65_536, text_vocabulary=2_000, corpus=texts)
    return read_prompt_format(tokenizer, 65_536, "benchmark")


def loop(dataset: Dataset, prompts: PromptFormat, path: Path) -> None:
    """One row after the other, into a memmap of all of them."""
    tokenizer, layout = prompts.tokenizer, prompts.layout
    rows = []
    for table in dataset.tables(["text", "code"]):
        for row in table.to_pylist():
            text = f"<|TEXT_UNDERSTANDING_START|>{row['text']}<|TEXT_UNDERSTANDING_END|>"
            ids = tokenizer.encode(text, add_special_tokens=False)
            ids += [
                layout.speech_start,
                *(int(layout.code_ids[code]) for code in row["code"]),
                layout.speech_end,
            ]
            rows.append(np.pad(ids[:WIDTH], (0, WIDTH - len(ids[:WIDTH])), constant_values=prompts.eos))
    whole = np.array(rows, np.int32)
    stored = np.memmap(path, "int32", "w+", shape=whole.shape)
    stored[:] = whole
    stored.flush()


def processor_seconds(work: Callable[[], object]) -> float:
    """What one call takes of the processor, in all its threads."""
    started = time.process_time()
    work()
    return time.process_time() - started


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=20_000)
    count = parser.parse_args().rows
    with tempfile.TemporaryDirectory(prefix="export-") as folder:
        figures = measure(Path(folder), count)
    save("export", {"rows": count, "per_processor_second": figures})
    print(f"{'a second of processor time':26} {'rows':>9} {'MB':>7} {'of the loop':>12}")
    for name, figure in figures.items():
        size = f"{figure['megabytes']:7.1f}" if "megabytes" in figure else " " * 7
        print(f"{name:26} {figure['rows']:9,.0f} {size} {figure['of_the_loop']:11.2f}×")


def measure(root: Path, count: int) -> dict[str, dict[str, float]]:
    """Rows and megabytes a second: of the loop, of tokenising alone, of every format."""
    dataset = make(root / "dataset", "parquet", count)
    prompts = prompts_for(dataset)
    figures: dict[str, dict[str, float]] = {}

    def note(name: str, seconds: float, size: int | None = None) -> None:
        figures[name] = {"rows": round(count / seconds, 1)}
        if size is not None:
            figures[name]["megabytes"] = round(size / seconds / 1e6, 2)
        figures[name]["of_the_loop"] = round(
            figures[name]["rows"] / figures["loop (llasa-memmap)"]["rows"], 2
        )

    seconds = processor_seconds(lambda: loop(dataset, prompts, root / "loop"))
    note("loop (llasa-memmap)", seconds, count * WIDTH * 4)
    texts = [table["text"].to_pylist() for table in dataset.tables(["text"])]
    note("tokenising alone", processor_seconds(lambda: [prompts.encode(lot) for lot in texts]))
    for name in FORMATS:
        export = as_tokens(name, prompts, WIDTH, DATE)
        make_files = partial(write, dataset, export, Split({}), root / name)
        seconds = processor_seconds(make_files)
        note(name, seconds, sum(path.stat().st_size for path in (root / name).iterdir()))
    return figures


if __name__ == "__main__":
    main()
