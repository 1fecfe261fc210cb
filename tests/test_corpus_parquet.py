"""Parquet with audio inside is a corpus, read by row groups."""

from __future__ import annotations

import pickle
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from corpus_helpers import Read

from pipeline.config import CorpusSettings
from pipeline.corpus import open_corpus
from pipeline.corpus.formats import parquet
from pipeline.errors import UsageError
from pipeline.utterance import Reason

ROWS, GROUP = 10, 3


def write(path: Path, clips: list[Path], form: str = "struct", **columns: list) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    raw = [clip.read_bytes() for clip in clips]
    audio = raw if form == "bytes" else [{"bytes": content, "path": None} for content in raw]
    texts = [f"text {i}" for i in range(len(clips))]
    pq.write_table(pa.table({"audio": audio, "text": texts, **columns}), path, row_group_size=GROUP)


@pytest.fixture
def clips(make_clip) -> list[Path]:
    return [make_clip(f"{i}.wav", seconds=0.1 + i / 50) for i in range(ROWS)]


@pytest.mark.parametrize("form", ["struct", "bytes"])
def test_audio_is_the_row_s_bytes_whatever_group_it_is_in(tmp_path, clips, form):
    write(tmp_path / "set/a.parquet", clips, form, speaker_id=list(range(ROWS)))
    read = Read(tmp_path / "set", language="ja")
    assert read.kind == "parquet"
    assert read.texts == {f"a.parquet#{i}": f"text {i}" for i in range(ROWS)}
    assert [each.speaker for each in read.all] == [str(i) for i in range(ROWS)]
    source = pickle.loads(pickle.dumps(read.corpus.source))
    for i in (9, 0, 4, 5, 2):
        assert source.open(f"a.parquet#{i}").read() == clips[i].read_bytes()
    with pytest.raises(FileNotFoundError, match="no row 10"):
        source.open("a.parquet#10")


def test_row_groups_in_memory_are_bounded(tmp_path, clips, monkeypatch):
    write(tmp_path / "set/a.parquet", clips)
    monkeypatch.setattr(parquet, "CACHED_BYTES", 20_000)
    source = Read(tmp_path / "set").corpus.source
    for i in range(ROWS):
        source.open(f"a.parquet#{i}")
        held = source._groups._held.values()
        assert len(held) == 1 or sum(group.nbytes for group in held) <= 20_000


def test_only_the_split_asked_for_is_read(tmp_path, clips):
    write(tmp_path / "set/data/train-00000-of-00001.parquet", clips[:4])
    write(tmp_path / "set/data/test-00000-of-00001.parquet", clips[4:6])
    assert len(Read(tmp_path / "set").all) == 4
    assert len(Read(tmp_path / "set", hf_split="test").all) == 2


def test_rows_have_their_own_ids_and_may_name_files_or_nothing(tmp_path, clips):
    audio = [{"bytes": None, "path": str(clips[0])}, {"bytes": None, "path": None}]
    table = pa.table({"audio": audio, "sentence": ["one", None], "id": ["x", "y"]})
    (tmp_path / "set").mkdir()
    pq.write_table(table, tmp_path / "set/a.parquet")
    schema = table.schema.set(
        0, pa.field("audio", pa.struct([("bytes", pa.binary()), ("path", pa.string())]))
    )
    pq.write_table(table.cast(schema), tmp_path / "set/a.parquet")
    read = Read(tmp_path / "set", allow_remote=True)
    assert read.texts == {"x": "one"}
    assert list(read.reasons.values()) == [Reason.MALFORMED_TRANSCRIPT]
    with read.corpus.source.open("a.parquet#0") as opened:
        assert opened.read() == clips[0].read_bytes()
    with pytest.raises(FileNotFoundError, match="has no audio"):
        read.corpus.source.open("a.parquet#1")


def test_a_table_without_audio_or_text_is_refused_with_its_columns(tmp_path, clips):
    pq.write_table(pa.table({"text": ["a"], "path": ["b"]}), tmp_path / "a.parquet")
    with pytest.raises(UsageError, match="no column of audio bytes among text, path"):
        open_corpus(CorpusSettings(audio=str(tmp_path), transcripts="parquet"))
    pq.write_table(pa.table({"audio": [b"x"], "words": ["b"]}), tmp_path / "a.parquet")
    with pytest.raises(UsageError, match=r"audio, words; set corpus\.text_column"):
        open_corpus(CorpusSettings(audio=str(tmp_path), transcripts="parquet"))
    (tmp_path / "a.parquet").write_bytes(b"nothing")
    with pytest.raises(UsageError, match="cannot be read as Parquet"):
        open_corpus(CorpusSettings(audio=str(tmp_path), transcripts="parquet"))
