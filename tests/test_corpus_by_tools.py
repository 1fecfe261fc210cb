"""Transcripts as the tools themselves write them: each package makes the corpus that is read."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import numpy as np
import pytest
import soundfile
from corpus_helpers import Read, audio, build

from pipeline.errors import UsageError

CUES = [(0.5, 1.75, "Hello there."), (2.0, 3.25, "naïve „quotes“, 日本語")]  # start, end, text
PLAIN = [("a.wav", "Über den Fluss."), ("b.wav", "Größe, „Zitat“ und Maß.")]  # file, text


def cues(read: Read) -> list[tuple[float | None, float | None, str]]:
    return [(each.start, each.end, each.text) for each in read.utterances.values()]


@pytest.fixture
def clip() -> bytes:
    """A WAV file of four seconds."""
    file = io.BytesIO()
    soundfile.write(file, np.zeros(4 * 16_000, np.float32), 16_000, format="WAV")
    return file.getvalue()


@pytest.mark.parametrize("form", ["short_textgrid", "long_textgrid"])
def test_text_grids_of_praatio(tmp_path: Path, form: str) -> None:
    praatio = pytest.importorskip("praatio.textgrid")
    grid = praatio.Textgrid()
    for name, cue in zip(("Anna", "Jo"), CUES, strict=True):
        grid.addTier(praatio.IntervalTier(name, [cue], 0, 4))
    grid.save(str(tmp_path / "talk.TextGrid"), form, includeBlankSpaces=True)
    read = Read(build(tmp_path, audio("talk.wav")))
    assert cues(read) == CUES
    assert [each.speaker for each in read.utterances.values()] == ["Anna", "Jo"]
    assert read.rejections == {}


def test_annotations_of_elan_by_pympi(tmp_path: Path) -> None:
    elan = pytest.importorskip("pympi.Elan")
    eaf = elan.Eaf(author="someone")
    eaf.add_linked_file(str(tmp_path / "talk.wav"), mimetype="audio/x-wav")
    eaf.add_tier("Anna", part="Anna")
    for start, end, text in CUES:
        eaf.add_annotation("Anna", round(start * 1000), round(end * 1000), text)
    eaf.remove_tier("default")
    eaf.to_file(str(tmp_path / "talk.eaf"))
    read = Read(build(tmp_path, audio("talk.wav")))
    assert cues(read) == CUES
    assert {each.speaker for each in read.utterances.values()} == {"Anna"}
    assert read.rejections == {}


@pytest.mark.parametrize("form", ["tsv", "srt", "vtt", "json"])
def test_transcripts_of_whisper(tmp_path: Path, form: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        utils = pytest.importorskip("whisper.utils")
    segments = [{"id": i, "start": a, "end": b, "text": f" {text}"} for i, (a, b, text) in enumerate(CUES)]
    heard = {"text": " ".join(text for *_, text in CUES), "segments": segments, "language": "en"}
    build(tmp_path, audio("talk.mp3"))
    utils.get_writer(form, str(tmp_path))(heard, str(tmp_path / "talk.mp3"))
    read = Read(tmp_path)
    assert cues(read) == CUES
    assert read.rejections == {}


@pytest.mark.parametrize("name", ["cuts.jsonl.gz", "cuts.jsonl"])
def test_cuts_of_lhotse(tmp_path: Path, clip: bytes, name: str) -> None:
    lhotse = pytest.importorskip("lhotse")
    build(tmp_path, {"talk.wav": clip})
    recording = lhotse.Recording.from_file(tmp_path / "talk.wav")
    supervisions = [
        lhotse.SupervisionSegment(f"s{i}", recording.id, a, b - a, text=text, speaker="Anna", language="en")
        for i, (a, b, text) in enumerate(CUES)
    ]
    cut = recording.to_cut()
    cut.supervisions = supervisions
    lhotse.CutSet.from_cuts([cut]).to_file(tmp_path / name)
    read = Read(tmp_path, name)
    assert cues(read) == CUES
    assert [(each.id, each.speaker, each.language) for each in read.utterances.values()] == [
        ("s0", "Anna", "en"),
        ("s1", "Anna", "en"),
    ]


def test_a_kaldi_folder_of_lhotse(tmp_path: Path, clip: bytes) -> None:
    lhotse = pytest.importorskip("lhotse")
    from lhotse.kaldi import export_to_kaldi

    build(tmp_path, {"talk.wav": clip})
    recording = lhotse.Recording.from_file(tmp_path / "talk.wav")
    supervisions = [
        lhotse.SupervisionSegment(f"Anna-s{i}", recording.id, a, b - a, text=text, speaker="Anna")
        for i, (a, b, text) in enumerate(CUES)
    ]
    recordings = lhotse.RecordingSet.from_recordings([recording])
    export_to_kaldi(recordings, lhotse.SupervisionSet.from_segments(supervisions), tmp_path / "kaldi")
    read = Read(tmp_path, "kaldi")
    assert (read.kind, cues(read)) == ("kaldi", CUES)
    assert {each.speaker for each in read.utterances.values()} == {"Anna"}


def test_tars_of_webdataset(tmp_path: Path, clip: bytes) -> None:
    webdataset = pytest.importorskip("webdataset")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        with webdataset.ShardWriter(str(tmp_path / "part-%03d.tar"), maxcount=1, verbose=0) as writer:
            for i, (*_, text) in enumerate(CUES):
                writer.write({"__key__": f"clip{i}", "wav": clip, "json": {"text": text, "speaker": "Anna"}})
    read = Read(tmp_path)
    assert read.kind == "webdataset"
    assert [(each.text, each.speaker) for each in read.utterances.values()] == [
        (text, "Anna") for *_, text in CUES
    ]


@pytest.mark.parametrize(
    "options",
    [
        {"sep": ",", "encoding": "utf-8"},
        {"sep": ",", "encoding": "utf-8-sig"},
        {"sep": ";", "encoding": "utf-8-sig"},
        {"sep": "\t", "encoding": "utf-16"},
        {"sep": ";", "encoding": "cp1252"},
        {"sep": ";", "encoding": "cp1252", "quoting": 1},
        {"sep": ",", "encoding": "utf-8", "lineterminator": "\r\n"},
    ],
    ids=lambda options: "-".join(map(repr, options.values())),
)
def test_tables_of_pandas_in_the_forms_that_excel_saves(tmp_path: Path, options: dict[str, str]) -> None:
    pandas = pytest.importorskip("pandas")
    ending = "txt" if options["sep"] == "\t" else "csv"
    table = pandas.DataFrame(PLAIN, columns=["Datei", "Satz"])
    table.to_csv(tmp_path / f"metadata.{ending}", index=False, **options)
    read = Read(build(tmp_path, audio("a.wav", "b.wav")), language="de")
    assert [(each.audio, each.text) for each in read.utterances.values()] == PLAIN
    assert read.rejections == {}


def test_a_workbook_of_excel_is_refused_with_what_to_do(tmp_path: Path) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for line in [("file", "text"), *PLAIN]:
        book.active.append(line)
    book.save(tmp_path / "metadata.xlsx")
    build(tmp_path, audio("a.wav", "b.wav"))
    with pytest.raises(UsageError, match=r"metadata\.xlsx.*CSV"):
        Read(tmp_path, "metadata.xlsx")
    with pytest.raises(UsageError, match=r"metadata\.xlsx.*CSV"):
        Read(tmp_path)


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_the_metadata_of_an_audiofolder_by_pandas(tmp_path: Path, ending: str) -> None:
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame(PLAIN, columns=["file_name", "transcription"])
    build(tmp_path, audio(*(f"train/{name}" for name, _ in PLAIN)))
    if ending == "csv":
        table.to_csv(tmp_path / "train/metadata.csv", index=False)
    else:
        table.to_json(tmp_path / "train/metadata.jsonl", orient="records", lines=True)
    read = Read(tmp_path)
    assert sorted(each.text for each in read.utterances.values()) == sorted(text for _, text in PLAIN)
