"""What annotators hear: words, voices, copies, quality; and what becomes of one that fails."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml
from validate_helpers import make_dataset

from pipeline.__main__ import main
from pipeline.annotate.annotators.transcript import Transcript
from pipeline.annotate.api import annotate
from pipeline.annotate.files import read_annotations
from pipeline.dataset.reader import Dataset
from pipeline.errors import UsageError
from pipeline.recognise.recogniser import Heard

ROOT = Path(__file__).parents[1]
SAMPLE = ROOT / "data" / "sample"
TINY = ROOT / "build" / "models" / "tiny.en.pt"
PROMPTS = ("agent-newlocation", "conf-waitforleader", "feature-not-avail-line", "please-try-call-later")
TEXTS = dict(line.split(":", 1) for line in (SAMPLE / "transcripts.txt").read_text("utf-8").splitlines())


def clip(name):
    return soundfile.read(next((SAMPLE / "audio").rglob(f"{name}.*")), dtype="float32")


def corpus(root, clips, shard_size=100):
    """A dataset of clips: (text, waveform, rate, further columns), numbered."""
    (root / "clips").mkdir(parents=True)
    rows = []
    for number, (text, waveform, rate, more) in enumerate(clips):
        soundfile.write(root / "clips" / f"{number}.flac", waveform, rate)
        row = {"id": str(number), "text": text, "code": [1, 2, 3 + number], "duration": len(waveform) / rate}
        rows.append(row | {"sample_rate": rate, "audio": f"{number}.flac", "language": "en"} | more)
    dataset = make_dataset(root / "out", rows, shard_size=shard_size)
    (root / "text.txt").write_text("".join(f"{row['id']}:{row['text']}\n" for row in rows), "utf-8")
    config = yaml.safe_load((dataset.root / "config.yaml").read_text())
    config["settings"]["corpus"] |= {"audio": str(root / "clips"), "text": str(root / "text.txt")}
    (dataset.root / "config.yaml").write_text(yaml.safe_dump(config))
    return Dataset(dataset.root)


def figures(dataset, name):
    return [row for table in read_annotations(dataset, name) for row in table.to_pylist()]


def files(root):
    return {path.relative_to(root): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


class Hearing:
    """A recogniser that hears the same in everything."""

    def __init__(self, only, spoken="en", text="hold the line"):
        self.name, self.language, self._spoken, self._text, self.asked = "x", only, spoken, text, []

    def transcribe(self, waveforms, language):
        self.asked.append(language)
        return [Heard(self._text, language or self._spoken, 0.5) for _ in waveforms]

    def words(self, waveform, language):
        return None


@pytest.fixture
def hearing(monkeypatch):
    """Let `transcript` open the recogniser that the test sets."""
    opened = []
    monkeypatch.setattr(
        "pipeline.annotate.annotators.transcript.open_recogniser", lambda name, device: opened[0]
    )
    return opened


def compare(text, stated, **options):
    row = {"id": "a", "text": text, "language": stated}
    return Transcript("x", **options).compare(np.zeros(1600, np.float32), 16_000, row)


@pytest.mark.skipif(not TINY.exists(), reason="the recogniser is not fetched")
def test_a_text_that_is_not_what_is_said_has_errors_and_the_right_one_few(tmp_path):
    pytest.importorskip("whisper")
    clips = [(TEXTS[name], *clip(name), {}) for name in PROMPTS]
    clips[1] = ("A text of quite another recording.", *clips[1][1:])
    clips[2] = (*clips[2][:3], {"language": "ja"})
    dataset = corpus(tmp_path, clips, shard_size=3)
    arguments = ["--with", "transcript", "--asr", str(TINY), "--device", "cpu"]
    assert main(["annotate", str(dataset.root), *arguments]) == 0
    found = figures(dataset, "transcript")
    assert max(found[0]["wer"], found[3]["wer"]) < 0.3 < 0.9 < found[1]["wer"]
    assert min(row["transcript_confidence"] for row in (found[0], found[3])) > 0.5
    assert [found[2][name] for name in ("transcript", "wer", "transcript_confidence")] == [None] * 3
    other = corpus(tmp_path / "other", clips[3:])
    annotate(other, ["transcript"], asr=str(TINY), threads=1)
    assert figures(other, "transcript")[0] | {"id": "3"} == found[3]  # whatever was heard with it


def test_a_recogniser_of_one_language_gives_others_nothing_and_no_blame(hearing):
    hearing.append(Hearing("en"))
    assert compare("hold the line", "en-GB")["wer"] == 0
    split = compare("hold theline", "en")
    assert (split["wer"], split["cer"]) == (1, 0)
    assert compare("保留してください", "ja") == dict.fromkeys(Transcript.columns)
    assert compare("hold a line", None, language="en")["wer"] == pytest.approx(1 / 3, abs=1e-4)
    assert compare("hold the line", None, language="de")["wer"] is None


def test_a_recogniser_of_many_languages_says_which_it_hears_and_is_judged_in_the_rows_own(hearing):
    hearing.append(Hearing(None, spoken="fr"))
    found = compare("hold the line", "en")
    assert (found["speech_language"], found["wer"]) == ("fr", 0)
    assert hearing[0].asked == [None, "en"]
    assert compare("hold the line", "eo") == dict.fromkeys(Transcript.columns) | {"speech_language": "fr"}
    found = compare("ほりゅう", "ja")
    assert found["wer"] > 1  # by characters


def test_a_text_tells_the_language_of_a_row_that_names_none(hearing):
    pytest.importorskip("lingua")
    hearing.append(Hearing("en"))
    assert compare("Please hold the line while your call is put through.", None)["wer"] is not None
    assert compare("Veuillez patienter pendant que nous transférons votre appel.", None)["wer"] is None


def test_a_recogniser_that_is_not_there_is_one_sentence(tmp_path, capsys):
    dataset = corpus(tmp_path, [("hold", *clip(PROMPTS[0]), {})])
    arguments = ["annotate", str(dataset.root), "--with", "transcript", "--asr", "no-such.pt"]
    assert main(arguments) == 2
    said = capsys.readouterr().err
    assert "no recogniser no-such.pt" in said
    assert said.count("\n") == 1


def test_a_recogniser_that_a_package_loads_is_named_by_its_content(tmp_path):
    (tmp_path / "model.bin").write_bytes(b"1")
    before = Transcript(f"faster-whisper:{tmp_path}").settings["recogniser"]
    (tmp_path / "model.bin").write_bytes(b"2")
    assert Transcript(f"faster-whisper:{tmp_path}").settings["recogniser"] != before
    assert Transcript("faster-whisper:small").settings["recogniser"] == "faster-whisper:small"


@pytest.mark.skipif(
    not list(Path(np.__file__).parents[1].glob("resemblyzer")), reason="Resemblyzer is not installed"
)
def test_a_clip_under_the_wrong_speakers_name_is_unlike_the_others(tmp_path):
    hers = [(TEXTS[name], *clip(name), {"speaker": "allison"}) for name in PROMPTS]
    mei = [("あ", *clip(name), {"speaker": "mei"}) for name in ("ja-aisatsu", "ja-kaimono", "ja-neko")]
    wrong = ("あ", *clip("ja-hayai"), {"speaker": "allison"})
    alone = ("x", *clip("austen-0880"), {"speaker": "reader"})
    dataset = corpus(tmp_path, [*hers, wrong, *mei, alone], shard_size=4)
    assert main(["annotate", str(dataset.root), "--with", "speaker"]) == 0
    found = [row["speaker_similarity"] for row in figures(dataset, "speaker")]
    assert found[4] < min(found[:4]) - 0.05
    assert min(found[5:8]) > 0.7
    assert found[8] is None
    before = files(dataset.root / "annotations")
    shutil.rmtree(dataset.root / "annotations" / "speaker")
    assert annotate(Dataset(dataset.root), ["speaker"]) == 3
    assert files(dataset.root / "annotations") == before


KILLED = """
import os, signal, sys
import torch
from pipeline.annotate import files
from pipeline.annotate.api import annotate
torch.set_num_threads(1)  # a pool of threads would not survive the fork
replacing, root, names = files.replacing, sys.argv[1], sys.argv[2:]
for written in 0, 1, 2:  # files before the kill; what is done is not done again
    child = os.fork()
    if child == 0:
        def write(path, writer, left=[written]):
            if not left[0]:
                os.kill(os.getpid(), signal.SIGKILL)
            left[0] -= 1
            return replacing(path, writer)
        files.replacing = write
        annotate(root, names, asr="fake:")
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.parametrize(
    ("name", "package"), [("transcript", "jiwer"), ("speaker", "resemblyzer"), ("quality", "speechmos")]
)
def test_killed_while_it_hears_and_run_again_gives_the_same_bytes(tmp_path, name, package):
    pytest.importorskip(package)
    clips = [("hold the line", *clip(name), {"speaker": "allison"}) for name in PROMPTS[:3]]
    whole = corpus(tmp_path, clips, shard_size=2)
    shutil.copytree(whole.root, tmp_path / "cut" / "out")
    annotate(whole, [name], asr="fake:")
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path / "cut" / "out"), name],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "-9\n" * 3
    cut = Dataset(tmp_path / "cut" / "out")
    assert annotate(cut, [name], asr="fake:") > 0
    assert files(cut.root) == files(whole.root)


def test_a_copy_at_another_level_and_from_another_codec_names_what_it_copies(tmp_path):
    clips = [("x", *clip(name), {}) for name in PROMPTS]
    soft = 0.1 * clips[1][1]
    soundfile.write(tmp_path / "copy.mp3", soft, clips[1][2])
    dataset = corpus(
        tmp_path / "a", [*clips, ("x", *soundfile.read(tmp_path / "copy.mp3"), {})], shard_size=2
    )
    annotate(dataset, ["copies"])
    found = figures(dataset, "copies")
    assert [row["copy_of"] for row in found] == [None] * 4 + ["1"]
    assert found[4]["copy_similarity"] > 0.7


def test_quality_falls_with_noise_and_is_the_clips_own():
    pytest.importorskip("speechmos")
    from pipeline.annotate.annotators.quality import Quality

    waveform, rate = clip("all-circuits-busy-now")
    noise = np.random.default_rng(0).normal(0, 1, len(waveform)).astype(np.float32)
    quality = Quality()
    found = [quality.hear(waveform + level * noise, rate) for level in (0, 0.01, 0.1)]
    for name in quality.columns:
        scores = [one[name] for one in found]
        assert scores[0] > scores[2]
        assert 1 <= min(scores) <= max(scores) <= 5
    assert found[0]["dnsmos_bak"] > found[1]["dnsmos_bak"] > found[2]["dnsmos_bak"]
    assert quality.hear(waveform, rate) == found[0]


def test_the_networks_give_a_window_the_scores_that_their_package_gives_it():
    pytest.importorskip("speechmos")
    from pipeline.recognise.opinion import WINDOW, load_opinion

    noise = np.random.default_rng(0).normal(0, 0.1, WINDOW).astype(np.float32)
    theirs = {"sig": 1.176978, "bak": 1.094359, "ovrl": 1.114215, "p808": 2.075025}  # by speechmos 0.0.1.1
    assert load_opinion("the test").score(noise) == pytest.approx(theirs, abs=1e-5)


FAILING = """
import pyarrow as pa
from pipeline.annotate.protocol import Column

class Mine:
    name, version, settings = "mine", 1, {{}}
    columns = {{"mine": Column(pa.int32(), "something")}}

    def {method}:
        {body}

annotator = Mine()
"""
RAISES = "raise ValueError('no such thing')"


@pytest.mark.parametrize(
    ("method", "body", "said"),
    [
        ("hear(self, waveform, rate)", RAISES, "mine fails at row 0: ValueError: no such thing"),
        ("compare(self, waveform, rate, row)", RAISES, "mine fails at row 0: ValueError: no such thing"),
        ("hear(self, waveform, rate)", "return {}", "mine fails at row 0: KeyError: 'mine'"),
        ("hear(self, waveform, rate)", "return {'mine': 'x'}", "mine fails at row 0: "),
        (
            "annotate(self, rows)",
            "return {'mine': [1 // (text != 'second') for text in rows.table['text'].to_pylist()]}",
            "mine fails at row 1: ZeroDivisionError",
        ),
        ("annotate(self, rows)", "return {'mine': [1]}", "1 values of mine for 3 rows"),
        ("annotate(self, rows)", "return {'mine': [1, 2, 'x']}", "mine fails at row 2: "),
    ],
)
def test_an_annotator_of_ones_own_that_fails_is_one_sentence(tmp_path, method, body, said, capsys):
    clips = [(text, *clip(PROMPTS[0]), {}) for text in ("first", "second", "third")]
    dataset = corpus(tmp_path, clips)
    (tmp_path / "mine.py").write_text(FAILING.format(method=method, body=body))
    assert main(["annotate", str(dataset.root), "--with", str(tmp_path / "mine.py")]) == 2
    captured = capsys.readouterr().err
    assert said in captured
    assert captured.count("\n") == 1
    assert not list((dataset.root / "annotations" / "mine").glob("*"))


MINE = FAILING.format(method="hear(self, waveform, rate)", body=RAISES)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("raise OSError('no licence')", "cannot be run: OSError: no licence"),
        ("annotator = 3", "has no `annotator` with name"),
        (
            FAILING.format(method="hear(self, w, r)", body=RAISES).replace('"mine", 1', '"level", 1'),
            "its own",
        ),
        (
            FAILING.format(method="hear(self, w, r)", body=RAISES).replace('{"mine"', '{"text"'),
            "there already",
        ),
    ],
)
def test_a_file_that_is_no_annotator_is_one_sentence(tmp_path, body, said):
    (tmp_path / "mine.py").write_text(body)
    dataset = corpus(tmp_path, [("x", *clip(PROMPTS[0]), {})])
    with pytest.raises(UsageError, match=said) as raised:
        annotate(dataset, [str(tmp_path / "mine.py")])
    assert "\n" not in str(raised.value)
