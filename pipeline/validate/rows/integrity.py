"""What must hold of every row: codes, counts, texts, the plan. Counts what does not, and names the rows.

Works on one shard's arrays at a time. What spans shards (duplicates, unique ids) is scan.py's.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.ragged import row_sums, starts
from pipeline.validate.rows.reading import ShardRows, string_bytes

TOKEN_OFFSET = 128_264  # id of <|s_0|> in LLASA's vocabulary: https://huggingface.co/HKUSTAudio/Llasa-3B
PROMPT_TOKENS = 64  # more than LLASA's chat template and markers take beside the text


@dataclass(frozen=True)
class CodecFacts:
    """What a shard's state says of the codec that made its codes."""

    sample_rate: int
    hop_length: int
    codebook_size: int
    extra_codes: int = 1  # n samples give n // hop_length + extra_codes codes


@dataclass
class RowFaults:
    """Rows of one shard that break a rule: for each rule, booleans of shape (rows,)."""

    masks: dict[str, np.ndarray] = field(default_factory=dict)

    def add(self, rule: str, mask: np.ndarray) -> None:
        """Note the rows that break `rule`."""
        self.masks[rule] = mask


def check_rows(shard: ShardRows, codec: CodecFacts, max_length: int) -> RowFaults:
    """Check the rules that a row can break by itself; `max_length`: tokens that training allows."""
    faults = RowFaults()
    text = pc.fill_null(shard.texts("text"), "")
    id_missing = pc.equal(pc.fill_null(shard.texts("id"), ""), "").to_numpy(zero_copy_only=False)
    blank = pc.equal(pc.utf8_trim_whitespace(text), "").to_numpy(zero_copy_only=False)
    faults.add("missing_value", id_missing | blank | (shard.counts == 0))
    outside, offset = _outside(shard, codec.codebook_size)
    faults.add("code_outside_codebook", outside)
    faults.add("token_ids_as_codes", offset)
    expected = expected_counts(shard, codec)
    known = expected > 0
    faults.add("wrong_code_count", known & (shard.counts != expected))
    faults.add("one_code_short", known & (shard.counts == expected - 1))
    bound = string_bytes(text)[1] + shard.counts + PROMPT_TOKENS
    faults.add("may_exceed_training_length", bound > max_length)
    return faults


def expected_counts(shard: ShardRows, codec: CodecFacts) -> np.ndarray:
    """Return the codes that each row's audio gives, int64 (rows,); 0 if its length is not known.

    The source's samples, resampled to ceil(n * target / rate), give samples // hop + extra codes.
    """
    seconds, rate = shard.numbers("duration"), shard.numbers("sample_rate")
    known = np.isfinite(seconds) & np.isfinite(rate) & (rate > 0)
    rate = np.where(known, rate, 1).astype(np.int64)
    source = np.rint(np.where(known, seconds, 0) * rate).astype(np.int64)
    samples = -(-source * codec.sample_rate // rate)
    return np.where(known, samples // codec.hop_length + codec.extra_codes, 0)


def _outside(shard: ShardRows, codebook_size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return rows with codes that the codebook lacks, and rows whose codes look like token ids."""
    nothing = np.zeros(len(shard), bool)
    if len(shard.codes) == 0 or (shard.codes.max() < codebook_size and shard.codes.min() >= 0):
        return nothing, nothing
    wrong = row_sums((shard.codes >= codebook_size) | (shard.codes < 0), shard.counts) > 0
    filled = shard.counts > 0
    lowest = np.zeros(len(shard), np.int64)
    lowest[filled] = np.minimum.reduceat(shard.codes, starts(shard.counts)[filled])
    return wrong, lowest >= TOKEN_OFFSET


def check_plan(shard: ShardRows, planned: pa.Table) -> RowFaults:
    """Return rows that the manifest does not plan for this shard, or to which it gives another text."""
    faults = RowFaults()
    place = pc.index_in(shard.texts("id"), value_set=_column(planned, "id"))
    faults.add("not_in_plan", pc.is_null(place).to_numpy(zero_copy_only=False))
    for rule, name in (("text_differs_from_plan", "text"), ("audio_differs_from_plan", "audio")):
        stated = pc.take(_column(planned, name), place)
        differs = pc.fill_null(pc.not_equal(shard.texts(name), stated), False)
        faults.add(rule, differs.to_numpy(zero_copy_only=False))
    return faults


def places(shard: ShardRows, planned: pa.Table | None) -> pa.Array:
    """Return which part of which recording each row is, as text: the row's audio with the plan's times."""
    audio = pc.fill_null(shard.texts("audio"), "")
    if planned is None:
        return audio
    place = pc.index_in(shard.texts("id"), value_set=_column(planned, "id"))
    times = [
        pc.fill_null(pc.cast(pc.take(_column(planned, name), place), pa.string()), "")
        for name in ("start", "end")
    ]
    return pc.binary_join_element_wise(audio, *times, "\t")


def _column(table: pa.Table, name: str) -> pa.Array:
    joined = table[name].combine_chunks()
    return joined if isinstance(joined, pa.Array) else pa.concat_arrays(joined.chunks)
