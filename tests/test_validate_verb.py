"""The command as people run it: verdict, exit status, report, what it resumes and what it does without."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from validate_helpers import make_dataset, sound_rows

from pipeline.__main__ import main
from pipeline.annotate.api import annotate
from pipeline.config import ValidationSettings
from pipeline.recognise.error_rate import count_errors
from pipeline.recognise.recogniser import Heard
from pipeline.validate.checks import judge, passes
from pipeline.validate.estimate import mean, ratio
from pipeline.validate.listening import packages
from pipeline.validate.listening.recognise import Judge, find_judge
from pipeline.validate.listening.row_log import RowLog
from pipeline.validate.listening.sample import SampleRow, choose
from pipeline.validate.listening.speaking import Said, speak_rows
from pipeline.validate.summary import speaking_summary

SAMPLE = Path(__file__).parents[1] / "data" / "sample"
WITHOUT_CODEC = ("--sample", "0", "--exact", "0")
LENIENT = [
    argument
    for setting in ("min_stoi=0", "max_mos_drop=5", "min_matched=0", "max_bad_audio=1", "max_rate_outliers=1")
    for argument in ("--set", f"validation.{setting}")
]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Three prompts through the sample codec."""
    root = tmp_path_factory.mktemp("verb")
    lines = (SAMPLE / "transcripts.txt").read_text(encoding="utf-8").splitlines()
    wavs = {path.stem: path for path in (SAMPLE / "audio" / "prompts").glob("*.wav")}
    chosen = [line for line in lines if line.partition(":")[0] in wavs][:3]
    (root / "audio").mkdir()
    for line in chosen:
        shutil.copy(wavs[line.partition(":")[0]], root / "audio")
    (root / "text.txt").write_text("\n".join(chosen), encoding="utf-8")
    settings = ("--codec", str(SAMPLE / "codec-random"), "--num-workers", "0", "-o", str(root / "out"))
    assert main(["create", str(root / "audio"), str(root / "text.txt"), *settings]) == 0
    return root / "out"


def test_a_dataset_is_judged_without_its_codec_when_nothing_is_decoded(tmp_path, capsys):
    dataset = make_dataset(tmp_path / "out", sound_rows(60))
    assert main(["validate", str(dataset.root), *WITHOUT_CODEC]) == 0
    assert "verdict: pass" in capsys.readouterr().out
    rows = sound_rows(60)
    rows[7]["code"] = rows[7]["code"][:-1]
    assert main(["validate", str(make_dataset(tmp_path / "bad", rows).root), *WITHOUT_CODEC]) == 4
    metrics = json.loads((tmp_path / "bad" / "report" / "metrics.json").read_text())
    assert metrics["verdict"] == "fail"
    assert json.loads((tmp_path / "bad" / "report" / "suspects.jsonl").read_text())["id"] == "set/00007"


def test_the_report_links_the_distributions_of_annotations_and_says_which_are_of_other_rows(tmp_path):
    dataset = make_dataset(tmp_path / "out", sound_rows(60))
    annotate(dataset, ["codes"])
    assert main(["validate", str(dataset.root), *WITHOUT_CODEC]) == 0
    report = dataset.root / "report"
    (linked,) = re.findall(r'<a href="([\w.]+)">', (report / "index.html").read_text("utf-8"))
    assert "code_entropy" in (report / linked).read_text("utf-8")
    assert "## Validation" in (card := (dataset.root / "README.md").read_text("utf-8"))
    assert "annotations/codes" in card
    next((dataset.root / "annotations" / "codes").glob("*.json")).unlink()
    assert main(["validate", str(dataset.root), *WITHOUT_CODEC]) == 0
    page = (report / "index.html").read_text("utf-8")
    assert linked not in page
    assert "the annotations codes of" in page


def test_thresholds_come_from_the_configuration_that_is_given(tmp_path):
    rows = sound_rows(60)
    rows[7]["code"] = rows[7]["code"][:-1]
    dataset = make_dataset(tmp_path / "out", rows)
    lenient = tmp_path / "lenient.yaml"
    lenient.write_text(yaml.safe_dump({"validation": {"max_broken": 0.1, "sample": 0, "exact": 0}}))
    assert main(["validate", str(dataset.root), "--config", str(lenient)]) == 0


def test_what_is_no_dataset_is_said_in_one_sentence(tmp_path, capsys):
    assert main(["validate", str(tmp_path / "nothing")]) == 2
    assert "is not a dataset" in capsys.readouterr().err
    dataset = make_dataset(tmp_path / "out", sound_rows(3))
    assert main(["validate", str(dataset.root), "--codec", str(SAMPLE / "codec-random")]) == 2
    assert "other weights" in capsys.readouterr().err


def test_the_report_is_one_file_with_players_and_a_second_run_measures_nothing_again(made, monkeypatch):
    arguments = ["validate", str(made), "--sample", "3", "--exact", "0", "--set", "validation.asr=null"]
    assert main([*arguments, *LENIENT]) == 0
    page = (made / "report" / "index.html").read_text(encoding="utf-8")
    assert len(re.findall(r'<audio controls[^>]*src="data:audio/mpeg;base64,', page)) == 6
    assert page.count("data:image/png;base64,") == 6
    assert not re.search(r'(src|href)="(?!data:)', page)
    assert "http" not in page.replace("http://www.w3.org", "")
    assert "STOI: how intelligible the decoded clip is" in page
    assert re.search(r"<summary>\d+ rules that no row breaks</summary>", page)
    assert "Rows that break it" not in page
    assert not re.search(r">-?\d+e-\d+<", page)
    metrics = json.loads((made / "report" / "metrics.json").read_text())
    assert metrics["round_trip"]["stoi"]["number"] == 3

    monkeypatch.setattr(
        "pipeline.validate.listening.round_trip.Listener._compare", lambda *given: pytest.fail("again")
    )
    assert main([*arguments, *LENIENT]) == 0
    assert json.loads((made / "report" / "metrics.json").read_text()) == metrics


def test_a_missing_package_is_a_line_with_its_install_command(made, monkeypatch, tmp_path):
    absent = packages.Package("no_such_package", "something", packages.PACKAGES[0].load, "pip install it")
    monkeypatch.setattr(packages, "PACKAGES", (absent,))
    root = shutil.copytree(made, tmp_path / "out", ignore=shutil.ignore_patterns("report"))
    main(["validate", str(root), "--sample", "1", "--exact", "0", "--asr", "nowhere/tiny.pt"])
    missing = json.loads((root / "report" / "metrics.json").read_text())["missing"]
    assert {one["package"] for one in missing} == {"no_such_package", "the recogniser nowhere/tiny.pt"}
    page = (root / "report" / "index.html").read_text(encoding="utf-8")
    assert "pip install it" in page
    assert "tools/fetch_whisper.py" in page


def without_recordings(made, tmp_path):
    """The dataset, whose corpus was moved away."""
    root = shutil.copytree(made, tmp_path / "out", ignore=shutil.ignore_patterns("report"))
    config = yaml.safe_load((root / "config.yaml").read_text())
    config["settings"]["corpus"] |= {"audio": "/nowhere", "text": "/nowhere.txt"}
    (root / "config.yaml").write_text(yaml.safe_dump(config))
    return root


def test_a_dataset_whose_recordings_are_out_of_reach_is_not_judged(made, tmp_path, capsys):
    root = without_recordings(made, tmp_path)
    assert main(["validate", str(root), *LENIENT]) == 5
    said = capsys.readouterr().out
    assert "verdict: not judged" in said
    assert "--audio" in said
    metrics = json.loads((root / "report" / "metrics.json").read_text())
    assert (metrics["verdict"], len(metrics["notes"])) == ("not judged", 1)
    assert "Not judged" in (root / "report" / "index.html").read_text(encoding="utf-8")
    assert "Verdict: not judged" in (root / "README.md").read_text(encoding="utf-8")


def test_recordings_that_are_all_gone_from_their_folder_are_not_judged_either(made, tmp_path):
    clips = shutil.copytree(made.parent / "audio", tmp_path / "clips")
    for clip in clips.iterdir():
        clip.write_bytes(b"")
    arguments = ["--audio", str(clips), "--text", str(made.parent / "text.txt"), "--report"]
    assert main(["validate", str(made), *arguments, str(tmp_path / "report"), *LENIENT]) == 5


def test_a_fault_of_the_rows_fails_even_where_the_recordings_are_out_of_reach(made, tmp_path):
    root = without_recordings(made, tmp_path)
    (root / "data" / "train-00000.jsonl").write_text("")
    assert main(["validate", str(root), *LENIENT]) == 4


def contents(folder):
    return {
        path: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.rglob("*") if path.is_file()
    }


@pytest.mark.parametrize("content", [b"", b"no model", b"PK\x03\x04 nor this"])
def test_a_file_that_is_no_recogniser_is_one_sentence(made, tmp_path, content, capsys):
    pytest.importorskip("whisper")
    (tmp_path / "none.pt").write_bytes(content)
    arguments = ["--report", str(tmp_path / "report"), "--asr", str(tmp_path / "none.pt")]
    assert main(["validate", str(made), *arguments]) == 2
    said = capsys.readouterr().err
    assert "none.pt" in said
    assert said.count("\n") == 1


def test_a_report_elsewhere_leaves_the_dataset_as_it_is(made, tmp_path):
    root = shutil.copytree(made, tmp_path / "out", ignore=shutil.ignore_patterns("report"))
    before = contents(root)
    assert main(["validate", str(root), "--report", str(tmp_path / "r"), *WITHOUT_CODEC, *LENIENT]) == 0
    assert contents(root) == before
    assert {path.name for path in (tmp_path / "r").iterdir()} >= {"metrics.json", "index.html"}


def test_a_report_that_cannot_be_written_where_it_belongs_is_one_sentence(tmp_path, capsys):
    dataset = make_dataset(tmp_path / "out", sound_rows(3))
    (dataset.root / "report").write_text("in the way")
    assert main(["validate", str(dataset.root), *WITHOUT_CODEC]) == 2
    assert "--report" in capsys.readouterr().err


def test_names_and_texts_are_shown_as_text_in_the_report(tmp_path):
    rows = sound_rows(40)
    rows[3] |= {"id": "<script>alert(1)</script>", "text": '"><img src=x onerror=alert(2)> {{ 7 * 7 }}'}
    rows[3]["code"] = rows[3]["code"][:-1]
    root = make_dataset(tmp_path / "<b>out", rows).root
    assert main(["validate", str(root), *WITHOUT_CODEC]) == 4
    page = (root / "report" / "index.html").read_text(encoding="utf-8")
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert not re.search(r"<script|<img src=x|<b>out", page)
    assert "{{ 7 * 7 }}" in page
    suspect = json.loads((root / "report" / "suspects.jsonl").read_text().splitlines()[0])
    assert (suspect["id"], suspect["text"]) == (rows[3]["id"], rows[3]["text"])


def test_a_log_of_other_measurements_or_an_unfinished_line_is_not_taken(tmp_path):
    path = tmp_path / "rows.jsonl"
    with RowLog(path, "a") as log:
        log.add({"row": 1, "digest": "x"})
    path.write_text(path.read_text() + '{"row": 2, "dig')
    with RowLog(path, "a") as log:
        assert log.get(1, "x") == {"row": 1, "digest": "x"}
        assert log.get(1, "y") is None
        assert log.get(2, "x") is None
    with RowLog(path, "b") as log:
        assert log.get(1, "x") is None


def test_a_larger_sample_begins_with_the_smaller_one():
    assert choose(1000, 50, 7)[:20] == choose(1000, 20, 7)
    assert len(set(choose(1000, 999, 7))) == 999
    assert choose(5, 9, 0) == [0, 1, 2, 3, 4]


def test_intervals_cover_the_truth_as_often_as_they_say():
    random = np.random.default_rng(0)
    covered = 0
    for seed in range(200):
        drawn = mean(random.normal(1, 1, 40).tolist(), seed)
        covered += drawn.low <= 1 <= drawn.high
    assert 0.89 <= covered / 200 <= 0.99
    assert ratio([0.0] * 30, [1.0] * 30).high == pytest.approx(0.1)  # none of 30 may still be one in ten


def test_a_figure_beyond_its_limit_fails_only_when_its_interval_is():
    limits = ValidationSettings(min_stoi=0.85)
    for low, high, value, outcome in (
        (0.7, 0.8, 0.75, "failed"),
        (0.7, 0.9, 0.8, "unsure"),
        (0.8, 1, 0.9, "passed"),
    ):
        stoi = {"value": value, "low": low, "high": high, "number": 9}
        checks = judge({"round_trip": {"stoi": stoi}}, limits)
        assert [check.outcome for check in checks if check.figure == "round_trip.stoi"] == [outcome]
        assert passes(checks) == (outcome != "failed")


@pytest.mark.parametrize(
    ("text", "heard", "language", "edits", "length"),
    [
        ("Dial 1, Mr. Smith!", "dial one mister smith", "en", 0, 4),
        ("Please hold the line", "please hold a line now", "en", 2, 4),
        ("今日は、いい天気。", "今日はいい元気", "ja", 1, 7),
        ("hold", "", "en", 1, 1),
    ],
)
def test_errors_are_counted_after_normalising_by_words_or_characters(text, heard, language, edits, length):
    found = count_errors(text, heard, language)
    assert (found.edits, found.length) == (edits, length)


def test_no_recogniser_is_asked_for_and_none_is_missed():
    assert find_judge(None, None) == (None, [])


class _Echo:
    """Hears every text right that is spoken to its end."""

    name, language = "echo", None

    def transcribe(self, waveforms, language):
        return [Heard("please hold the line" if waveform[0] else "please") for waveform in waveforms]


def test_spoken_texts_are_judged_by_words_ends_and_durations(tmp_path):
    rows = [
        SampleRow(n, str(n), "please hold the line", "en", np.arange(100 + n), "", None, None)
        for n in range(4)
    ]
    calls = []

    def speak(texts):
        calls.append(len(texts))
        return [
            Said(np.array([n % 2], np.float32), np.arange(100 if n else 300), ended=n > 0)
            for n in range(len(texts))
        ]

    arguments = (rows, speak, Judge(_Echo(), "echo"), tmp_path / "speaking.jsonl", "model")
    spoken = speak_rows(*arguments)
    found = speaking_summary([{**row, "errors_decoded": 0} for row in spoken])
    assert found["ended"]["value"] == 0.75
    assert found["errors_spoken"]["value"] == pytest.approx(6 / 16)
    assert found["rows_of_odd_duration"]["value"] == 0.25
    assert speak_rows(*arguments) == spoken
    assert calls == [4]


def test_a_model_speaks_in_the_report_beside_source_and_round_trip(made, monkeypatch, tmp_path):
    root = shutil.copytree(made, tmp_path / "out", ignore=shutil.ignore_patterns("report"))
    said = []

    def speak(texts):
        said.extend(texts)
        return [Said(np.zeros(16_000, np.float32), np.arange(50, dtype=np.uint16), True) for _ in texts]

    monkeypatch.setattr("pipeline.validate.inputs.speaker", lambda model, codec: speak)
    third = json.loads((root / "data" / "train-00000.jsonl").read_text().splitlines()[2])
    (tmp_path / "ids.txt").write_text(third["id"] + "\n")
    held_out = ["--held-out", str(tmp_path / "ids.txt")]
    arguments = ["--sample", "2", "--exact", "0", "--model", "somebody", "--set", "validation.asr=null"]
    main(["validate", str(root), *arguments, *held_out])
    assert said == [third["text"]]
    main(["validate", str(root), *arguments])
    metrics = json.loads((root / "report" / "metrics.json").read_text())
    assert metrics["speaking"]["texts"] == 2
    page = (root / "report" / "index.html").read_text(encoding="utf-8")
    assert page.count("spoken by the model") == 2
    assert page.count("<audio") == 6
