"""`segment` turns a folder of recordings into a manifest, whatever happens on the way."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from segment_helpers import RATE, contents, omissions, prompt, record, segments, silence

from pipeline.__main__ import main
from pipeline.audio.decode import decode

ROOT = Path(__file__).parents[1]


def segment(recordings: Path, prepared: Path, *more: str) -> int:
    return main(["segment", str(recordings), "-o", str(prepared), "--asr", "fake:", *more])


@pytest.fixture
def recordings(tmp_path):
    """Three recordings in two folders, at two rates, and a file that is none."""
    record(tmp_path / "in/a.flac", [0, 1, 2])
    record(tmp_path / "in/b/two.wav", [1, 0], rate=44_100)
    record(tmp_path / "in/c.wav", [2])
    (tmp_path / "in/broken.wav").write_bytes(b"hello, I am no recording")
    return tmp_path / "in"


def test_segments_name_their_place_and_recordings_that_cannot_be_read_their_reason(
    recordings, tmp_path, capsys
):
    assert segment(recordings, tmp_path / "out") == 0
    found = segments(tmp_path / "out")
    assert [row["audio"] for row in found] == ["a.flac"] * 3 + ["b/two.wav"] * 2 + ["c.wav"]
    assert {row["language"] for row in found} == {"en"}
    assert all(1 <= row["end"] - row["start"] <= 20 and row["text"] for row in found)
    assert [(row["audio"], row["reason"]) for row in omissions(tmp_path / "out")] == [
        ("broken.wav", "not_audio")
    ]
    said = capsys.readouterr().out
    assert "6 segments" in said
    assert "1 not_audio" in said


def test_times_are_exact_to_the_source_s_sample(recordings, tmp_path):
    segment(recordings, tmp_path / "out")
    [first, _] = [row for row in segments(tmp_path / "out") if row["audio"] == "b/two.wav"]
    samples, rate = soundfile.read(recordings / "b/two.wav", dtype="float32")
    begin, end = first["start"] * rate, first["end"] * rate
    assert (begin, end) == (pytest.approx(round(begin), abs=1e-6), pytest.approx(round(end), abs=1e-6))
    cut, _ = decode(
        recordings / "b/two.wav",
        start=first["start"],
        end=first["end"],
        max_seconds=60,
        deadline_seconds=60,
    )
    assert np.array_equal(cut.numpy(), samples[round(begin) : round(end)])


def test_a_finished_folder_is_left_as_it_is_and_nothing_is_loaded(recordings, tmp_path, monkeypatch):
    segment(recordings, tmp_path / "out")
    before = contents(tmp_path / "out")
    monkeypatch.setattr("pipeline.segment.run.load_network", lambda: pytest.fail("loaded"))
    assert segment(recordings, tmp_path / "out") == 0
    assert contents(tmp_path / "out") == before
    assert "work" not in {path.name for path in (tmp_path / "out").iterdir()}


KILLED = """
import os, signal, sys
from pathlib import Path
from pipeline.__main__ import main
left, replace = int(sys.argv.pop(1)), Path.replace
def counted(self, target):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return replace(self, target)
Path.replace = counted
main(sys.argv[1:])
"""


@pytest.mark.parametrize("renames", [1, 6])
def test_killed_and_run_again_it_writes_the_same_bytes(recordings, tmp_path, renames):
    arguments = ("segment", str(recordings), "--asr", "fake:", "--part-size", "3", "-o")
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert main([*arguments, str(whole)]) == 0
    command = [sys.executable, "-c", KILLED, str(renames), *arguments, str(killed)]
    died = subprocess.run(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True)
    assert died.returncode == -signal.SIGKILL
    assert contents(killed) != contents(whole)
    assert main([*arguments, str(killed)]) == 0
    assert contents(killed) == contents(whole)


def test_new_recordings_make_new_parts_and_a_changed_one_is_done_again(recordings, tmp_path):
    segment(recordings, tmp_path / "out", "--part-size", "2")
    before = contents(tmp_path / "out")
    record(recordings / "a0.wav", [0])
    segment(recordings, tmp_path / "out", "--part-size", "2")
    after = contents(tmp_path / "out")
    assert [row["audio"] for row in segments(tmp_path / "out")][-1] == "a0.wav"
    assert {name: after[name] for name in before if name != "plan.json"} == {
        name: content for name, content in before.items() if name != "plan.json"
    }
    record(recordings / "c.wav", [2, 2, 2])
    segment(recordings, tmp_path / "out", "--part-size", "2")
    assert [row["audio"] for row in segments(tmp_path / "out")].count("c.wav") == 3


def test_other_settings_or_a_strange_folder_are_refused_in_a_sentence(recordings, tmp_path, capsys):
    segment(recordings, tmp_path / "out")
    assert segment(recordings, tmp_path / "out", "--pause", "0.7") == 2
    assert "was begun with another pause" in capsys.readouterr().err
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/notes.txt").write_text("notes")
    assert segment(recordings, tmp_path / "mine") == 2
    assert "was not written by segment" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["absent"], "there is no folder of recordings"),
        ([".", "--min", "15"], "min_seconds is more than half"),
        ([".", "--max", "60"], "--max: Input should be less than or equal to 30"),
        ([".", "--num-workers", "0"], "--num-workers"),
        ([".", "--asr", "nowhere/tiny.pt"], "there is no recogniser nowhere/tiny.pt"),
        ([".", "--asr", "nowhere/model"], "cannot be loaded"),
        ([".", "--align", "book.txt"], "there is no text book.txt"),
    ],
)
def test_what_cannot_be_is_one_sentence_and_status_2(arguments, said, tmp_path, monkeypatch, capsys):
    record(tmp_path / "one.wav", [1])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert main(["segment", *arguments, "-o", str(tmp_path / "out")]) == 2
    told = capsys.readouterr().err
    assert said in told
    assert len(told.strip().splitlines()) == 1


def test_what_two_recognisers_hear_differently_is_left_out(recordings, tmp_path):
    segment(recordings, tmp_path / "alike", "--agree", "fake:")
    assert len(segments(tmp_path / "alike")) == 6
    segment(recordings, tmp_path / "unlike", "--agree", "fake:other")
    assert segments(tmp_path / "unlike") == []
    assert [row["reason"] for row in omissions(tmp_path / "unlike")].count("disagreement") == 6


def test_a_recording_without_speech_is_rejected(tmp_path):
    noise = np.random.default_rng(1).normal(0, 0.1, 5 * RATE)
    (tmp_path / "in").mkdir()
    soundfile.write(tmp_path / "in/noise.flac", noise, RATE)
    segment(tmp_path / "in", tmp_path / "out")
    assert [row["reason"] for row in omissions(tmp_path / "out")] == ["no_speech"]


def test_clips_are_the_segments_to_the_sample_and_have_their_texts(recordings, tmp_path):
    segment(recordings, tmp_path / "out", "--cut")
    row = segments(tmp_path / "out")[0]
    name = f"{round(row['start'] * 1000):08d}-{round(row['end'] * 1000):08d}"
    clip = tmp_path / "out/clips/a.flac" / f"{name}.flac"
    samples, rate = soundfile.read(recordings / "a.flac", dtype="float32")
    expected = samples[round(row["start"] * rate) : round(row["end"] * rate)]
    np.testing.assert_allclose(soundfile.read(clip, dtype="float32")[0], expected, atol=2**-23)
    assert clip.with_suffix(".txt").read_text(encoding="utf-8") == row["text"] + "\n"
    assert len(list((tmp_path / "out/clips").rglob("*.txt"))) == len(segments(tmp_path / "out"))


def test_speech_without_pauses_is_cut_between_words_and_never_longer_than_allowed(tmp_path):
    vowel = prompt(0)[60 * 512 : 75 * 512]
    (tmp_path / "in").mkdir()
    waveform = np.concatenate([silence(1), *[vowel] * 60, silence(1)])
    soundfile.write(tmp_path / "in/long.wav", waveform, RATE)
    segment(tmp_path / "in", tmp_path / "out", "--max", "10")
    found = segments(tmp_path / "out")
    assert len(found) >= 3
    assert max(row["end"] - row["start"] for row in found) <= 10.2
    assert sum(row["end"] - row["start"] for row in found) == pytest.approx(60 * 15 * 512 / RATE, abs=0.5)


def test_voices_are_named_within_their_recording(tmp_path):
    pytest.importorskip("resemblyzer")
    record(tmp_path / "in/a.flac", [0, 2, 3])
    segment(tmp_path / "in", tmp_path / "out", "--speakers")
    assert {row["speaker"] for row in segments(tmp_path / "out")} == {"a.flac/voice-1"}


def test_processes_that_share_the_parts_write_what_one_alone_does(recordings, tmp_path, capsys):
    arguments = ("segment", str(recordings), "--asr", "fake:", "--part-size", "1", "-o")
    assert main([*arguments, str(tmp_path / "whole")]) == 0
    shared = [*arguments, str(tmp_path / "shared"), "--num-parts", "2", "--part"]
    assert main([*shared, "1"]) == 0
    assert "2 parts left to other processes" in capsys.readouterr().out
    assert [row["audio"] for row in segments(tmp_path / "shared")] == ["b/two.wav", "b/two.wav", "c.wav"]
    assert main([*shared, "0"]) == 0
    assert contents(tmp_path / "shared") == contents(tmp_path / "whole")
    assert main([*arguments, str(tmp_path / "whole"), "--part", "2", "--num-parts", "2"]) == 2
    assert "give both, and a part from 0" in capsys.readouterr().err


def test_a_clip_that_the_disk_does_not_take_is_one_sentence(recordings, tmp_path, capsys):
    """libsndfile itself passes over some refused writes, and calls others an error of FLAC."""
    code = (
        "import resource, signal, sys\n"
        "from pipeline.__main__ import main\n"
        "from pipeline.recognise.loading import open_recogniser\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    words = ["segment", str(recordings), "-o", str(tmp_path / "out"), "--asr", "fake:", "--cut"]
    run = subprocess.run([sys.executable, "-c", code, *words], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 1
    assert run.stderr.splitlines()[-1].startswith(f"error: {tmp_path}/out/clips/")
    assert "Traceback" not in run.stderr
