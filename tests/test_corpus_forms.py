"""Each form of corpus is recognised by itself and read as its makers lay it out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from corpus_helpers import Read, audio, build

from pipeline.config import CorpusSettings
from pipeline.corpus import open_corpus
from pipeline.corpus.registry import CHOICES
from pipeline.errors import UsageError
from pipeline.utterance import Reason, Utterance

SAMPLE = Path(__file__).parents[1] / "data/sample"


def test_the_sample_corpus_is_read_whole() -> None:
    corpus = open_corpus(
        CorpusSettings(audio=str(SAMPLE / "audio"), text=str(SAMPLE / "transcripts.txt"), language="en")
    )
    read = list(corpus.utterances())
    assert len(read) == 64
    assert all(isinstance(each, Utterance) and each.language == "en" for each in read)
    assert list(corpus.audio_without_text()) == []


@pytest.mark.parametrize("separator", [":", "\t", "|", " "])
def test_a_columns_file_is_read_whatever_its_separator(tmp_path: Path, separator: str) -> None:
    text = f"a{separator}one: two | three\nb{separator}四\n"
    read = Read(build(tmp_path, {**audio("x/a.wav", "x/b.FLAC"), "text.txt": text}), "text.txt")
    assert read.kind == "columns"
    assert read.texts == {"a": "one: two | three", "b": "四"}
    assert read.files == {"a": "x/a.wav", "b": "x/b.FLAC"}


def test_columns_are_taken_by_their_indices_and_split_word(tmp_path: Path) -> None:
    build(tmp_path, {**audio("a.wav"), "text.txt": "1<>Jo<>a.wav<>hello<>there\n"})
    read = Read(tmp_path, "text.txt", split_word="<>", file_index=2, text_index=3)
    assert read.texts == {"a": "hello<>there"}


def test_a_text_column_before_the_file_column_is_read(tmp_path: Path) -> None:
    build(tmp_path, {**audio("a.wav"), "text.txt": "hello\ta.wav\n"})
    assert Read(tmp_path, "text.txt", file_index=1, text_index=0).texts == {"a": "hello"}


def test_ljspeech_takes_the_normalised_text_where_there_is_one(tmp_path: Path) -> None:
    metadata = 'L-1|in 1455, "so|in fourteen fifty-five, "so\nL-2|plain|\nL-3|only two\n'
    build(tmp_path, {**audio("wavs/L-1.wav", "wavs/L-2.wav", "wavs/L-3.wav"), "metadata.csv": metadata})
    read = Read(tmp_path)
    assert read.kind == "ljspeech"
    assert read.texts == {"L-1": 'in fourteen fifty-five, "so', "L-2": "plain", "L-3": "only two"}


def test_common_voice_is_read_with_its_stray_quotes(tmp_path: Path) -> None:
    table = 'client_id\tpath\tsentence\tlocale\nspk1\tcv_1.mp3\t"So he said\tja\nspk2\tcv_2.mp3\tb" c\tja\n'
    build(tmp_path, {**audio("clips/cv_1.mp3", "clips/cv_2.mp3"), "validated.tsv": table})
    read = Read(tmp_path, "validated.tsv")
    assert read.kind == "csv"
    assert read.texts == {"cv_1": '"So he said', "cv_2": 'b" c'}
    assert read.utterances["cv_1"].speaker == "spk1"
    assert read.utterances["cv_1"].language == "ja"


def test_csv_columns_of_other_names_are_given_by_settings(tmp_path: Path) -> None:
    build(tmp_path, {**audio("a.wav"), "t.csv": 'Nr,Datei,Wer,Was\n7,a,Jo,"x, ""y"""\n'})
    names = {"audio_column": "Datei", "text_column": "Was", "id_column": "Nr", "speaker_column": "Wer"}
    utterance = Read(tmp_path, "t.csv", **names).utterances["7"]
    assert (utterance.audio, utterance.text, utterance.speaker) == ("a.wav", 'x, "y"', "Jo")


def test_a_nemo_manifest_gives_times_and_ids_to_the_parts_of_a_recording(tmp_path: Path) -> None:
    rows = [
        {"audio_filepath": "wavs/talk.wav", "text": "one", "offset": 1.25, "duration": 2},
        {"audio_filepath": "/elsewhere/corpus/wavs/talk.wav", "text": "two", "offset": 4.0, "duration": 1.5},
        {"audio_filepath": "wavs/whole.wav", "text": "all", "duration": 3.2},
    ]
    manifest = "".join(json.dumps(row) + "\n" for row in rows)
    build(tmp_path, {**audio("wavs/talk.wav", "wavs/whole.wav"), "train.json": manifest})
    read = Read(tmp_path, "train.json")
    assert read.kind == "jsonl"
    assert read.texts == {
        "wavs/talk-00001250-00003250": "one",
        "wavs/talk-00004000-00005500": "two",
        "wavs/whole": "all",
    }
    assert (read.all[0].start, read.all[0].end) == (1.25, 3.25)
    assert (read.all[2].start, read.all[2].end) == (None, None)


def test_emilia_jsonl_gives_id_speaker_and_language(tmp_path: Path) -> None:
    row = {"id": "EN_B00000_S00000_W000000", "wav": "EN_B00000/mp3/EN_B00000_S00000_W000000.mp3"}
    row |= {"text": " Hi.", "duration": 4.5, "speaker": "EN_B00000_S00000", "language": "en", "dnsmos": 3.4}
    build(tmp_path, {**audio(row["wav"]), "EN_B00000.jsonl": json.dumps(row)})
    utterance = Read(tmp_path, "EN_B00000.jsonl").utterances[row["id"]]
    assert (utterance.text, utterance.speaker, utterance.language) == ("Hi.", "EN_B00000_S00000", "en")
    assert utterance.start is None


def test_kaldi_gives_segments_speakers_and_languages_and_runs_no_command(tmp_path: Path) -> None:
    flag = tmp_path / "ran"
    build(
        tmp_path,
        {
            **audio("wav/r1.wav", "wav/r2.wav"),
            "data/wav.scp": f"r1 wav/r1.wav\nr2 {tmp_path}/wav/r2.wav\nr3 touch {flag} |\n",
            "data/text": "u1 one\nu2 two words\nr2\twhole\nr3 made\nu4 gone\nu5 bad\n",
            "data/segments": "u1 r1 0.5 1.5\nu2 r1 2.0 -1\nu5 r1 3 2\n",
            "data/utt2spk": "u1 jo\n",
            "data/utt2lang": "u1 en\n",
        },
    )
    read = Read(tmp_path, "data")
    assert read.kind == "kaldi"
    assert read.texts == {"u1": "one", "u2": "two words", "r2": "whole"}
    first, second = read.utterances["u1"], read.utterances["u2"]
    assert (first.start, first.end, first.speaker, first.language) == (0.5, 1.5, "jo", "en")
    assert (second.audio, second.start, second.end) == ("wav/r1.wav", 2.0, None)
    assert read.reasons == {
        "text:4": Reason.MALFORMED_TRANSCRIPT,
        "u4": Reason.MISSING_AUDIO,
        "text:6": Reason.MALFORMED_TRANSCRIPT,
    }
    assert not flag.exists()


def test_a_file_of_a_usual_name_that_is_no_transcript_does_not_hide_the_sidecars(tmp_path: Path) -> None:
    build(tmp_path, {**audio("a.wav"), "a.txt": "one", "metadata.json": '{\n  "licence": 1\n}\n'})
    for form in ("auto", "sidecar"):
        read = Read(tmp_path, transcripts=form)
        assert (read.kind, read.texts) == ("sidecar", {"a": "one"})


def test_libritts_sidecars_give_the_normalised_text_and_the_speaker(tmp_path: Path) -> None:
    name = "84/121123/84_121123_000007_000001"
    build(
        tmp_path,
        {
            **audio(f"{name}.wav", "84/121123/alone.wav"),
            f"{name}.normalized.txt": "Mister Go\n",
            f"{name}.original.txt": "Mr. Go\n",
            "84/121123/84_121123_000008_000000.normalized.txt": "no audio",
            "README.txt": "About the corpus",
        },
    )
    read = Read(tmp_path)
    assert read.kind == "sidecar"
    assert read.texts == {name: "Mister Go"}
    assert read.utterances[name].speaker == "84"
    assert read.reasons == {"84/121123/84_121123_000008_000000": Reason.MISSING_AUDIO}
    assert read.without_text == ["84/121123/alone.wav"]


def test_sidecars_may_lie_in_a_tree_of_their_own(tmp_path: Path) -> None:
    files = {**audio("wav/p225/p225_001.flac"), "txt/p225/p225_001.txt": "Please call\nStella.\n"}
    build(tmp_path, files)
    settings = CorpusSettings(audio=str(tmp_path / "wav"), text=str(tmp_path / "txt"))
    (utterance,) = open_corpus(settings).utterances()
    assert utterance == Utterance("p225/p225_001", "p225/p225_001.flac", "Please call Stella.", "p225")


def test_a_sidecar_is_never_paired_with_audio_of_another_folder(tmp_path: Path) -> None:
    build(tmp_path, {**audio("a/1.wav", "b/2.wav"), "a/1.lab": "one", "a/2.lab": "not that of b"})
    read = Read(tmp_path)
    assert read.texts == {"a/1": "one"}
    assert read.reasons == {"a/2": Reason.MISSING_AUDIO}


def test_labels_with_times_are_not_taken_for_text(tmp_path: Path) -> None:
    build(tmp_path, {**audio("1.wav", "2.wav"), "1.lab": "0 50000 sil\n50000 90000 a\n", "2.lab": "3 cats"})
    read = Read(tmp_path)
    assert read.texts == {"2": "3 cats"}
    assert read.reasons == {"1.lab:1": Reason.MALFORMED_TRANSCRIPT}


def test_emilia_json_beside_each_mp3_is_read(tmp_path: Path) -> None:
    row = {"id": "x", "wav": "elsewhere.mp3", "text": "Hi", "speaker": "s", "language": "de"}
    build(tmp_path, {**audio("E/1.mp3"), "E/1.json": json.dumps(row), "E/2.json": "{"})
    read = Read(tmp_path)
    assert read.all[0] == Utterance("E/1", "E/1.mp3", "Hi", "s", "de")
    assert read.reasons == {"E/2.json:1": Reason.MALFORMED_TRANSCRIPT}


def test_jvs_names_repeat_between_speakers_and_its_gaps_stay_gaps(tmp_path: Path) -> None:
    files = audio("jvs001/parallel100/wav24kHz16bit/V_001.wav", "jvs002/parallel100/wav24kHz16bit/V_001.wav")
    files |= audio("jvs002/parallel100/wav24kHz16bit/V_002.wav")
    files["jvs001/parallel100/transcripts_utf8.txt"] = "V_001:あ\nV_002:い\n"
    files["jvs002/parallel100/transcripts_utf8.txt"] = "V_001:う\nV_002:え\n"
    read = Read(build(tmp_path, files), language="ja")
    assert read.kind == "tree"
    assert read.texts == {
        "jvs001/parallel100/V_001": "あ",
        "jvs002/parallel100/V_001": "う",
        "jvs002/parallel100/V_002": "え",
    }
    assert read.utterances["jvs002/parallel100/V_001"].audio.startswith("jvs002/")
    assert read.utterances["jvs002/parallel100/V_001"].speaker == "jvs002"
    assert read.reasons == {"jvs001/parallel100/V_002": Reason.MISSING_AUDIO}


def test_librispeech_is_read(tmp_path: Path) -> None:
    files = {**audio("84/1/84-1-0000.flac", "84/1/84-1-0001.flac")}
    read = Read(build(tmp_path, files | {"84/1/84-1.trans.txt": "84-1-0000 GO DO\n84-1-0001 YOU HEAR\n"}))
    assert read.texts == {"84/1/84-1-0000": "GO DO", "84/1/84-1-0001": "YOU HEAR"}
    assert read.all[0].speaker == "84"


def test_an_unknown_corpus_is_an_error_that_names_what_was_looked_for(tmp_path: Path) -> None:
    build(tmp_path, {**audio("a.wav"), "notes.txt": "some prose\nabout the recordings\n"})
    with pytest.raises(UsageError, match=r"notes\.txt.*looked for.*ljspeech.*--transcripts"):
        Read(tmp_path, "notes.txt")
    with pytest.raises(UsageError, match=f"none of {', '.join(CHOICES)}"):
        Read(tmp_path, "notes.txt", transcripts="lj")


@pytest.mark.parametrize("form", [each for each in CHOICES if each not in {"auto", "huggingface"}])
def test_a_form_that_is_asked_for_and_not_there_is_an_error(tmp_path: Path, form: str) -> None:
    if form == "sidecar":
        build(tmp_path, {**audio("a.wav"), "t.txt": "prose"})
        text: str | None = "t.txt"
    else:
        build(tmp_path, audio("a.wav"))
        text = None
    with pytest.raises(UsageError):
        Read(tmp_path, text, transcripts=form)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, "no audio: give a folder"),
        ({"audio": "/does/not/exist"}, "there is no audio folder /does/not/exist"),
        ({"audio": ".", "text": "/does/not/exist"}, "no transcript file or folder /does/not/exist"),
        ({"audio": ".", "transcripts": "columns", "text": __file__, "text_index": 0}, "are both 0"),
    ],
)
def test_bad_settings_are_one_sentence(
    settings: dict[str, str], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(build(tmp_path, audio("a.wav")))
    with pytest.raises(UsageError, match=words):
        open_corpus(CorpusSettings.model_validate(settings))


def test_a_folder_without_audio_is_an_error(tmp_path: Path) -> None:
    build(tmp_path, {"a.wav": "", "t.txt": "a:x"})
    with pytest.raises(UsageError, match=r"has the ending \.ogg; give"):
        Read(tmp_path, "t.txt", ext=".ogg", transcripts="auto")
