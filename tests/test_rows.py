import datasets
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.dataset import rows

FORMATS = ("jsonl", "arrow", "parquet")
row = st.fixed_dictionaries(
    {
        "id": st.text(min_size=1),
        "text": st.text(),
        "code": st.lists(st.integers(0, 65535), max_size=50),
        "duration": st.floats(0, 1e6),
        "sample_rate": st.integers(1, 2**31 - 1),
        "speaker": st.none() | st.text(),
        "language": st.none() | st.text(),
        "audio": st.text(),
    }
)


@pytest.mark.parametrize("form", FORMATS)
@given(content=st.lists(row, max_size=5))
def test_every_row_comes_back_as_it_was_written(tmp_path_factory, form, content):
    path = tmp_path_factory.mktemp("rows") / f"a.{form}"
    table = pa.Table.from_pylist(content, schema=rows.SCHEMA)
    rows.write(path, table, form)
    assert rows.read(path, form).to_pylist() == table.to_pylist()
    assert rows.read(path, form, ["text", "code"]).column_names == ["text", "code"]


@pytest.mark.parametrize("form", FORMATS)
def test_the_same_table_gives_the_same_bytes(tmp_path, form):
    codes = np.random.default_rng(0).integers(0, 65536, (40, 100)).tolist()
    content = [{"id": str(i), "text": "a", "code": c, "duration": 1.0} for i, c in enumerate(codes)]
    table = pa.Table.from_pylist(content, schema=rows.schema(["id", "text", "code", "duration"]))
    for name in ("a", "b"):
        rows.write(tmp_path / name, table, form)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_arrow_files_are_what_datasets_maps_into_memory(tmp_path):
    table = pa.Table.from_pylist([{"code": [1, 65535]}], schema=rows.schema(["code"]))
    rows.write(tmp_path / "a.arrow", table, "arrow")
    assert datasets.Dataset.from_file(str(tmp_path / "a.arrow"))[0]["code"] == [1, 65535]


def test_columns_keep_their_order_whatever_is_left_out():
    assert rows.schema(["audio", "id", "code"]).names == ["id", "code", "audio"]
