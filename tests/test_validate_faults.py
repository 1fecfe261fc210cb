"""Faults that only the audio or the codec can tell, planted into a dataset made by the pipeline itself."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

from pipeline.__main__ import main
from pipeline.audio.decode import resample
from pipeline.audio.quality import speech_by_level
from pipeline.codec import load_codec
from pipeline.config import CodecSettings, CorpusSettings
from pipeline.corpus import open_corpus
from pipeline.dataset.reader import Dataset
from pipeline.dataset.writer import write_shard
from pipeline.validate.listening.recognise import find_judge
from pipeline.validate.listening.round_trip import Listener
from pipeline.validate.listening.sample import Recordings, read_rows
from pipeline.validate.summary import audio_summary, round_trip_summary

SAMPLE = Path(__file__).parents[1] / "data" / "sample"
CODEC = str(SAMPLE / "codec-random")
CLIPS = 4
CLEAN = ("--sample", "0", "--exact", str(CLIPS), "--set", "validation.max_rate_outliers=1")
ALONE, ENDS = "Codes are those of the clip alone", "Clips end as they do alone"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A dataset of four short prompts of different lengths."""
    root = tmp_path_factory.mktemp("made")
    lines = (SAMPLE / "transcripts.txt").read_text(encoding="utf-8").splitlines()
    wavs = {path.stem: path for path in (SAMPLE / "audio" / "prompts").glob("*.wav")}
    chosen = [line for line in lines if line.partition(":")[0] in wavs][:CLIPS]
    (root / "audio").mkdir()
    for line in chosen:
        shutil.copy(wavs[line.partition(":")[0]], root / "audio")
    (root / "text.txt").write_text("\n".join(chosen), encoding="utf-8")
    settings = ("--codec", CODEC, "--language", "en", "--num-workers", "0", "--format", "arrow")
    assert (
        main(["create", str(root / "audio"), str(root / "text.txt"), "-o", str(root / "out"), *settings]) == 0
    )
    return root / "out"


@pytest.fixture(scope="module")
def codec():
    return load_codec(CodecSettings(name=CODEC))


@pytest.fixture(scope="module")
def recordings(made):
    corpus = open_corpus(CorpusSettings(**Dataset(made).settings["corpus"]))
    return Recordings(corpus.source, 16_000, 40.0, 60.0)


@pytest.fixture
def copy(made, tmp_path):
    return Dataset(shutil.copytree(made, tmp_path / "out", ignore=shutil.ignore_patterns("report")))


def waveforms(dataset, recordings):
    return [recordings.load(row)[2] for row in sample(dataset)]


def sample(dataset):
    return list(read_rows(dataset, {0: CLIPS}, range(CLIPS)))


def plant(dataset, codes):
    """Rewrite the only shard with other codes, as a faulty encoder would have written it."""
    table, state = dataset.table(0), dataset.states()[0]
    column = pa.array([list(map(int, one)) for one in codes], pa.list_(pa.uint16()))
    table = table.set_column(table.schema.get_field_index("code"), "code", column)
    marks = {"inputs": state.inputs, "codec": state.codec, "timings": {}}
    write_shard(dataset.files(0), table, [], marks)


def validated(dataset, *arguments):
    status = main(["validate", str(dataset.root), *arguments])
    metrics = json.loads((dataset.root / "report" / "metrics.json").read_text())
    failed = {check["title"] for check in metrics["checks"] if check["outcome"] == "failed"}
    return status, metrics, failed


def test_a_clean_dataset_passes_and_every_code_is_the_clips_own(copy):
    status, metrics, failed = validated(copy, *CLEAN)
    assert (status, failed, metrics["verdict"]) == (0, set(), "pass")
    assert metrics["exact"]["agreement"]["value"] == 1
    assert metrics["exact"]["rows_equal"] == CLIPS
    assert (copy.root / "report" / "suspects.jsonl").read_text() == ""


def test_codes_of_another_clip_agree_with_nothing(copy):
    rows = [row["code"] for row in copy.table(0).to_pylist()]
    size = min(map(len, rows))
    mixed = [rows[place - 1][:size] + own[size:] for place, own in enumerate(rows)]
    plant(copy, mixed)
    status, metrics, failed = validated(copy, *CLEAN)
    assert status == 4
    assert metrics["integrity"]["broken_share"] == 0  # nothing else can tell
    assert metrics["exact"]["by_position"][0] < 0.1  # of 1
    assert ALONE in failed


def test_codes_from_unmasked_batches_differ_most_at_the_clips_ends(copy, codec, recordings):
    clips = waveforms(copy, recordings)
    plant(copy, unmasked(codec, clips))
    status, metrics, failed = validated(copy, *CLEAN)
    assert status == 4
    assert metrics["exact"]["agreement"]["value"] < 0.97  # of 1
    assert metrics["exact"]["agreement_of_last_codes"]["value"] < 0.7
    assert metrics["exact"]["rows_equal"] <= 1  # the longest clip is not padded
    assert failed & {ALONE, ENDS}


def unmasked(codec, clips):
    """What most public scripts do: pad, encode, cut."""
    model, extractor = codec.reference._model, codec.reference._extractor
    inputs = extractor(audio=list(clips), sampling_rate=16_000, return_tensors="pt", padding=True)
    given = {name: value for name, value in inputs.items() if "mask" not in name}
    with torch.inference_mode():
        made = model.encode(**given).audio_codes[:, 0].numpy()
    return [codes[: len(clip) // 320 + 1] for codes, clip in zip(made, clips, strict=True)]


def test_a_shard_encoded_at_the_wrong_sample_rate_is_found_by_counts_and_codes(copy, codec, recordings):
    slow = [resample(torch.from_numpy(clip), 16_000, 22_050) for clip in waveforms(copy, recordings)]
    plant(copy, [codec.encode(clip[None], torch.tensor([len(clip)]))[0] for clip in slow])
    status, metrics, failed = validated(copy, *CLEAN)
    assert status == 4
    assert metrics["integrity"]["rows"]["wrong_code_count"] == CLIPS
    assert metrics["exact"]["agreement"]["value"] < 0.2  # of 1
    assert metrics["exact"]["rows_with_another_number_of_codes"] == CLIPS
    assert ALONE in failed


def listener(codec, recordings, judge=None):
    return Listener(codec, recordings, [], speech_by_level, judge)


def test_shuffled_transcripts_are_heard(copy, codec, recordings):
    judge, missing = find_judge("build/models/tiny.en.pt", None)
    if judge is None:
        pytest.skip(missing[0].install)
    rows = sample(copy)[:3]
    texts = [row.text for row in rows]
    shuffled = [dataclasses.replace(row, text=texts[place - 1]) for place, row in enumerate(rows)]
    listening = listener(codec, recordings, judge)
    right = round_trip_summary(listening.measure(rows))["rows_with_other_words"]
    wrong = round_trip_summary(listening.measure(shuffled))["rows_with_other_words"]
    assert (right["value"], wrong["value"]) == (0, 1)


@pytest.mark.parametrize(
    ("damage", "figure"),
    [
        (lambda clip: np.clip(clip * 6, -0.9, 0.9), "rows_clipped"),
        (lambda clip: np.random.default_rng(0).normal(0, 2e-4, len(clip)).astype(np.float32), "rows_faint"),
        (lambda clip: clip + 0.1, "rows_dc_offset"),
    ],
    ids=["clipping", "silence", "offset"],
)
def test_bad_recordings_are_counted(copy, codec, recordings, monkeypatch, damage, figure):
    load = Recordings.load

    def damaged(self, row):
        source, rate, clip = load(self, row)
        return damage(source), rate, damage(clip)

    before = audio_summary(listener(codec, recordings).measure(sample(copy)))
    monkeypatch.setattr(Recordings, "load", damaged)
    after = audio_summary(listener(codec, recordings).measure(sample(copy)))
    assert (before[figure]["value"], after[figure]["value"]) == (0, 1)
    assert after["rows_with_bad_audio"]["value"] == 1


def test_a_vanished_recording_is_a_figure_and_not_an_error(copy, codec, recordings):
    rows = [dataclasses.replace(sample(copy)[0], audio="gone.wav")]
    figures = listener(codec, recordings).measure(rows)
    assert "cannot be decoded" in figures[0]["problem"]
    assert audio_summary(figures)["rows_without_source"]["value"] == 1
