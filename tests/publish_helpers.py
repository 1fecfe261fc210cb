"""Small finished datasets, made without audio or codec, and the programs that read their exports."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import yaml

from pipeline.__main__ import main
from pipeline.config import Settings
from pipeline.dataset import manifest
from pipeline.dataset.manifest import ManifestRow, write_chunk
from pipeline.dataset.reader import Dataset
from pipeline.dataset.rows import SCHEMA, schema
from pipeline.dataset.state import ShardFiles
from pipeline.dataset.writer import write_shard
from pipeline.llasa.tiny import CHAT_TEMPLATE, CODE_PATTERN
from pipeline.llasa_format.layout import MARKERS
from pipeline.llasa_format.prompt import INSTRUCTION, break_markers
from pipeline.utterance import Reason, Rejection

CODEC = {
    "name": "HKUSTAudio/xcodec2-hf",
    "licence": "CC-BY-NC-4.0",
    "fingerprint": "0123456789abcdef",
    "sample_rate": 16000,
    "hop_length": 320,
    "codebook_size": 65536,
    "precision": "fp32",
}
TEXTS = ("Good morning.", "おはよう、世界。", "a|b <|s_12|> c", 'naïve "quotes"\tand tabs', "x")


def row(number: int, **changes: Any) -> dict[str, Any]:
    length = 20 + 7 * (number % 5)
    return {
        "id": f"set/{number:04d}",
        "text": TEXTS[number % len(TEXTS)],
        "code": [(number * 7919 + i * 104729) % 65536 for i in range(length)],
        "duration": length / 50,
        "sample_rate": 44100 if number % 2 else 16000,
        "speaker": f"speaker-{number % 3}",
        "language": "ja" if number % 5 == 1 else "en",
        "audio": f"set/{number:04d}.wav",
    } | changes


REPO = "user/speech"
ROWS = [row(i) for i in range(10)]
Waits = list[float]  # seconds that would have been waited


def make_dataset(
    root: Path,
    rows: Sequence[dict[str, Any]],
    form: str = "jsonl",
    shard_size: int = 4,
    columns: Sequence[str] = SCHEMA.names,
    licence: str = "cc-by-4.0",
    rejected: int = 1,
    codebook_size: int = 65536,
) -> Dataset:
    """An OUT folder as a finished run leaves it, with `rejected` rejections a shard."""
    settings = Settings().with_values(
        {"output.format": form, "output.shard_size": shard_size, "corpus.licence": licence}
    )
    root.mkdir(parents=True, exist_ok=True)
    content = {"fingerprint": settings.fingerprint(), "settings": settings.model_dump()}
    (root / "config.yaml").write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
    for shard, start in enumerate(range(0, max(len(rows), 1), shard_size)):
        table = pa.Table.from_pylist(list(rows[start : start + shard_size]), schema=schema(columns))
        lost = [
            Rejection(f"lost-{shard}-{i}", "lost.wav", Reason.SILENT, "nothing above -80 dB")
            for i in range(rejected)
        ]
        marks = {
            "inputs": f"{shard:016x}",
            "codec": CODEC | {"codebook_size": codebook_size},
            "timings": {"encode": 1.5},
        }
        write_shard(ShardFiles(root, "train", form, shard), table, lost, marks)
    lots = (rows[start : start + shard_size] for start in range(0, len(rows), shard_size))
    write_chunk(
        root / "manifest" / "part-00000.parquet",
        ([_planned(row) for row in lot] for lot in lots),
    )
    (root / "stats.json").write_text(json.dumps({"rows": len(rows)}))
    return Dataset(root)


def _planned(row: dict[str, Any]) -> ManifestRow:
    return ManifestRow.of(**{name: row.get(name) for name in manifest.SCHEMA.names})


def llama_tokenizer() -> Any:
    """A tokenizer with the ids of the published LLASA models (LLASA.md), text being single bytes."""
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    specials = {
        "<|begin_of_text|>": 128000,
        "<|end_of_text|>": 128001,
        "<|start_header_id|>": 128006,
        "<|end_header_id|>": 128007,
        "<|eot_id|>": 128009,
    } | {name: 128256 + i for i, name in enumerate(MARKERS)}
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {letter: i for i, letter in enumerate(letters)} | specials
    vocabulary |= {f"filler-{i}": i for i in range(len(letters), 128256) if i not in specials.values()}
    vocabulary |= {f"<|s_{code}|>": 128264 + code for code in range(65536)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[], ignore_merges=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(CODE_PATTERN), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(name, special=True) for name in specials])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<|begin_of_text|>",
        eos_token="<|eot_id|>",
        chat_template=CHAT_TEMPLATE,
        clean_up_tokenization_spaces=False,
    )


def make_empty(dataset: Dataset, shard: int) -> None:
    """Redo a shard as one whose clips were all rejected."""
    marks = {"inputs": "0" * 16, "codec": CODEC, "timings": {}}
    write_shard(dataset.files(shard), SCHEMA.empty_table(), [], marks)


# The programs that read exports, rebuilt from what their documentation says of them.

START, END, TEXT_START, TEXT_END = 128260, 128261, 128258, 128259
FIRST_CODE = 128264
EOT = 128009
WINDOW = 2048  # what the memmap readers cut to, whatever the file's width
Sample = tuple[str, list[int]]  # text, codes


def export(out: Path, form: str, tokenizer_folder: str, *more: str) -> Path:
    assert main(["export", str(out), "--to", form, "--tokenizer", tokenizer_folder, *more]) == 0
    return out / "export" / ("sft-messages" if "--messages" in more else form)


def expected(rows: list[dict[str, Any]] = ROWS) -> list[Sample]:
    return [(break_markers(row["text"]), row["code"]) for row in rows]


def mapped(folder: Path, stem: str) -> np.ndarray:
    shape = tuple(np.load(folder / f"{stem}_shape.npy"))
    return np.memmap(folder / f"{stem}.memmap", dtype="int32", mode="r", shape=shape)


def trained_on(stored: np.ndarray, tokenizer: Any) -> tuple[list[int], list[int]]:
    """Ids and labels as a memmap reader makes them: the row's parts in the template, then cut to WINDOW."""
    ids = stored.tolist()
    start = ids.index(START)
    end = ids.index(END) if END in ids else WINDOW
    turns = [
        {"role": "user", "content": INSTRUCTION + "<|TEXT_UNDERSTANDING_START|>"},
        {"role": "assistant", "content": "<|SPEECH_GENERATION_START|>"},
    ]
    frame = tokenizer.apply_chat_template(turns, tokenize=True, return_dict=False)
    for marker, part in ((TEXT_START, ids[:start]), (START, ids[start : end + 1])):
        at = frame.index(marker)
        frame = frame[:at] + part + frame[at + 1 :]
    frame = frame[:WINDOW]
    start = frame.index(START)
    return frame, [-100] * start + frame[start:]


def sample_of(ids: list[int], tokenizer: Any) -> Sample:
    text = tokenizer.decode(ids[ids.index(TEXT_START) + 1 : ids.index(TEXT_END)])
    return text, [i - FIRST_CODE for i in ids[ids.index(START) + 1 : ids.index(END)]]


def read_memmap(folder: Path, stem: str, tokenizer: Any) -> Iterator[Sample]:
    for stored in mapped(folder, stem):
        ids, labels = trained_on(stored, tokenizer)
        assert END in labels
        yield sample_of(ids, tokenizer)


def texts(folder: Path, split: str) -> list[str]:
    path = folder / f"{split}.jsonl"
    return [json.loads(line)["text"] for line in path.read_text().splitlines()] if path.exists() else []
