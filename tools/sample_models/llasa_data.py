"""The LLASA's training data, made by this project's own commands: create_dataset.py, then `export --to sft`.

Knows the commands and the columns of what they write. Does not know audio, codecs or how training goes.
"""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import torch
from torch import Tensor

from sample_models.prompts import AUDIO, Prompt

REPOSITORY = Path(__file__).resolve().parents[2]
IGNORED = -100  # the label that takes no part in the loss


@dataclass(frozen=True, slots=True)
class Sample:
    """One conversation: token ids and labels, int64 (tokens,); labels are -100 up to the speech."""

    ids: np.ndarray
    labels: np.ndarray


def make_dataset(prompts: list[Prompt], root: Path, build: Path, codec: Path) -> Path:
    """Encode the prompts as a user would; returns the dataset's folder. A second call finds it done."""
    transcripts = build / "transcripts.txt"
    transcripts.write_text("".join(f"{p.name}:{p.text}\n" for p in prompts), encoding="utf-8")
    output = build / "dataset"
    command = [sys.executable, "create_dataset.py", str(root / AUDIO), str(transcripts), "-o", str(output)]
    subprocess.run([*command, "--codec", str(codec), "--ext", ".g722"], cwd=REPOSITORY, check=True)
    return output


def export(dataset: Path, tokenizer: Path, build: Path) -> list[Sample]:
    """The dataset as samples of the sft export, in the tokens of the tokenizer in that folder."""
    output = build / "sft"
    command = [
        sys.executable,
        "-m",
        "pipeline",
        "export",
        str(dataset),
        "--to",
        "sft",
        "--output",
        str(output),
    ]
    subprocess.run([*command, "--tokenizer", str(tokenizer)], cwd=REPOSITORY, check=True)
    samples = []
    for path in sorted(output.glob("train-*.parquet")):
        table = pq.read_table(path, columns=["input_ids", "labels"])
        for ids, labels in zip(table["input_ids"], table["labels"], strict=True):
            samples.append(Sample(ids.values.to_numpy(), labels.values.to_numpy()))
    return samples


def batches(samples: list[Sample], tokens: int, generator: torch.Generator) -> list[list[Sample]]:
    """One pass over the samples in batches of at most `tokens` after padding, alike in length, shuffled."""
    jitter = torch.rand(len(samples), generator=generator).tolist()
    order = sorted(range(len(samples)), key=lambda i: len(samples[i].ids) * (0.9 + 0.2 * jitter[i]))
    made: list[list[Sample]] = [[]]
    longest = 0
    for index in order:
        longest = max(longest, len(samples[index].ids))
        if made[-1] and longest * (len(made[-1]) + 1) > tokens:
            made.append([])
            longest = len(samples[index].ids)
        made[-1].append(samples[index])
    return [made[i] for i in torch.randperm(len(made), generator=generator).tolist()]


def pad(batch: list[Sample]) -> tuple[Tensor, Tensor]:
    """Token ids and labels, int64 (samples, tokens). Padding is on the right, so causal attention
    needs no mask for it; its labels take no part in the loss.
    """
    width = max(len(sample.ids) for sample in batch)
    ids = torch.zeros(len(batch), width, dtype=torch.int64)
    labels = torch.full((len(batch), width), IGNORED, dtype=torch.int64)
    for row, sample in enumerate(batch):
        ids[row, : len(sample.ids)] = torch.from_numpy(sample.ids.astype(np.int64))
        labels[row, : len(sample.labels)] = torch.from_numpy(sample.labels.astype(np.int64))
    return ids, labels
