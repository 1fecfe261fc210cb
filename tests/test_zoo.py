"""What becomes of every file of the zoo: a row with the right number of samples, or a reason."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest
from zoo import animals

from pipeline.audio.decode import AudioError
from pipeline.audio.headers import Prober
from pipeline.audio.source import FolderSource
from pipeline.config import LimitSettings, LoadSettings
from pipeline.corpus.audio_index import AUDIO_ENDINGS
from pipeline.loader import Request, load
from pipeline.utterance import Utterance

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def zoo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("zoo")
    (tmp_path_factory.getbasetemp() / "work").mkdir()
    made = animals(tmp_path_factory.getbasetemp() / "work")
    for name, animal in made.items():
        animal.make(folder / name)
    return folder, made


def test_every_animal_becomes_a_clip_of_its_length_or_a_rejection_with_its_reason(zoo):
    folder, made = zoo
    assert len(made) >= 60
    names = list(made)
    requests = [Request(row, Utterance(name, name, "text")) for row, name in enumerate(names)]
    found: dict[str, object] = {}
    for batch in load(
        [(0, requests[i : i + 20]) for i in range(0, len(requests), 20)],
        source=FolderSource(folder),
        sample_rate=16000,
        settings=LoadSettings(num_workers=1),
        limits=LimitSettings(),
        pin_memory=False,
    ):
        for clip in batch.clips:
            found[names[clip.row]] = clip
        for row, rejection in batch.rejections:
            found[names[row]] = rejection
    assert set(found) == set(names)
    wrong = []
    for name, animal in made.items():
        outcome = found[name]
        if animal.seconds is None:
            fits = getattr(outcome, "reason", None) in animal.reasons and outcome.detail
        else:
            length = len(outcome.waveform) / 16000 if hasattr(outcome, "waveform") else math.nan
            fits = abs(length - animal.seconds) < 0.1
        if not fits:
            wrong.append((name, animal.seconds or animal.reasons, str(outcome)[:200]))
    assert wrong == []


def test_planning_reads_every_animal_s_header_or_gives_a_reason(zoo):
    folder, made = zoo
    prober = Prober(FolderSource(folder))
    for name, animal in made.items():
        try:
            header = prober(Utterance(name, name, "text")).header()
            refusal = None if header.duration >= 0 else "a length below 0"
        except (AudioError, OSError) as error:
            refusal = str(error)
        assert animal.seconds is None or refusal is None, name


def test_a_dataset_of_the_zoo_has_a_row_or_a_reason_for_every_animal(zoo, tmp_path):
    folder, made = zoo
    # What no transcript can name, and endings that a corpus does not look for, are left out.
    names = [name for name in made if name.isprintable() and name.endswith(AUDIO_ENDINGS)]
    lines = [json.dumps({"id": str(i), "audio": name, "text": "some text"}) for i, name in enumerate(names)]
    (tmp_path / "texts.jsonl").write_text("\n".join(lines))
    command = [sys.executable, "-m", "pipeline", "create", folder, tmp_path / "texts.jsonl"]
    command += ["-o", tmp_path / "out", "--codec", "fake:", "--num-workers", "1"]
    done = subprocess.run(list(map(str, command)), cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr

    def ids(part: str) -> set[str]:
        files = (tmp_path / "out" / part).glob("*.jsonl")
        return {json.loads(line)["id"] for file in files for line in file.read_text().splitlines()}

    assert ids("data") == {str(i) for i, name in enumerate(names) if made[name].seconds is not None}
    assert ids("rejected") == {str(i) for i, name in enumerate(names) if made[name].seconds is None}


def test_a_few_hundred_mutants_of_recordings_become_clips_or_rejections():
    command = [sys.executable, "tools/fuzz_decoders.py", "--mutants", "300", "--seed", "2"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "300 mutants of seed 2, 0 did what none may" in done.stdout
    assert "Traceback" not in done.stderr  # PyAV prints those of its calls into Python
