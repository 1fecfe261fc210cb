"""Faults planted into a sound dataset: each is found, and the figure that moved is named with its size."""

import json

import numpy as np
import pyarrow as pa
import pytest
from validate_helpers import make_dataset, scanned, sound_row, sound_rows

from pipeline.build.plan import read_excluded
from pipeline.dataset.reader import Dataset
from pipeline.dataset.rows import SCHEMA
from pipeline.validate.suspects import write_suspects

BROKEN, TWICE = "Every row keeps the format's rules", "No audio twice"
LONG, STUCK = "Rows fit the training length", "Codes do not get stuck"
RATES, ORDER, HUMAN = "Text lengths fit durations", "Longer texts take longer", "Speech rates are human"
WIDE = SCHEMA.set(2, pa.field("code", pa.list_(pa.int64())))


@pytest.fixture
def rows():
    return sound_rows(300)


@pytest.mark.parametrize("form", ["jsonl", "arrow", "parquet"])
def test_a_sound_dataset_passes_in_every_format(tmp_path, rows, form):
    found, scan, suspects = scanned(make_dataset(tmp_path / "out", rows, form=form))
    assert (found["failed"], suspects) == ([], [])
    assert scan.rows == scan.planned == 300
    assert found["integrity"]["broken_share"] == 0
    assert found["statistics"]["length_correlation"] > 0.9
    assert found["statistics"]["languages"]["en"]["median"] == pytest.approx(14, abs=2)
    assert not any(found["integrity"]["rows"].values())


@pytest.mark.parametrize("form", ["jsonl", "arrow", "parquet"])
def test_codes_with_the_tokenizers_offset_are_told_as_such(tmp_path, rows, form):
    for row in rows[:30]:
        row["code"] = [code + 128_264 for code in row["code"]]
    dataset = make_dataset(tmp_path / "out", rows, form=form, schema=WIDE)
    found, _, _ = scanned(dataset)
    assert found["integrity"]["rows"]["token_ids_as_codes"] == 30  # of 0
    assert found["integrity"]["rows"]["code_outside_codebook"] == 30
    assert BROKEN in found["failed"]


def test_dropped_last_codes_are_counted(tmp_path, rows):
    for row in rows[::3]:
        row["code"] = row["code"][:-1]
    found, _, suspects = scanned(make_dataset(tmp_path / "out", rows))
    assert found["integrity"]["rows"]["wrong_code_count"] == 100
    assert found["integrity"]["rows"]["one_code_short"] == 100
    assert found["integrity"]["broken_share"] == pytest.approx(1 / 3)
    assert {suspect["row"] for suspect in suspects} == set(range(0, 300, 3))
    assert BROKEN in found["failed"]


def test_a_shard_encoded_at_half_the_sample_rate_has_half_the_codes(tmp_path, rows):
    for row in rows[100:200]:
        row["code"] = row["code"][::2]
    found, _, _ = scanned(make_dataset(tmp_path / "out", rows))
    assert found["integrity"]["rows"]["wrong_code_count"] == 100
    assert found["integrity"]["rows"]["one_code_short"] == 0
    assert BROKEN in found["failed"]


def test_rows_that_were_left_out_or_added_do_not_match_the_plan(tmp_path, rows):
    stranger = sound_row(999, np.random.default_rng(1))
    found, _, _ = scanned(make_dataset(tmp_path / "out", [*rows[:-2], stranger], planned=rows))
    assert found["integrity"]["rows_unaccounted"] == 1
    assert found["integrity"]["rows"]["not_in_plan"] == 1
    assert BROKEN in found["failed"]


def test_text_cut_short_differs_from_the_plan(tmp_path, rows):
    cut = [row | {"text": row["text"][:10]} if place < 9 else row for place, row in enumerate(rows)]
    found, _, _ = scanned(make_dataset(tmp_path / "out", cut, planned=rows))
    assert found["integrity"]["rows"]["text_differs_from_plan"] == 9
    assert BROKEN in found["failed"]


def test_text_cut_short_in_the_corpus_is_too_little_for_its_speech(tmp_path, rows):
    for row in rows[:30]:
        row["text"] = row["text"][: len(row["text"]) // 3]
    found, _, suspects = scanned(make_dataset(tmp_path / "out", rows))
    assert found["statistics"]["rate_outlier_share"] >= 0.07  # of 0; 30 of 300 were cut
    slow = {s["row"] for s in suspects if "speech_too_slow_for_text" in s["reasons"]}
    assert len(slow) >= 25
    assert slow <= set(range(30))
    assert RATES in found["failed"]


def test_half_speed_audio_stands_out_row_by_row(tmp_path, rows):
    for row in rows[:20]:
        row["duration"] = round(row["duration"] * 2, 6)
        samples = -(-round(row["duration"] * row["sample_rate"]) * 16_000 // row["sample_rate"])
        row["code"] = np.random.default_rng(0).integers(0, 65_536, samples // 320 + 1).tolist()
    found, _, suspects = scanned(make_dataset(tmp_path / "out", rows))
    slow = {s["row"] for s in suspects if "speech_too_slow_for_text" in s["reasons"]}
    assert slow == set(range(20))
    assert found["statistics"]["rate_outlier_share"] == pytest.approx(20 / 300)
    assert RATES in found["failed"]


def test_a_corpus_all_at_a_third_of_its_speed_is_not_how_people_speak(tmp_path, rows):
    for row in rows:
        row |= {"sample_rate": row["sample_rate"] // 3, "duration": round(row["duration"] * 3, 6)}
    found, _, _ = scanned(make_dataset(tmp_path / "out", rows))
    assert found["statistics"]["implausible_rate_share"] == 1
    assert HUMAN in found["failed"]


def test_shuffled_transcripts_say_nothing_of_durations(tmp_path, rows):
    texts = [row["text"] for row in rows]
    np.random.default_rng(0).shuffle(texts)
    for row, text in zip(rows, texts, strict=True):
        row["text"] = text
    found, _, _ = scanned(make_dataset(tmp_path / "out", rows))
    assert abs(found["statistics"]["length_correlation"]) < 0.2  # of 0.97
    assert ORDER in found["failed"]


def test_duplicates_are_counted_by_what_is_the_same(tmp_path, rows):
    rows[250] |= {"code": rows[1]["code"], "duration": rows[1]["duration"], "sample_rate": 44_100}
    rows[251]["text"] = rows[2]["text"].upper()
    rows[252]["audio"] = rows[3]["audio"]
    rows[253]["id"] = rows[4]["id"]
    found, _, suspects = scanned(make_dataset(tmp_path / "out", rows), max_duplicates=0)
    assert found["integrity"]["duplicates"] == {"id": 1, "audio": 1, "text": 1, "codes": 1}
    assert {s["row"] for s in suspects} >= {250, 252, 253}
    assert {BROKEN, TWICE} <= set(found["failed"])


def test_stuck_tails_runs_and_loops_are_measured(tmp_path, rows):
    for row in rows[:4]:
        row["code"][-60:] = [7] * 60
    for row in rows[4:8]:
        row["code"][:90] = [5, 6, 7] * 30
    found, scan, suspects = scanned(make_dataset(tmp_path / "out", rows))
    counts = found["integrity"]["rows"]
    assert (counts["stuck_tail"], counts["long_run_of_one_code"], counts["loop"]) == (4, 4, 4)
    assert scan.codes.longest_runs[60] == 4
    assert {s["values"].get("loop") for s in suspects if "loop" in s["reasons"]} == {90.0}
    assert STUCK in found["failed"]


def test_rows_without_room_in_training_are_told_from_those_that_may_fit(tmp_path, rows):
    longest = max(len(row["code"]) for row in rows)
    found, _, _ = scanned(make_dataset(tmp_path / "out", rows), max_length=longest, max_too_long=0)
    counts = found["integrity"]["rows"]
    assert counts["exceeds_training_length"] == sum(len(row["code"]) + 4 > longest for row in rows) > 0
    assert counts["may_exceed_training_length"] > 0
    assert LONG in found["failed"]


def test_a_damaged_file_is_named(tmp_path, rows):
    dataset = make_dataset(tmp_path / "out", rows, form="jsonl")
    path = dataset.files(1).data
    path.write_bytes(path.read_bytes().replace(b"please", b"plaese", 1))
    found, _, _ = scanned(Dataset(dataset.root))
    assert found["integrity"]["files_damaged"] == 1
    assert path.name in found["integrity"]["sentences"][0]
    assert BROKEN in found["failed"]


@pytest.mark.parametrize("form", ["jsonl", "arrow", "parquet"])
def test_a_file_that_cannot_be_read_or_is_gone_fails_and_ends_nothing(tmp_path, rows, form):
    dataset = make_dataset(tmp_path / "out", rows, form=form)
    dataset.files(0).data.write_bytes(b'{"id": "a", ')
    dataset.files(1).data.unlink()
    found, scan, _ = scanned(dataset)
    assert scan.rows == 100
    assert len(found["integrity"]["sentences"]) >= 2
    assert found["integrity"]["rows_unaccounted"] == 200
    assert BROKEN in found["failed"]


def test_an_unfinished_dataset_does_not_pass(tmp_path, rows):
    dataset = make_dataset(tmp_path / "out", rows)
    dataset.files(2).state.unlink()
    found, _, _ = scanned(dataset)
    assert found["integrity"]["shards_unfinished"] == 1
    assert BROKEN in found["failed"]


def test_japanese_is_counted_in_morae(tmp_path):
    rows = sound_rows(40)
    for row in rows:
        row |= {
            "language": "ja",
            "text": "きょうは いい てんきですね、" * max(round(row["duration"] * 7 / 12), 1),
        }
    found, _, _ = scanned(make_dataset(tmp_path / "out", rows))
    assert found["statistics"]["languages"]["ja"]["median"] == pytest.approx(7, abs=1)
    assert HUMAN not in found["failed"]


def test_suspects_can_be_given_to_exclude(tmp_path, rows):
    rows[5]["code"] = rows[5]["code"][:-1]
    _, _, suspects = scanned(make_dataset(tmp_path / "out", rows))
    path = tmp_path / "suspects.jsonl"
    assert write_suspects(path, suspects, lambda row: {"id": rows[row]["id"]}) == 1
    assert read_excluded(str(path)) == {"set/00005"}
    assert json.loads(path.read_text())["reasons"] == ["wrong_code_count"]
