"""Whatever transcripts hold, it ends in utterances, in rejections, or in one sentence."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from corpus_helpers import audio, build
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.build.plan import plan
from pipeline.config import CorpusSettings, LimitSettings
from pipeline.corpus import open_corpus
from pipeline.corpus.registry import FORMATS
from pipeline.errors import UsageError
from pipeline.utterance import Reason, Rejection, Utterance

HUGE = "1" + "0" * 400
NESTED = "[" * 100_000
RECORDING = {
    "id": "r",
    "sources": [{"type": "file", "channels": [0], "source": "a.wav"}],
    "duration": 10.0,
    "num_samples": 160000,
}
SUPERVISION = {"id": "s", "recording_id": "r", "start": 0, "duration": 1, "channel": 0, "text": "good"}


def read(root: Path, text: str | None = None, **keys: Any) -> list[Utterance | Rejection]:
    """Every entry, after all of them went through the plan, which writes them to Parquet."""
    corpus = open_corpus(
        CorpusSettings(audio=str(root), text=None if text is None else str(root / text), **keys)
    )
    entries = list(corpus.utterances())
    if entries:
        folder = Path(tempfile.mkdtemp(dir=root.parent))
        manifest, _ = plan(corpus, folder, limits=LimitSettings(), shard_size=100)
        assert manifest.rows == len(entries)
    for each in entries:
        assert isinstance(each, Utterance | Rejection)
        assert isinstance(each, Utterance) or (each.reason in Reason and "\n" not in each.id)
    return entries


def one_sentence(error: UsageError) -> None:
    assert "\n" not in str(error)
    assert len(str(error)) < 2000


@dataclass
class Case:
    """A manifest and what becomes of it: texts and reasons in order, or words of the one sentence."""

    name: str
    file: str
    content: str | bytes
    outcome: list[str] | str
    keys: Mapping[str, Any] = field(default_factory=dict)


def cut(**changes: object) -> str:
    """One lhotse cut; `supervision`, `recording` and `cut` change what is in them."""
    of: dict[str, Any] = {key: changes.pop(key, {}) for key in ("supervision", "recording")}
    row = {
        "id": "c",
        "start": 0,
        "duration": 10,
        "type": "MonoCut",
        "recording": {**RECORDING, **of["recording"]},
        "supervisions": [{**SUPERVISION, **of["supervision"]}],
    }
    return json.dumps({**row, **changes}) + "\n"


def entry(**changes: object) -> str:
    return json.dumps({"audio": "a", "text": "good", **changes}) + "\n"


BAD = "malformed_transcript"
CUTS = [
    Case("speaker is a number", "cuts.jsonl", cut(supervision={"speaker": 7}), ["good"]),
    Case("speaker is a list", "cuts.jsonl", cut(supervision={"speaker": ["x"]}), ["good"]),
    Case("speaker is an object", "cuts.jsonl", cut(supervision={"speaker": {"a": 1}}), ["good"]),
    Case("language is a number", "cuts.jsonl", cut(supervision={"language": 1.5}), ["good"]),
    Case("language is a list", "cuts.jsonl", cut(supervision={"language": ["en"]}), ["good"]),
    Case("channel is a text", "cuts.jsonl", cut(supervision={"channel": "left"}), [BAD]),
    Case("channel is a list of lists", "cuts.jsonl", cut(supervision={"channel": [[0]]}), [BAD]),
    Case("channel is an object", "cuts.jsonl", cut(supervision={"channel": {}}), [BAD]),
    Case("channel is null", "cuts.jsonl", cut(supervision={"channel": None}), [BAD]),
    Case("text is a number", "cuts.jsonl", cut(supervision={"text": 5}), [BAD]),
    Case("text is a list", "cuts.jsonl", cut(supervision={"text": ["good"]}), [BAD]),
    Case("text is null", "cuts.jsonl", cut(supervision={"text": None}), [""]),
    Case("id is a list", "cuts.jsonl", cut(supervision={"id": []}), [BAD]),
    Case("supervision is a text", "cuts.jsonl", cut(supervisions=["x"]), [BAD]),
    Case("supervisions is an object", "cuts.jsonl", cut(type="MixedCut", supervisions={}), [BAD]),
    Case("start is a text", "cuts.jsonl", cut(supervision={"start": "soon"}), [BAD]),
    Case("start has 401 digits", "cuts.jsonl", cut().replace('"start": 0', f'"start": {HUGE}'), [BAD]),
    Case("duration is 1e308", "cuts.jsonl", cut(supervision={"duration": 1e308}), [BAD]),
    Case("duration is infinite", "cuts.jsonl", cut(supervision={"duration": float("inf")}), [BAD]),
    Case("duration is NaN", "cuts.jsonl", cut(supervision={"duration": float("nan")}), [BAD]),
    Case("the cut's start is a list", "cuts.jsonl", cut(start=[1]), [BAD]),
    Case("recording has no duration", "cuts.jsonl", cut(recording={"duration": None}), [BAD]),
    Case(
        "recording is a text", "cuts.jsonl", cut(recording_=1, type="MonoCut").replace("{", "{", 1), ["good"]
    ),
    Case("sources is a text", "cuts.jsonl", cut(recording={"sources": "a.wav"}), [BAD]),
    Case("a source is a number", "cuts.jsonl", cut(recording={"sources": [1]}), [BAD]),
    Case("a source is a list", "cuts.jsonl", cut(recording={"sources": [["a.wav"]]}), [BAD]),
    Case("a source has no name", "cuts.jsonl", cut(recording={"sources": [{"type": "file"}]}), [BAD]),
    Case("a source's type is a list", "cuts.jsonl", cut(recording={"sources": [{"type": []}]}), [BAD]),
    Case("the recording's id is a list", "cuts.jsonl", cut(recording={"id": [1], "sources": 1}), [BAD]),
]
LINES = [
    Case("times of 401 digits", "t.jsonl", entry().replace("}", f', "offset": {HUGE}}}'), [BAD]),
    Case("times of 1e308", "t.jsonl", entry(offset=1e308, duration=1e308), [BAD]),
    Case(
        "a start of 5,000 digits",
        "t.jsonl",
        entry().replace("}", f', "start": {"9" * 5000}}}'),
        [BAD],
        {"transcripts": "jsonl"},
    ),
    Case("an end of 1e300", "t.jsonl", entry(start=0, end=1e300), [BAD]),
    Case("a NUL in the path", "t.jsonl", entry(audio="a\0b.wav"), ["missing_audio"]),
    Case("a NUL in the text", "t.jsonl", entry(text="go\0od"), ["go\0od"]),
    Case("a NUL in the id", "t.jsonl", entry(id="\0"), ["good"]),
    Case("half a character in the id", "t.jsonl", entry(id="\ud800"), [BAD]),
    Case("half a character in the path", "t.jsonl", entry(audio="\udfff.wav"), [BAD]),
    Case(
        "half a character in a key",
        "t.jsonl",
        '{"\\ud800": 1}\n' + entry(),
        [BAD, "good"],
        {"transcripts": "jsonl"},
    ),
    Case("a name of 300 bytes", "t.jsonl", entry(audio="x" * 300 + ".wav"), ["missing_audio"]),
    Case("a path of 300-byte folders", "t.jsonl", entry(audio=f"/{'x' * 300}/a.wav"), ["missing_audio"]),
    Case("a path of 20,000 bytes", "t.jsonl", entry(audio="d/" * 10_000 + "b.wav"), ["missing_audio"]),
    Case("many steps up", "t.jsonl", entry(audio="../" * 9000 + "etc/passwd"), ["missing_audio"]),
    Case("a URL", "t.jsonl", entry(audio="http://127.0.0.1:9/a.wav"), ["outside_corpus"]),
    Case(
        "a chained URL", "t.jsonl", entry(audio="zip://a.wav::http://127.0.0.1:9/x.zip"), ["outside_corpus"]
    ),
    Case("a local URL", "t.jsonl", entry(audio="file:///etc/hostname"), ["outside_corpus"]),
    Case("speaker is a list", "t.jsonl", entry(speaker=["x"]), ["good"]),
    Case("language is an object", "t.jsonl", entry(language={}), ["good"]),
    Case("audio is a list", "t.jsonl", entry(audio=[]), [BAD]),
    Case("audio is an object of lists", "t.jsonl", entry(audio={"path": [1]}), [BAD]),
    Case(
        "a key that is very long", "t.jsonl", '{"%s": 1}' % ("k" * 100_000), [BAD], {"transcripts": "jsonl"}
    ),
    Case("nesting", "t.jsonl", f"{entry()}{NESTED}\n", ["good", BAD], {"transcripts": "jsonl"}),
    Case("an array of arrays", "t.jsonl", f"{entry()}[[]]\n", ["good", BAD], {"transcripts": "jsonl"}),
    Case("a number", "t.jsonl", f"{entry()}1\n", ["good", BAD], {"transcripts": "jsonl"}),
    Case("a line of 5 MB", "t.txt", f"a:{'x' * 5_000_000}\na:good\n", [BAD, "good"]),
    Case("a first line of 200,000 characters", "t.csv", f"path,text,{'x' * 200_000}\na,good,\n", ["good"]),
    Case("CR ends", "t.csv", "path,text\ra,good\ra,more\r", ["good", "more"]),
    Case("CR ends of columns", "t.txt", "a:good\ra:more\r", ["good", "more"]),
    Case("a header alone", "t.csv", "path,text\n", []),
    Case("a header of one name twice", "t.csv", "path,text,text\na,good,worse\n", ["worse"]),
    Case("quotation marks only", "t.csv", 'path,text\n"""""""\n', [BAD]),
    Case("an empty file", "t.jsonl", "", "no transcripts were recognised"),
    Case("an empty file, named", "t.jsonl", "", [], {"transcripts": "jsonl"}),
    Case("zeros", "t.txt", b"\0" * 4096, "no transcripts were recognised"),
    Case("gzip that is none", "t.jsonl.gz", b"a:good\n", "cannot read the transcripts"),
    Case(
        "gzip that ends early",
        "t.txt.gz",
        gzip.compress(b"a:good\n" * 9000)[:60],
        "cannot read the transcripts",
    ),
    Case(
        "gzip of damaged blocks",
        "t.txt.gz",
        gzip.compress(b"a:good\n" * 99)[:12] + b"\xff" * 99,
        "cannot read",
    ),
    Case("UTF-16 cut within a character", "t.txt", "a:good\na:x".encode("utf-16")[:-1], ["good", "", BAD]),
    Case(
        "UTF-16 with half a pair", "t.txt", b"\xff\xfea\0:\0\x00\xd8\n\0", [BAD], {"transcripts": "columns"}
    ),
    Case("an encoding that is none", "t.txt", "a:good", "is no encoding", {"encoding": "klingon"}),
    Case("an encoding that makes no text", "t.txt", "a:good", "is no encoding", {"encoding": "base64"}),
    Case("a language that is none", "t.txt", "a:good", ["good"], {"language": "\u202e"}),
]
TIMED = [
    Case("a cue of endless hours", "a.srt", f"1\n{HUGE}:00:01,0 --> {HUGE}:00:02,0\nx\n", [BAD]),
    Case("a segment of 401 digits", "a.json", f'[{{"start": 0, "end": {HUGE}, "text": "x"}}]', [BAD]),
    Case(
        "offsets of 401 digits",
        "a.json",
        json.dumps([{"text": "x", "offsets": {"from": 0, "to": int(HUGE)}}]),
        [BAD],
    ),
    Case("segments that are numbers", "a.json", '{"segments": [1]}', [BAD], {"transcripts": "segments"}),
    Case(
        "a language that is a list",
        "a.json",
        '{"language": [], "segments": []}',
        [],
        {"transcripts": "segments"},
    ),
]


@pytest.mark.parametrize("case", [*CUTS, *LINES, *TIMED], ids=lambda case: f"{case.file}: {case.name}")
def test_a_hostile_manifest_ends_as_it_should(case: Case, tmp_path: Path) -> None:
    root = build(tmp_path / "corpus", {**audio("a.wav"), case.file: case.content})
    if isinstance(case.outcome, str):
        with pytest.raises(UsageError, match=case.outcome) as error:
            read(root, case.file, **case.keys)
        assert "\n" not in str(error.value)
    else:
        found = read(root, case.file, **case.keys)
        assert [
            each.text if isinstance(each, Utterance) else str(each.reason) for each in found
        ] == case.outcome


KALDI = [
    ("a NUL in a name", {"text": "u x\n", "wav.scp": "u a\0.wav\n"}, ["missing_audio"]),
    ("endless times", {"text": "u x\n", "wav.scp": "r a.wav\n", "segments": "u r 0 1e308\n"}, [BAD]),
    ("times of 401 digits", {"text": "u x\n", "wav.scp": "r a.wav\n", "segments": f"u r {HUGE} -1\n"}, [BAD]),
    ("times that are NaN", {"text": "u x\n", "wav.scp": "r a.wav\n", "segments": "u r nan nan\n"}, [BAD]),
    ("a URL", {"text": "u x\n", "wav.scp": "u http://127.0.0.1:9/a.wav\n"}, ["outside_corpus"]),
    ("keys alone", {"text": "u\n", "wav.scp": "u\n"}, [BAD, "missing_audio"]),
]


@pytest.mark.parametrize(("name", "files", "outcome"), KALDI, ids=[name for name, *_ in KALDI])
def test_a_hostile_kaldi_folder_ends_as_it_should(
    name: str, files: dict[str, str], outcome: list[str], tmp_path: Path
) -> None:
    root = build(tmp_path / "corpus", {**audio("a.wav"), **files})
    assert [each.text if isinstance(each, Utterance) else each.reason for each in read(root)] == outcome


def test_only_kaldi_s_wav_scp_leads_out_of_the_corpus(tmp_path: Path) -> None:
    build(tmp_path, audio("elsewhere/b.wav", "corpus/a.wav"))
    path = f"{tmp_path}/elsewhere/b.wav"
    root = build(tmp_path / "corpus", {"t.jsonl": entry(audio=path) + entry(audio="../elsewhere/b.wav")})
    assert [each.reason for each in read(root, "t.jsonl")] == [Reason.OUTSIDE_CORPUS] * 2
    assert [each.audio for each in read(root, "t.jsonl", allow_remote=True)] == [path] * 2
    build(root, {"data/wav.scp": f"u {path}\n", "data/text": "u x\n"})
    assert [each.audio for each in read(root, "data")] == [path]


def test_urls_are_fetched_by_permission_alone(tmp_path: Path, make_clip: Callable[..., Path]) -> None:
    clip = make_clip("b.wav", folder=tmp_path / "elsewhere")
    with zipfile.ZipFile(tmp_path / "elsewhere/b.zip", "w") as archive:
        archive.write(clip, "b.wav")
    urls = [f"file://{clip}", f"zip://b.wav::file://{tmp_path}/elsewhere/b.zip", "klingon://x/b.wav"]
    root = build(
        tmp_path / "corpus", {**audio("a.wav"), "t.jsonl": "".join(entry(audio=url) for url in urls)}
    )
    assert [each.reason for each in read(root, "t.jsonl")] == [Reason.OUTSIDE_CORPUS] * 3
    settings = CorpusSettings(
        audio=str(root), text=str(root / "t.jsonl"), allow_remote=True, cache=str(tmp_path / "cache")
    )
    corpus = open_corpus(settings)
    manifest, _ = plan(corpus, tmp_path / "plan", limits=LimitSettings(), shard_size=9)
    assert [row.reason for row in manifest.read_rows()] == [None, None, Reason.MISSING_AUDIO]
    for url in urls[:2]:
        with corpus.source.open(url) as opened:
            assert opened.read() == clip.read_bytes()


def members(*infos: tuple[tarfile.TarInfo, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for info, content in infos:
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return packed.getvalue()


def member(name: str, **headers: str) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.pax_headers = headers
    return info


def with_size(packed: bytes, field: bytes) -> bytes:
    """The tar with another size in its first header, the checksum made right."""
    header = bytearray(packed[:512])
    header[124:136] = field
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header) + packed[512:]


PLAIN = members((member("a.txt"), b"good"), (member("a.wav"), b"x"))
TARS = {
    "pax sparse": members((member("a.wav", **{"GNU.sparse.size": "5", "GNU.sparse.map": "0,5"}), b"hello")),
    "pax sparse of a bad map": members((member("a.wav", **{"GNU.sparse.map": "x,y,z"}), b"hello")),
    "pax size of 30 digits": members((member("a.wav", size="9" * 30), b"hello")),
    "pax size below zero": members((member("a.wav", size="-5120"), b"hello")),
    "pax size that is a word": members((member("a.wav", size="big"), b"hello")),
    "base-256 size of 2**88": with_size(PLAIN, b"\x80" + b"\xff" * 11),
    "base-256 size below zero": with_size(PLAIN, b"\xff" * 11 + b"\x00"),
    "octal size that is a word": with_size(PLAIN, b"hello world\0"),
    "a name that is not UTF-8": PLAIN.replace(b"a.wav", b"\xe9.wav"),
    "zeros": b"\0" * 10240,
    "noise": bytes(range(256)) * 40,
}


@pytest.mark.parametrize("name", TARS)
def test_a_hostile_tar_ends_in_rejections_or_one_sentence(name: str, tmp_path: Path) -> None:
    root = build(tmp_path / "corpus", {"0.tar": TARS[name], "1.tar": PLAIN})
    found = read(root, transcripts="webdataset")
    assert found[-1].id == "1/a"
    assert all(isinstance(each, Rejection) for each in found[:-1] if each.id != "0/a")


BYTES = pa.array([b"x", b"y"])
NOT_UTF_8 = pa.Array.from_buffers(pa.string(), 2, pa.array(["ab", "good"]).buffers())
TABLES = {
    "text is not UTF-8": {"audio": BYTES, "text": pa.array([b"\xff", b"good"]).cast(pa.binary())},
    "text is a list": {"audio": BYTES, "text": pa.array([["x"], ["y"]])},
    "text is an object": {"audio": BYTES, "text": pa.array([{"a": 1}, {"a": 2}])},
    "text is a number": {"audio": BYTES, "text": pa.array([1, 2])},
    "text is a dictionary": {"audio": BYTES, "text": pa.array(["good", "good"]).dictionary_encode()},
    "text is large": {"audio": BYTES, "text": pa.array(["good", "good"], pa.large_string())},
    "text is null": {"audio": BYTES, "text": pa.nulls(2)},
    "speaker is a date": {
        "audio": BYTES,
        "text": pa.array(["good"] * 2),
        "speaker": pa.array([2**60, 1], pa.timestamp("us")),
    },
    "speaker is a map": {
        "audio": BYTES,
        "text": pa.array(["good"] * 2),
        "speaker": pa.array([[("a", 1)], []], pa.map_(pa.string(), pa.int8())),
    },
    "id is a duration": {
        "audio": BYTES,
        "text": pa.array(["good"] * 2),
        "id": pa.array([1, 2], pa.duration("ns")),
    },
    "audio is of fixed size": {"audio": BYTES.cast(pa.binary(1)), "text": pa.array(["good"] * 2)},
    "audio has bytes that are numbers": {
        "audio": pa.array([{"bytes": 1, "path": 2}] * 2),
        "text": pa.array(["good"] * 2),
    },
    "audio has a path to elsewhere": {
        "audio": pa.array([{"bytes": None, "path": "/etc/hostname"}, {"bytes": b"", "path": "../x"}]),
        "text": pa.array(["good"] * 2),
    },
    "no rows": {"audio": BYTES[:0], "text": pa.array([], pa.string())},
}


@pytest.mark.parametrize("name", TABLES)
def test_a_hostile_table_ends_in_rejections_or_one_sentence(name: str, tmp_path: Path) -> None:
    root = build(tmp_path / "corpus", {})
    root.mkdir()
    pq.write_table(pa.table(TABLES[name]), root / "t.parquet")
    try:
        found = read(root, transcripts="parquet")
    except UsageError as error:
        one_sentence(error)
    else:
        assert len(found) == len(TABLES[name]["text"])


def test_a_row_that_names_a_file_elsewhere_is_rejected_so(tmp_path: Path) -> None:
    root = tmp_path / "corpus"
    root.mkdir()
    pq.write_table(pa.table(TABLES["audio has a path to elsewhere"]), root / "t.parquet")
    corpus = open_corpus(CorpusSettings(audio=str(root)))
    _, summary = plan(corpus, tmp_path / "plan", limits=LimitSettings(), shard_size=9)
    assert dict(summary.reasons) == {Reason.OUTSIDE_CORPUS: 2}


def test_text_files_with_names_that_are_not_unicode_are_rejected(tmp_path: Path) -> None:
    root = build(tmp_path / "corpus", {**audio("a.wav"), "a.txt": "good"})
    with open(bytes(root) + b"/caf\xe9.txt", "w") as file:  # noqa: PTH123
        file.write("text")
    found = read(root)
    assert [each.text for each in found if isinstance(each, Utterance)] == ["good"]
    assert [each.id for each in found if isinstance(each, Rejection)] == ["caf\\udce9.txt:1"]


fuzz = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
WORDS = """a a.wav text path audio start end id : | , ; " { } [ ] 1 -1 1e999 null WEBVTT segments u r xmin < >
00:00:01.000 --> 00:00:02.000 supervisions"""
ODD = (b" ", b"\n", b"\r", b"\t", b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"\xe9", b"\x82\xa0")
words = st.sampled_from([*(word.encode() for word in WORDS.split()), *ODD])
content = st.binary(max_size=200) | st.lists(words, max_size=40).map(b"".join)
FILE_OF = {"kaldi": "text", "tree": "transcript_utf8.txt", "sidecar": "a.txt", "lhotse": "cuts.jsonl"}
FILE_OF |= {"segments": "a.json", "webdataset": "t.tar", "parquet": "t.parquet", "columns": "a.txt"}


@pytest.mark.parametrize("form", ["auto", *(name for name in FORMATS if name != "huggingface")])
@given(raw=content)
@fuzz
def test_any_bytes_give_utterances_rejections_or_one_sentence(
    form: str, raw: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    name = FILE_OF.get(form, "metadata.csv")
    root = build(tmp_path_factory.mktemp("c") / "corpus", {**audio("a.wav"), name: raw, "wav.scp": raw})
    try:
        read(
            root,
            None if form in {"webdataset", "parquet", "sidecar", "tree", "kaldi"} else name,
            transcripts=form,
        )
    except UsageError as error:
        one_sentence(error)


GRID = b'"ooTextFile" "TextGrid" 0 2 <exists> 1 "IntervalTier" "a" 0 2 2 0 1 "good" 1 2 "b"'


@pytest.mark.parametrize("ending", ["json", "srt", "vtt", "tsv", "txt", "TextGrid", "eaf"])
@given(raw=content | st.integers(0, len(GRID)).map(lambda cut: GRID[:cut]))
@fuzz
def test_any_bytes_with_times_give_utterances_rejections_or_one_sentence(
    ending: str, raw: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = build(tmp_path_factory.mktemp("c") / "corpus", {**audio("a.wav"), f"a.{ending}": raw})
    try:
        read(root, f"a.{ending}", transcripts="segments")
    except UsageError as error:
        one_sentence(error)
