"""A table answers as one that was read whole, and is read no further than it takes."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest
from corpus_helpers import audio, build
from hypothesis import given
from hypothesis import strategies as st

from pipeline.config import CorpusSettings
from pipeline.corpus import lines, open_corpus
from pipeline.corpus.entry import Malformed
from pipeline.corpus.tables import Row, Table
from pipeline.utterance import Utterance

KEYS = st.sampled_from("abcdé")
ROWS = st.lists(st.none() | st.tuples(KEYS, st.sampled_from("12")))


@given(ROWS, st.lists(KEYS))
def test_a_table_is_one_that_was_read_whole_whatever_it_is_asked_for(pairs, asked):
    rows: list[Row | Malformed] = []
    wanted, amiss = dict[str, str](), list[str]()
    for number, pair in enumerate(pairs):
        where = f"t:{number}"
        rows.append(Malformed(where, "is amiss") if pair is None else (where, *pair))
        if pair is None or wanted.setdefault(*pair) != pair[1]:
            amiss.append(where)
    malformed: list[Malformed] = []
    table = Table(rows, malformed)
    assert [table.get(key) for key in asked] == [wanted.get(key) for key in asked]
    table.read_on()
    assert [each.where for each in malformed] == amiss


NAMES = [f"u{number:04d}" for number in range(500)]
KALDI = {
    "text": "".join(f"{name} said {name}\n" for name in NAMES),
    "wav.scp": "".join(f"r{name} {name}.wav\n" for name in NAMES),
    "segments": "".join(f"{name} r{name} 0 1\n" for name in NAMES) + "u0499 ru0000 0 1\n",
    "utt2spk": "".join(f"{name} anna\n" for name in NAMES) + "alone\n",
}
LHOTSE = {
    "a_supervisions.jsonl": "".join(
        f'{{"id": "{name}", "recording_id": "r{name}", "start": 0, "duration": 1, "text": "said {name}"}}\n'
        for name in NAMES
    ),
    "a_recordings.jsonl": "".join(
        f'{{"id": "r{name}", "duration": 2, "sources": '
        f'[{{"type": "file", "channels": [0], "source": "{name}.wav"}}]}}\n'
        for name in NAMES
    )
    + "no JSON\n",
}


@pytest.mark.parametrize(("form", "files", "amiss"), [("kaldi", KALDI, 2), ("lhotse", LHOTSE, 1)])
def test_the_first_entries_need_the_beginnings_of_the_tables(tmp_path: Path, monkeypatch, form, files, amiss):
    root = build(tmp_path, audio(*(f"{name}.wav" for name in NAMES)) | files)
    read, read_lines = dict[str, int](), lines.read_lines

    def counted(path: Path, settings: CorpusSettings) -> Iterator[tuple[str, str | Malformed]]:
        for each in read_lines(path, settings):
            read[path.name] = read.get(path.name, 0) + 1
            yield each

    corpus = open_corpus(CorpusSettings(audio=str(root), transcripts=form))
    monkeypatch.setattr(lines, "read_lines", counted)
    entries = corpus.utterances()
    first = list(islice(entries, 10))
    assert read == dict.fromkeys(files, 10)
    rest = list(entries)
    texts = [each.text for each in [*first, *rest] if isinstance(each, Utterance)]
    assert texts == [f"said {name}" for name in NAMES]
    assert len(rest) - 490 == amiss
