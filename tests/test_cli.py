"""The commands as a user types them, in a process of their own, on the sample corpus with its codec."""

import argparse
import importlib
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipeline.__main__ import VERBS
from pipeline.codec.loading import half_precision
from pipeline.runtime import pick_device

ROOT = Path(__file__).parents[1]
CLIPS = 64


def run(*arguments, status=0, **options):
    done = subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        **options,
    )
    assert done.returncode == status, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    out = tmp_path_factory.mktemp("cli") / "out"
    return out, run("create_dataset.py", "-o", out)


def test_the_sample_corpus_becomes_a_dataset_with_a_summary(finished):
    out, done = finished
    assert f"plan: {CLIPS} utterances (columns)" in done.stdout
    assert f"{out}: {CLIPS} rows" in done.stdout
    assert "× real time" in done.stdout
    assert {path.name for path in out.iterdir() if path.name[0] != "."} == {
        "README.md",
        "config.yaml",
        "manifest",
        "data",
        "rejected",
        "state",
        "stats.json",
    }


def test_a_finished_dataset_is_reported_within_5_seconds_of_this_process(finished):
    out, _ = finished
    before = os.times()
    started = time.monotonic()
    done = run("create_dataset.py", "-o", out)
    after = os.times()
    assert "nothing to do" in done.stdout
    busy = (after.children_user + after.children_system) - (before.children_user + before.children_system)
    assert min(busy, time.monotonic() - started) < 5


def test_status_counts_and_verifies(finished):
    out, _ = finished
    done = run("-m", "pipeline", "status", out, "--verify")
    assert "1 of 1 shard done" in done.stdout
    assert "every file is as it was written" in done.stdout


def test_one_jsonl_file_holds_text_and_code(tmp_path):
    output = tmp_path / "dataset" / "data.jsonl"
    arguments = ("create_dataset.py", "data/sample/audio", "data/sample/transcripts.txt", "-o", output)
    done = run(*arguments, "--bf16", "--max-samples", 5)
    without = half_precision(True, pick_device("auto")) is None
    assert ("note: this processor has no bf16 instructions" in done.stderr) is without
    content = output.read_bytes()
    rows = [json.loads(line) for line in content.decode().splitlines()]
    assert [set(row) for row in rows] == [{"text", "code"}] * 5
    texts = (ROOT / "data/sample/transcripts.txt").read_text().splitlines()[:5]
    assert [row["text"] for row in rows] == [line.split(":", 1)[1] for line in texts]
    before = output.stat().st_mtime_ns
    run(*arguments, "--bf16", "--max-samples", 5)
    assert (output.read_bytes(), output.stat().st_mtime_ns) == (content, before)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["no/such/folder", "data/sample/transcripts.txt"], "no/such/folder"),
        (["data/sample/audio", "no/such/file.txt"], "no/such/file.txt"),
        (["--codec", "no/such/codec"], "no/such/codec"),
        (["--set", "codec.colour=red"], "codec.colour"),
        (["--config", "no.yaml"], "cannot read the configuration no.yaml"),
        (["--set", "output.shard_size=0"], "output.shard_size = '0'"),
        (["--transcripts", "runes"], "runes"),
    ],
)
def test_a_users_mistake_is_one_sentence_and_status_2(tmp_path, arguments, message):
    done = run("create_dataset.py", *arguments, "-o", tmp_path / "out", status=2)
    assert message in done.stderr
    assert done.stderr.startswith("error: ")
    assert len(done.stderr.strip().splitlines()) == 1


def test_other_settings_for_the_same_output_are_refused_before_anything_heavy(finished):
    out, _ = finished
    done = run("create_dataset.py", "-o", out, "--format", "parquet", status=2)
    assert "output.format was 'jsonl' and is now 'parquet'" in done.stderr


def test_more_rejections_than_allowed_end_with_status_3(tmp_path):
    text = tmp_path / "text.txt"
    lines = (ROOT / "data/sample/transcripts.txt").read_text().splitlines()[:2]
    text.write_text("\n".join([*lines, "gone:no audio"]) + "\n")
    arguments = ("data/sample/audio", text, "-o", tmp_path / "out", "--max-reject-rate", 0.1)
    done = run("create_dataset.py", *arguments, status=3)
    assert "33.3% of the utterances were rejected" in done.stderr
    assert "1 missing_audio" in done.stderr


def test_planning_writes_the_manifest_and_encodes_nothing(tmp_path):
    done = run("-m", "pipeline", "plan", "-o", tmp_path / "out", "--shard-size", 10)
    assert "7 shards, 7 of them to do" in done.stdout
    assert not (tmp_path / "out" / "data").exists()


def test_a_corpus_of_one_s_own_has_its_own_licence_and_is_told_which_codec_it_went_through(tmp_path):
    text = tmp_path / "text.txt"
    text.write_text((ROOT / "data/sample/transcripts.txt").read_text().splitlines()[0] + "\n")
    clip = next((ROOT / "data/sample/audio").rglob(text.read_text().split(":")[0] + "*"))
    (tmp_path / "clips" / clip.parent.name).mkdir(parents=True)
    shutil.copy(clip, tmp_path / "clips" / clip.parent.name / clip.name)
    done = run("create_dataset.py", tmp_path / "clips", text, "-o", tmp_path / "out")
    assert "codec: the sample's, which knows one voice" in done.stdout
    card = (tmp_path / "out/README.md").read_text()
    assert "license: unknown" in card
    assert "The recordings and their texts: unknown." in card


def test_the_sample_corpus_keeps_its_licence(finished):
    out, done = finished
    assert "license: cc-by-sa-3.0" in (out / "README.md").read_text()
    assert "knows one voice" not in done.stdout


def options_by_verb():
    """Each long option, and how each verb that has it shows it: its value's name and type."""
    found = {}
    for verb in VERBS:
        parser = argparse.ArgumentParser()
        importlib.import_module(f"pipeline.cli.{verb.replace('-', '_')}").add_arguments(parser)
        for action in parser._actions:
            for option in action.option_strings:
                found.setdefault(option, {})[verb] = action
    return found


def test_every_verb_that_writes_somewhere_spells_it_alike():
    output = options_by_verb()["--output"]
    assert set(output) == {"segment", "create", "plan", "select", "export", "speak", "export-onnx"}
    assert all(action.option_strings == ["-o", "--output"] for action in output.values())


def test_an_option_that_several_verbs_have_takes_the_same_in_each():
    named_after_what_is_written = {"-o", "--output", "--report"}
    shared = {option: verbs for option, verbs in options_by_verb().items() if len(verbs) > 1}
    assert {"--codec", "--device", "--audio", "--seed", "--asr", "--tokenizer", "--json"} <= set(shared)
    differing = {
        option: {verb: (action.metavar, action.type) for verb, action in verbs.items()}
        for option, verbs in shared.items()
        if option not in named_after_what_is_written
        and len({(action.metavar, action.type, action.nargs) for action in verbs.values()}) > 1
    }
    assert differing == {}
