"""Corpora are read as they are downloaded and as tools write them, or the user is asked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from corpus_helpers import Read, audio, build

from pipeline.errors import UsageError
from pipeline.utterance import Reason, Utterance


def spoken(read: Read) -> list[tuple[str, str | None, str | None]]:
    """Text, speaker and language of each utterance, in order."""
    return [(each.text, each.speaker, each.language) for each in read.utterances.values()]


# Lists of voice trainers


@pytest.mark.parametrize("more", ["", "|_ a k t i v e _|0 1 1|2 3"])  # as Bert-VITS2 preprocesses them
def test_gpt_sovits_and_bert_vits2_lists_state_speaker_and_language(tmp_path: Path, more: str) -> None:
    rows = ["wavs/1.wav|Anna|FR|activé", "wavs/2.wav|Jo|JP|はい", "wavs/3.wav|Jo|ZH|你好: 再见"]
    build(
        tmp_path,
        {**audio("wavs/1.wav", "wavs/2.wav", "wavs/3.wav"), "esd.list": "\n".join(r + more for r in rows)},
    )
    read = Read(tmp_path)
    assert read.kind == "vits"
    assert spoken(read) == [("activé", "Anna", "fr"), ("はい", "Jo", "ja"), ("你好: 再见", "Jo", "zh")]


def test_vits_lists_state_the_speaker_second_and_style_tts2_s_last(tmp_path: Path) -> None:
    names = [f"p{speaker}_{i}" for speaker in (225, 226) for i in range(2)]
    files = audio(*(f"{name}.wav" for name in names))
    build(tmp_path, {**files, "vits.txt": "".join(f"{n}.wav|{n[1:4]}|Some words of {n}.\n" for n in names)})
    build(tmp_path, {"style.txt": "".join(f"{n}.wav|Some words of {n}.|{n[1:4]}\n" for n in names)})
    said = [(f"Some words of {name}.", name[1:4], None) for name in names]
    assert spoken(Read(tmp_path, "vits.txt")) == said
    assert spoken(Read(tmp_path, "style.txt")) == said


def test_tags_of_languages_around_a_text_are_no_text(tmp_path: Path) -> None:
    build(tmp_path, {**audio("a.wav", "b.wav"), "l.txt": "a.wav|0|[ZH]你好[ZH]\nb.wav|0|[JA]はい[JA]\n"})
    assert spoken(Read(tmp_path, "l.txt")) == [("你好", "0", "zh"), ("はい", "0", "ja")]


def test_where_columns_may_mean_two_things_rows_are_shown_and_the_form_is_asked_for(
    tmp_path: Path,
) -> None:
    rows = "a|Hello there.|həˈloʊ\nb|Good night.|ɡʊd naɪt\nc|Not shown.|x\nd|Not shown.|y\n"
    build(tmp_path, {**audio("a.wav", "b.wav"), "l.txt": rows})
    with pytest.raises(UsageError, match=r"Hello there.*Good night.*Not shown.*--transcripts") as error:
        Read(tmp_path, "l.txt")
    assert "y" not in str(error.value).partition("begins")[2].partition("and the first")[0]
    assert Read(tmp_path, "l.txt", split_word="|").texts["a"] == "Hello there.|həˈloʊ"  # the settings decide
    assert Read(tmp_path, "l.txt", transcripts="ljspeech").texts["a"] == "həˈloʊ"


def test_a_file_that_names_no_audio_is_shown_as_it_begins(tmp_path: Path) -> None:
    build(tmp_path, {**audio("a.wav"), "l.txt": "x: one\ny: two\nz: three\nw: four\n"})
    with pytest.raises(UsageError, match=r"x: one ⏎ y: two ⏎ z: three'") as error:
        Read(tmp_path, "l.txt")
    assert "four" not in str(error.value)
    assert Read(tmp_path, "l.txt", transcripts="columns").reasons["x"] == Reason.MISSING_AUDIO


# Public corpora by their root alone


def test_jsut_is_read_from_its_root_and_a_sub_corpus_alone(tmp_path: Path) -> None:
    root = tmp_path / "jsut_ver1.1"
    files = {
        "basic5000/recording_info.txt": "BASIC5000_0001,04/15/2017\n",
        "basic5000/memo.txt": "",
        "README_ja.txt": "内容",
    }
    for name, texts in {
        "basic5000": ["水をマレーシアから。", "木曜日: 停戦会談。"],
        "travel1000": ["あの、"],
    }.items():
        lines = [f"{name.upper()}_{number:04d}:{text}" for number, text in enumerate(texts, 1)]
        files |= audio(*(f"{name}/wav/{line.partition(':')[0]}.wav" for line in lines))
        files[f"{name}/transcript_utf8.txt"] = "".join(f"{line}\n" for line in lines)
    read = Read(build(root, files), language="ja")
    assert read.kind == "tree"
    assert read.texts == {
        "basic5000/BASIC5000_0001": "水をマレーシアから。",
        "basic5000/BASIC5000_0002": "木曜日: 停戦会談。",
        "travel1000/TRAVEL1000_0001": "あの、",
    }
    assert read.rejections == {}
    assert read.files["basic5000/BASIC5000_0001"] == "basic5000/wav/BASIC5000_0001.wav"
    assert {each.language for each in read.utterances.values()} == {"ja"}
    alone = Read(root / "basic5000", "transcript_utf8.txt")
    assert alone.texts == {"BASIC5000_0001": "水をマレーシアから。", "BASIC5000_0002": "木曜日: 停戦会談。"}


def test_aishell_3_is_characters_without_their_pinyin(tmp_path: Path) -> None:
    content = "SSB00050001.wav\t广 guang3 州 zhou1\nSSB00050002.wav\t儿 er2\nSSB00050003.wav\t坏 bad\n"
    content += "".join(f"SSB0006000{i}.wav\t女 nv3 大 da4\n" for i in range(9))
    names = [f"train/wav/SSB0005/SSB0005000{i}.wav" for i in (1, 2, 3)]
    build(
        tmp_path,
        {**audio(*names), "train/content.txt": content, "test/content.txt": "SSB00051.wav\t女 nv3\n"},
    )
    read = Read(tmp_path)
    assert read.kind == "tree"
    first = read.utterances["train/SSB00050001"]
    assert (first.text, first.speaker, first.language) == ("广州", "SSB0005", "zh")
    assert read.reasons["train/content.txt:3"] is Reason.MALFORMED_TRANSCRIPT


def test_aishell_1_is_read_from_its_root(tmp_path: Path) -> None:
    name = "BAC009S0002W0122"
    build(
        tmp_path / "data_aishell",
        {
            **audio(f"wav/train/S0002/{name}.wav"),
            "transcript/aishell_transcript_v0.8.txt": f"{name} 而 对 楼市\nBAC009S0764W0121 甚至\n",
        },
    )
    read = Read(tmp_path / "data_aishell")
    assert spoken(read) == [("而 对 楼市", "S0002", "zh")]
    assert list(read.reasons.values()) == [Reason.MISSING_AUDIO]


def test_common_voice_is_read_from_its_root_and_from_one_above_several_languages(tmp_path: Path) -> None:
    table = "client_id\tpath\tsentence\tlocale\nspk\tcommon_{}_1.mp3\tText {}.\t{}\n"
    for code in ("de", "ja"):
        files = {name: table.format(code, code, code) for name in ("validated.tsv", "train.tsv", "dev.tsv")}
        build(tmp_path / "cv" / code, {**audio(f"clips/common_{code}_1.mp3"), **files})
    assert spoken(Read(tmp_path / "cv/ja")) == [("Text ja.", "spk", "ja")]
    assert spoken(Read(tmp_path / "cv")) == [("Text de.", "spk", "de"), ("Text ja.", "spk", "ja")]


def test_vctk_takes_the_first_microphone_that_there_is(tmp_path: Path) -> None:
    tree = "wav48_silence_trimmed"
    files = audio(f"{tree}/p225/p225_001_mic1.flac", f"{tree}/p225/p225_001_mic2.flac")
    files |= audio(f"{tree}/p280/p280_001_mic2.flac", f"{tree}/s5/s5_001_mic1.flac", f"{tree}/log.txt")
    files |= {"txt/p225/p225_001.txt": "Please call.\n", "txt/p280/p280_001.txt": "Stella.\n"}
    files |= {"txt/p225/p225_002.txt": "Nobody.\n", "speaker-info.txt": "ID  AGE\n"}
    read = Read(build(tmp_path, files))
    assert read.kind == "vctk"
    assert [each.audio.rpartition("/")[2] for each in read.utterances.values()] == [
        "p225_001_mic1.flac",
        "p280_001_mic2.flac",
    ]
    assert spoken(read) == [("Please call.", "p225", "en"), ("Stella.", "p280", "en")]
    assert read.reasons == {"p225/p225_002": Reason.MISSING_AUDIO}


def test_m_ailabs_states_speaker_and_language_by_its_folders(tmp_path: Path) -> None:
    book = "de_DE/by_book/female/eva_k/kleine_lord"
    rows = "k_01|Um 9 Uhr kam er.|Um neun Uhr kam er.\nk_02|Und ging.|Und ging.\n"
    build(tmp_path, {**audio(f"{book}/wavs/k_01.wav", f"{book}/wavs/k_02.wav"), f"{book}/metadata.csv": rows})
    said = [("Um neun Uhr kam er.", "eva_k", "de"), ("Und ging.", "eva_k", "de")]
    assert spoken(Read(tmp_path)) == spoken(Read(tmp_path / "de_DE")) == said


def test_an_audiofolder_is_read_with_its_splits(tmp_path: Path) -> None:
    for split in ("train", "test"):
        files = {
            **audio("1.wav", "2.wav"),
            "metadata.csv": f"file_name,transcription\n1.wav,one {split}\n2.wav,two\n",
        }
        build(tmp_path / "set/data" / split, files)
    assert Read(tmp_path / "set/data/test").texts == {"1": "one test", "2": "two"}
    assert Read(tmp_path / "set").texts == {
        **{"data/test/1": "one test", "data/test/2": "two"},
        **{"data/train/1": "one train", "data/train/2": "two"},
    }


def test_nemo_manifests_are_read_from_the_root_alone(tmp_path: Path) -> None:
    def row(name: str) -> str:
        return (
            json.dumps({"audio_filepath": f"/elsewhere/set/wavs/{name}.wav", "text": name, "duration": 1.0})
            + "\n"
        )

    files = {"train_manifest.json": row("a") + row("b"), "dev_manifest.json": row("c")}
    build(tmp_path / "set", {**audio("wavs/a.wav", "wavs/b.wav", "wavs/c.wav"), **files})
    assert Read(tmp_path / "set").texts == {"wavs/a": "a", "wavs/b": "b", "wavs/c": "c"}


# Tables of any language and encoding


@pytest.mark.parametrize(
    ("encoding", "rows"),
    [
        ("cp1252", "Datei;Satz\na.wav;Schöne Grüße aus Österreich\nb.wav;Er läuft über die Brücke\n"),
        ("cp1252", "Fichier;Phrase\na.wav;L'été dernier, déjà\nb.wav;Ça va très bien, élève\n"),
        ("cp1250", "Plik;Zdanie\na.wav;Zażółć gęślą jaźń\nb.wav;Dzień dobry wam\n"),
        ("cp1251", "Файл;Текст\na.wav;Привет, как дела сегодня\nb.wav;Хорошая погода стоит\n"),
        ("cp932", "ファイル,文\na.wav,おはようございます。\nb.wav,今日はいい天気ですね\n"),
        ("gb18030", "文件,文本\na.wav,今天天气很好我们去公园\nb.wav,他们在中国生活了一年\n"),
        ("cp949", "파일,문장\na.wav,안녕하세요 반갑습니다\nb.wav,오늘은 날씨가 아주 좋다\n"),
        ("utf-16", "Datei\tSatz\na.wav\tSchöne Grüße 你好\nb.wav\tEr läuft heim\n"),
        ("utf-16-le", "\ufeffDatei\tSatz\na.wav\tSchöne Grüße\nb.wav\tEr läuft heim\n"),
        ("utf-8-sig", 'Arquivo,Frase\na.wav,Não há solução\nb.wav,"Sim, há uma"\n'),
    ],
)
def test_a_table_from_excel_is_read_by_its_values_whatever_its_encoding(
    tmp_path: Path, encoding: str, rows: str
) -> None:
    build(tmp_path, {**audio("a.wav", "b.wav"), "Tabelle1.csv": rows.replace("\n", "\r\n").encode(encoding)})
    read = Read(tmp_path)
    delimiter = next(sign for sign in "\t;," if sign in rows)
    said = [line.split(delimiter, 1)[1].strip('"') for line in rows.splitlines()[1:]]
    assert read.texts == dict(zip("ab", said, strict=True))


def test_a_table_without_a_header_keeps_its_first_row(tmp_path: Path) -> None:
    build(
        tmp_path,
        {**audio("a.wav", "b.wav", "c.wav"), "t.csv": "a.wav,one two\nb.wav,three four\nc.wav,five six\n"},
    )
    assert Read(tmp_path).texts == {"a": "one two", "b": "three four", "c": "five six"}


def test_a_code_page_that_may_be_two_is_asked_for_with_both_readings(tmp_path: Path) -> None:
    raw = "a:Perché no? È così\n".encode("cp1252")
    build(tmp_path, {**audio("a.wav"), "t.txt": raw})
    with pytest.raises(UsageError, match=r"cp1252.*Perché no\? È così.*cp1250.*set corpus\.encoding"):
        Read(tmp_path, "t.txt")
    for settings in ({"encoding": "cp1252"}, {"language": "it"}):
        assert Read(tmp_path, "t.txt", **settings).texts == {"a": "Perché no? È così"}


# JSON


def test_a_json_array_is_as_many_utterances_as_it_has_objects(tmp_path: Path) -> None:
    rows = [{"audio": "a.wav", "text": "one", "speaker": "s"}, {"file": "b.wav", "sentence": "two"}, 3]
    build(tmp_path, {**audio("a.wav", "b.wav"), "t.json": json.dumps(rows, indent=1)})
    read = Read(tmp_path, "t.json")
    assert read.kind == "json"
    assert read.texts == {"a": "one", "b": "two"}
    assert read.reasons == {"t.json:item 3": Reason.MALFORMED_TRANSCRIPT}
    (tmp_path / "t.json").write_text(json.dumps(rows)[:60])
    cut = Read(tmp_path, "t.json")
    assert cut.texts == {"a": "one"}
    assert list(cut.reasons) == ["t.json:item 2"]


def test_label_studio_s_export_is_read_with_its_regions(tmp_path: Path) -> None:
    def text(said: list[str], region: str, **times: float) -> dict:
        value = {"text": said, **times}
        return {
            "type": "textarea",
            "from_name": "transcription",
            "to_name": "audio",
            "id": region,
            "value": value,
        }

    label = {"type": "labels", "id": "r2", "value": {"start": 1.0, "end": 2.5, "labels": ["Jo"]}}
    done = [
        {"was_cancelled": True, "result": [text(["wrong"], "r0")]},
        {
            "result": [
                text(["first"], "r1", start=0.0, end=1.0),
                label,
                text(["the", "second"], "r2", start=1.0, end=2.5),
            ]
        },
    ]
    tasks = [
        {"id": 1, "data": {"audio": "/data/upload/3/8f3a1b2c-talk.wav"}, "annotations": done},
        {
            "id": 2,
            "data": {"audio": "/data/local-files/?d=sub%2Fb.wav"},
            "annotations": [{"result": [text(["whole"], "x")]}],
        },
        {"id": 3, "data": {"audio": "/data/upload/3/8f3a1b2c-talk.wav"}, "annotations": []},
    ]
    build(tmp_path, {**audio("talk.wav", "sub/b.wav"), "export.json": json.dumps(tasks)})
    read = Read(tmp_path, "export.json")
    assert read.all[:3] == [
        Utterance("talk-00000000-00001000", "talk.wav", "first", None, None, 0.0, 1.0),
        Utterance("talk-00001000-00002500", "talk.wav", "the second", "Jo", None, 1.0, 2.5),
        Utterance("sub/b", "sub/b.wav", "whole"),
    ]
    assert list(read.reasons) == ["export.json:item 3"]
    short = [{"audio": "/data/upload/3/8f3a1b2c-talk.wav", "id": 1, "transcription": "short", "annotator": 1}]
    build(tmp_path, {"min.json": json.dumps(short)})
    assert Read(tmp_path, "min.json").texts == {"1": "short"}


def test_gigaspeech_is_read_with_its_signs(tmp_path: Path) -> None:
    segment = {
        "sid": "POD0_S1",
        "speaker": "N/A",
        "begin_time": 1.5,
        "end_time": 3.0,
        "text_tn": "AS IT IS <COMMA> SO <PERIOD>",
    }
    audios = [
        {
            "aid": "POD0",
            "path": "audio/podcast/P0000/POD0.opus",
            "segments": [segment, {**segment, "sid": "POD0_S2", "text_tn": "<NOISE>"}, 1],
        },
        {"aid": "POD1", "path": "audio/podcast/P0000/POD1.opus"},
    ]
    content = json.dumps({"dataset": "GigaSpeech", "language": "EN", "audios": audios}, indent=2)
    read = Read(
        build(tmp_path, {**audio("audio/podcast/P0000/POD0.opus"), "GigaSpeech.json": content}),
        "GigaSpeech.json",
    )
    assert read.kind == "gigaspeech"
    assert read.all[0] == Utterance(
        "POD0_S1", "audio/podcast/P0000/POD0.opus", "AS IT IS, SO.", None, "en", 1.5, 3.0
    )
    assert read.texts["POD0_S2"] == ""
    assert list(read.reasons) == ["GigaSpeech.json:item 1", "GigaSpeech.json:item 2"]


# Labels with times


def test_audacity_s_labels_are_segments_and_no_sidecar(tmp_path: Path) -> None:
    labels = "0.500000\t1.750000\tHello there\n\\\t100.0\t200.0\n2.000000\t3.000000\tBye\n3.0\t3.0\tpoint\n"
    read = Read(build(tmp_path, {**audio("talk.wav"), "talk.txt": labels}))
    assert read.kind == "segments"
    assert read.all[0] == Utterance(
        "talk-00000500-00001750", "talk.wav", "Hello there", None, None, 0.5, 1.75
    )
    assert read.reasons == {"talk.txt:4": Reason.MALFORMED_TRANSCRIPT}
    build(tmp_path, {**audio("clip.wav"), "clip.txt": "plain"})
    mixed = Read(tmp_path, transcripts="sidecar")
    assert mixed.texts == {"clip": "plain"}
    assert mixed.reasons == {"talk.txt:1": Reason.MALFORMED_TRANSCRIPT}


def test_whisper_s_tsv_counts_in_milliseconds(tmp_path: Path) -> None:
    tsv = "start\tend\ttext\n0\t1250\tOne.\n1250\t2000\tTwo.\n9\t1\tno\n"
    read = Read(build(tmp_path, {**audio("talk.m4a"), "talk.tsv": tsv}))
    assert [(each.text, each.start, each.end) for each in read.utterances.values()] == [
        ("One.", 0.0, 1.25),
        ("Two.", 1.25, 2.0),
    ]
    assert read.reasons == {"talk.tsv:4": Reason.MALFORMED_TRANSCRIPT}


LONG_GRID = """File type = "ooTextFile"
Object class = "TextGrid"

xmin = 0
xmax = 3.5
tiers? <exists>
size = 3
item []:
    item [1]:
        class = "IntervalTier"
        name = "Mary"
        xmin = 0
        xmax = 3.5
        intervals: size = 3
        intervals [1]:
            xmin = 0
            xmax = 1.25
            text = "She said ""12 [1]"" twice"
        intervals [2]:
            xmin = 1.25
            xmax = 2
            text = ""
        intervals [3]:
            xmin = 2
            xmax = 3.5
            text = "Good bye"
    item [2]:
        class = "TextTier"
        name = "clicks"
        xmin = 0
        xmax = 3.5
        points: size = 1
        points [1]:
            number = 0.5
            mark = "click"
    item [3]:
        class = "IntervalTier"
        name = "Mary - phones"
        xmin = 0
        xmax = 3.5
        intervals: size = 1
        intervals [1]:
            xmin = 0
            xmax = 3.5
            text = "S"
"""
SHORT_GRID = """File type = "ooTextFile"
Object class = "TextGrid"

0
3.5
<exists>
1
"IntervalTier"
"utterances"
0
3.5
1
0.5
3.5
"Good bye"
"""


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])  # Praat writes UTF-16 where a text needs it
def test_text_grids_are_read_in_both_forms(tmp_path: Path, encoding: str) -> None:
    files = {"a.TextGrid": LONG_GRID.encode(encoding), "b.TextGrid": SHORT_GRID.encode(encoding)}
    read = Read(build(tmp_path, {**audio("a.wav", "b.wav"), **files}))
    assert read.all == [
        Utterance("a-00000000-00001250", "a.wav", 'She said "12 [1]" twice', "Mary", None, 0.0, 1.25),
        Utterance("a-00002000-00003500", "a.wav", "Good bye", "Mary", None, 2.0, 3.5),
        Utterance("b-00000500-00003500", "b.wav", "Good bye", None, None, 0.5, 3.5),
    ]


def test_a_text_grid_of_words_and_phones_is_no_corpus_of_clips(tmp_path: Path) -> None:
    grid = SHORT_GRID.replace("utterances", "words")
    (rejection,) = Read(build(tmp_path, {**audio("a.wav"), "a.TextGrid": grid})).all
    assert "no tier of sentences (it has words)" in rejection.detail


EAF = """<?xml version="1.0" encoding="UTF-8"?>
<ANNOTATION_DOCUMENT AUTHOR="" DATE="2020-01-01T00:00:00" FORMAT="3.0" VERSION="3.0">
 <HEADER MEDIA_FILE="" TIME_UNITS="milliseconds"><MEDIA_DESCRIPTOR MEDIA_URL="file:///x/talk.wav"/></HEADER>
 <TIME_ORDER>
  <TIME_SLOT TIME_SLOT_ID="ts1" TIME_VALUE="500"/><TIME_SLOT TIME_SLOT_ID="ts2" TIME_VALUE="1750"/>
  <TIME_SLOT TIME_SLOT_ID="ts3"/>
 </TIME_ORDER>
 <TIER LINGUISTIC_TYPE_REF="utterance" PARTICIPANT="Ana" TIER_ID="ana">
  <ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a1" TIME_SLOT_REF1="ts1" TIME_SLOT_REF2="ts2">
   <ANNOTATION_VALUE>Muy &amp; bien</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>
  <ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a2" TIME_SLOT_REF1="ts2" TIME_SLOT_REF2="ts3">
   <ANNOTATION_VALUE>cut</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>
 </TIER>
 <TIER LINGUISTIC_TYPE_REF="translation" PARENT_REF="ana" PARTICIPANT="Ana" TIER_ID="english">
  <ANNOTATION><REF_ANNOTATION ANNOTATION_ID="a3" ANNOTATION_REF="a1">
   <ANNOTATION_VALUE>Very well</ANNOTATION_VALUE></REF_ANNOTATION></ANNOTATION>
 </TIER>
</ANNOTATION_DOCUMENT>
"""


def test_elan_s_annotations_are_read_without_their_translations(tmp_path: Path) -> None:
    read = Read(build(tmp_path, {**audio("talk.wav"), "talk.eaf": EAF}))
    assert list(read.utterances.values()) == [
        Utterance("talk-00000500-00001750", "talk.wav", "Muy & bien", "Ana", None, 0.5, 1.75)
    ]
    assert list(read.reasons) == ["talk.eaf:ana 2"]


def test_an_eaf_that_would_grow_without_end_is_rejected(tmp_path: Path) -> None:
    layers = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 20}">' for i in range(1, 12))
    bomb = f'<?xml version="1.0"?><!DOCTYPE d [<!ENTITY l0 "haha">{layers}]><d>&l11;</d>'
    (rejection,) = Read(build(tmp_path, {**audio("a.wav"), "a.eaf": bomb})).all
    assert rejection.reason is Reason.MALFORMED_TRANSCRIPT


def test_ted_lium_s_stm_is_read_from_its_folders(tmp_path: Path) -> None:
    stm = (
        ";; a comment\n"
        "Aaron_2010X 1 Aaron_2010X 16.00 17.50 <o,f0,male> i 'm going to\n"
        "Aaron_2010X 1 inter_segment_gap 17.5 18 <o,,unknown> ignore_time_segment_in_scoring\n"
        "Aaron_2010X 1 Aaron_2010X 18 20.25 without a label\n"
        "Aaron_2010X B Aaron_2010X 21 22 other channel\nAaron_2010X\n"
    )
    read = Read(
        build(tmp_path, {**audio("train/sph/Aaron_2010X.sph"), "train/stm/Aaron_2010X.stm": stm}), ext=".sph"
    )
    assert list(read.utterances.values()) == [
        Utterance(f"Aaron_2010X-{times}", "train/sph/Aaron_2010X.sph", text, "Aaron_2010X", None, start, end)
        for times, text, start, end in (
            ("00016000-00017500", "i 'm going to", 16.0, 17.5),
            ("00018000-00020250", "without a label", 18.0, 20.25),
        )
    ]
    assert len(read.rejections) == 3
