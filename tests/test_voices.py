"""A row of a finished dataset as the voice to speak with."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from pipeline.codec.fake import FakeCodec
from pipeline.config import Settings
from pipeline.dataset.folder import open_or_init
from pipeline.dataset.rows import schema
from pipeline.dataset.writer import write_shard
from pipeline.errors import UsageError
from pipeline.llasa.voices import voice_of_row

CODEC = FakeCodec()


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    made = open_or_init(tmp_path, Settings())
    columns = ["id", "text", "code", "duration", "sample_rate", "audio"]
    for shard, name in enumerate(("first", "second")):
        row = {"id": name, "text": f"The {name}.", "code": [1, 65535, shard], "audio": f"{name}.wav"}
        table = pa.Table.from_pylist([row | {"duration": 0.06, "sample_rate": 16000}], schema(columns))
        codec = {"name": CODEC.name, "fingerprint": CODEC.fingerprint}
        write_shard(made.files(shard), table, [], {"inputs": "", "codec": codec, "timings": {}})
    return tmp_path


def test_a_row_of_any_shard_is_a_voice(dataset: Path) -> None:
    voice = voice_of_row(dataset, "second", CODEC)
    assert voice.text == "The second."
    assert voice.codes.tolist() == [1, 65535, 1]


@pytest.mark.parametrize(("row", "sentence"), [("third", "has no row 'third'"), (None, "name a row of")])
def test_a_row_that_is_not_there_is_one_sentence(dataset: Path, row: str | None, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        voice_of_row(dataset, row, CODEC)


def test_codes_of_another_codec_are_refused_in_one_sentence(dataset: Path) -> None:
    with pytest.raises(UsageError, match="were made by the codec fake: and mean nothing to other"):
        voice_of_row(dataset, "first", replace(CODEC, name="other", fingerprint="other"))
