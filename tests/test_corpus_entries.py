"""No entry is lost: any text comes through each form, and what cannot be read is rejected with its place."""

from __future__ import annotations

import codecs
import csv
import io
import json
import pickle
import unicodedata
from pathlib import Path

import pytest
from corpus_helpers import Read, audio, build
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.utterance import Reason

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\0"), min_size=1).map(
    str.strip
)
names = st.text(st.characters(categories=["Ll", "Lo", "Nd"]), min_size=1, max_size=8)
each_text = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def columns(name: str, text: str) -> tuple[str, str]:
    return "t.txt", f"{name}:{text}\n"


def ljspeech(name: str, text: str) -> tuple[str, str]:
    return "metadata.csv", f"{name}|raw|{text.replace('|', '/')}"


def table(name: str, text: str) -> tuple[str, str]:
    buffer = io.StringIO()
    csv.writer(buffer).writerows([["sentence", "path"], [text, f"{name}.mp3"]])
    return "t.csv", buffer.getvalue()


def jsonl(name: str, text: str) -> tuple[str, str]:
    return "t.jsonl", json.dumps({"audio": f"sub/{name}.wav", "text": text, "id": name})


FORMATS = {"columns": columns, "ljspeech": ljspeech, "csv": table, "jsonl": jsonl}


@pytest.mark.parametrize("kind", FORMATS)
@given(name=names, text=texts)
@each_text
def test_any_text_comes_through_each_form(
    kind: str, name: str, text: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = tmp_path_factory.mktemp("corpus")
    file, content = FORMATS[kind](name, text)
    build(root, {**audio(f"sub/{name}.wav"), file: content})
    read = Read(root, file, transcripts=kind)
    expected = text.replace("|", "/").strip() or "raw" if kind == "ljspeech" else text
    assert read.texts == {unicodedata.normalize("NFC", name): expected}
    assert (root / read.all[0].audio).is_file()


@pytest.mark.parametrize("kind", ["columns", "ljspeech", "jsonl"])
@given(junk=st.lists(st.binary(max_size=30).map(lambda line: line.replace(b"\n", b""))))
@each_text
def test_every_line_is_an_utterance_or_a_rejection(
    kind: str, junk: list[bytes], tmp_path_factory: pytest.TempPathFactory
) -> None:
    good = FORMATS[kind]("a", "x")[1].rstrip().encode()
    lines = [good, *(line for bad in junk for line in (bad, good))]
    root = build(tmp_path_factory.mktemp("corpus"), {**audio("sub/a.wav"), "t.txt": b"\n".join(lines)})
    read = Read(root, "t.txt", transcripts=kind, encoding="utf-8")
    assert len(read.all) == sum(bool(line.strip()) for line in lines)
    assert sum(each.id == "a" for each in read.all) >= len(junk) + 1


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("bom", [b"", codecs.BOM_UTF8])
@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("t.txt", "a:x\n\nb:y\n"),
        ("t.tsv", "path\tsentence\na.wav\tx\nb.wav\ty\n"),
        ("t.jsonl", '{"audio": "a", "text": "x"}\n{"audio": "b", "text": "y"}\n'),
        ("metadata.csv", "a|1|x\nb|2|y\n"),
    ],
)
def test_bom_and_crlf_make_no_difference(
    tmp_path: Path, bom: bytes, line_end: str, file: str, content: str
) -> None:
    build(tmp_path, {**audio("a.wav", "b.wav"), file: bom + content.replace("\n", line_end).encode()})
    assert Read(tmp_path, file).texts == {"a": "x", "b": "y"}


@pytest.mark.parametrize(
    ("file", "content", "places"),
    [
        ("t.txt", b"a:x\nno separator\n:no name\nb:\xff\n", ["t.txt:2", "t.txt:3", "t.txt:4"]),
        ("t.csv", b"path,text\na,x\na,b,c\n,y\na,\xff\n", ["t.csv:3", "t.csv:4", "t.csv:5"]),
        ("metadata.csv", b"a|1|x\n|1|2\na|1|2|3|4\nb|1|2\n", ["metadata.csv:2", "metadata.csv:3"]),
    ],
)
def test_an_entry_that_cannot_be_read_is_rejected_with_its_place(
    tmp_path: Path, file: str, content: bytes, places: list[str]
) -> None:
    build(tmp_path, {**audio("a.wav"), file: content})
    read = Read(tmp_path, file)
    assert read.texts == {"a": "x"}
    malformed = [each for each in read.rejections.values() if each.reason is Reason.MALFORMED_TRANSCRIPT]
    assert [each.id for each in malformed] == places
    assert all(each.detail.startswith(f"{each.id}: ") for each in malformed)


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "[1]",
        '{"audio": "a"}',
        '{"audio": "a", "text": null}',
        '{"audio": 1, "text": "x"}',
        '{"audio": "a", "text": "\\ud800"}',
        '{"audio": "a", "text": "x", "offset": "soon"}',
        '{"audio": "a", "text": "x", "offset": -1}',
        '{"audio": "a", "text": "x", "offset": NaN}',
        '{"audio": "a", "text": "x", "start": 2, "end": 1}',
        '{"audio": "a", "text": "x", "id": ""}',
        "[" * 100_000,
    ],
)
def test_a_bad_json_line_is_rejected_and_the_next_is_read(tmp_path: Path, line: str) -> None:
    good = '{"audio": "a", "text": "good", "id": "ok"}\n'
    build(tmp_path, {**audio("a.wav"), "t.jsonl": good + line + "\n" + good})
    read = Read(tmp_path, "t.jsonl", transcripts="jsonl")
    assert [getattr(each, "text", None) for each in read.all] == ["good", None, "good"]
    assert read.reasons == {"t.jsonl:2": Reason.MALFORMED_TRANSCRIPT}


def test_a_quotation_mark_left_open_is_told_and_not_taken_for_text(tmp_path: Path) -> None:
    rows = 'path,text\na,good\na,"open\n' + "a,more\n" * 60
    read = Read(build(tmp_path, {**audio("a.wav"), "t.csv": rows}), "t.csv")
    assert read.texts == {"a": "good"}
    (rejection,) = read.rejections.values()
    assert "not closed" in rejection.detail


def test_text_without_audio_and_audio_without_text_are_both_told(tmp_path: Path) -> None:
    build(tmp_path, {**audio("a.wav", "b.wav", "x/c.wav"), "t.txt": "a:x\ngone:y\n"})
    read = Read(tmp_path, "t.txt")
    assert read.reasons == {"gone": Reason.MISSING_AUDIO}
    assert read.rejections["gone"].audio == "gone"
    assert "t.txt:2" in read.rejections["gone"].detail
    assert read.without_text == ["b.wav", "x/c.wav"]


def test_a_name_that_fits_two_files_is_rejected_and_both_are_named(tmp_path: Path) -> None:
    build(tmp_path, {**audio("x/1.wav", "y/1.wav", "y/2.wav"), "t.txt": "1:which\n2:sure\n"})
    read = Read(tmp_path, "t.txt")
    assert read.reasons == {"1": Reason.MALFORMED_TRANSCRIPT}
    assert "x/1.wav, y/1.wav" in read.rejections["1"].detail


def test_names_that_repeat_in_folders_have_path_like_ids(tmp_path: Path) -> None:
    build(tmp_path, {**audio("x/1.wav", "y/1.wav"), "t.txt": "x/1:one\ny/1.wav:two\n"})
    assert Read(tmp_path, "t.txt").texts == {"x/1": "one", "y/1": "two"}


def test_ids_stay_when_the_corpus_grows(tmp_path: Path) -> None:
    build(tmp_path, {**audio("x/1.wav", "x/2.wav"), "t.txt": "x/1:one\n2:two\n"})
    before = Read(tmp_path, "t.txt").all
    build(tmp_path, {**audio("y/1.wav", "a.wav"), "t.txt": "x/1:one\n2:two\ny/1:three\na:four\n"})
    assert Read(tmp_path, "t.txt").all[:2] == before


def test_an_empty_text_is_left_to_the_planner(tmp_path: Path) -> None:
    build(tmp_path, {**audio("a.wav", "b.wav"), "t.txt": "a: \nb:x\n"})
    assert Read(tmp_path, "t.txt").texts == {"a": "", "b": "x"}


def test_a_corpus_is_read_twice_alike_and_its_source_is_picklable(tmp_path: Path) -> None:
    build(tmp_path, {**audio("a.wav"), "t.txt": "a:x\n"})
    read = Read(tmp_path, "t.txt")
    assert list(read.corpus.utterances()) == read.all
    source = pickle.loads(pickle.dumps(read.corpus.source))
    with source.open(read.all[0].audio) as opened:
        assert opened.read() == (tmp_path / "a.wav").read_bytes()
