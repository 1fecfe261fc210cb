"""The arithmetic on offsets, against the same thing said in a plain loop."""

from itertools import groupby

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.ragged import repeats, row_sums, runs
from pipeline.validate.rows.codebook import codebook_use, fsq_digits
from pipeline.validate.rows.row_table import RowTable

RAGGED = st.lists(st.lists(st.integers(0, 3), max_size=40), max_size=12)


def flat(rows):
    lengths = np.array([len(row) for row in rows], np.int64)
    return np.array([value for row in rows for value in row], np.uint16), lengths


@given(RAGGED)
def test_runs_and_sums_are_those_of_a_loop_over_rows(rows):
    values, lengths = flat(rows)
    groups = [[len(list(group)) for _, group in groupby(row)] for row in rows]
    longest, last = runs(values, lengths)
    assert longest.tolist() == [max(sizes, default=0) for sizes in groups]
    assert last.tolist() == [sizes[-1] if sizes else 0 for sizes in groups]
    assert row_sums(values, lengths).tolist() == [sum(row) for row in rows]


def stretch(row, period):
    best = size = 0
    for place in range(len(row) - period):
        size = size + 1 if row[place] == row[place + period] else 0
        part = row[place - size + 1 : place + period + 1]
        if size >= 2 * period and size > best and len(set(part)) > 1:
            best = size
    return best + period if best else 0


@settings(max_examples=300)
@given(st.lists(st.one_of(st.lists(st.integers(0, 1), max_size=30), st.just([1, 2, 3] * 7)), max_size=5))
def test_a_loop_is_found_whatever_lies_around_it(rows):
    values, lengths = flat(rows)
    found = repeats(values, lengths, 5)
    for row, size in zip(rows, found.tolist(), strict=True):
        wanted = max((stretch(row, period) for period in range(2, 6)), default=0)
        assert size == wanted


@pytest.mark.parametrize("memory", ["1GB", "24MB"], ids=["in memory", "on disk"])
def test_rows_that_are_the_same_are_found_in_memory_and_on_disk(tmp_path, monkeypatch, memory):
    monkeypatch.setattr("pipeline.validate.rows.row_table.MEMORY", memory)
    rows = 300_000  # of 64 bytes
    values = np.random.default_rng(0).permutation(rows)
    values[[100_000, 200_000, 299_999]] = values[[3, 3, 7]]
    distinct = np.arange(rows)
    spoken = np.ones(rows, np.float32)
    codes = pa.LargeListArray.from_arrays(np.arange(rows + 1), values)
    with RowTable(tmp_path) as table:
        for first in range(0, rows, 30_000):
            chosen = slice(first, first + 30_000)
            columns = dict.fromkeys(("row", "id", "audio", "text"), distinct[chosen])
            columns |= {"codes": codes[chosen], "language": pa.array(["en"] * 30_000)}
            table.add(pa.table(columns | {"units": spoken[chosen], "seconds": spoken[chosen]}))
        count, found = table.repeated("codes", 2)
        assert (count, found.tolist()) == (3, [100_000, 200_000])
        assert table.repeated("id", 10)[0] == 0
        assert len(table.sample("en", step=3)["units"]) == rows / 3
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_even_codes_use_all_that_is_reachable_and_each_digit_evenly():
    counts = np.bincount(np.random.default_rng(0).integers(0, 65_536, 20_000), minlength=65_536)
    use = codebook_use(counts)
    assert use.share_of_reachable == pytest.approx(1, abs=0.02)
    assert use.entropy_share > 0.98
    assert np.allclose(use.digits, 0.25, atol=0.02)


def test_digits_are_counted_lowest_first():
    counts = np.zeros(64, np.int64)
    counts[2 + 4 * 1 + 16 * 3] = 5  # levels 2, 1, 3
    assert fsq_digits(counts).argmax(axis=1).tolist() == [2, 1, 3]


def test_a_collapsed_codebook_is_told_by_use_and_entropy():
    counts = np.zeros(65_536, np.int64)
    counts[:40] = 500
    use = codebook_use(counts)
    assert use.share_of_reachable < 0.01
    assert use.entropy == pytest.approx(np.log2(40), abs=0.01)
    assert use.dead_digit_levels > 10
