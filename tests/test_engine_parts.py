"""A dataset made in parts by processes that share nothing but the output folder."""

from __future__ import annotations

import fcntl
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from engine_helpers import build_corpus, content, make, settings_for

from pipeline.__main__ import main
from pipeline.build.create import create, make_plan
from pipeline.build.engines import engine
from pipeline.build.ranks import beside_others, create_rank, rank_of
from pipeline.dataset import folder
from pipeline.dataset.reader import Dataset
from pipeline.errors import MissingPackage, PipelineError, UsageError
from pipeline.storage.claims import Rank, claimed, claimed_rank

PARTS = 3


@pytest.fixture
def corpus(tmp_path, make_clip):
    return build_corpus(tmp_path, make_clip)


def test_a_part_that_looks_while_another_begins_finds_its_dataset(tmp_path, corpus, monkeypatch):
    settings, look = settings_for(corpus), folder.strangers_in

    def look_late(root: Path) -> list[str]:
        monkeypatch.setattr(folder, "strangers_in", look)
        folder.open_or_init(root, settings)
        return look(root)

    monkeypatch.setattr(folder, "strangers_in", look_late)
    assert folder.check_output(tmp_path / "out", settings) is not None


def test_parts_at_once_make_the_bytes_of_one_process_and_the_last_one_closes(tmp_path, corpus):
    settings, root = settings_for(corpus), tmp_path / "parts/out"
    parts = [Rank(number, PARTS) for number in range(PARTS)]
    with ThreadPoolExecutor(PARTS) as pool:  # the locks are of open files, so threads contend as processes do
        ended = list(pool.map(lambda part: create_rank(root, settings, part, lambda line: None), parts))
    assert any(ended)
    assert content(root) == content(make(tmp_path / "whole/out", settings))


def test_any_later_run_finishes_what_a_part_left_undone(tmp_path, corpus):
    settings, root = settings_for(corpus), tmp_path / "parts/out"
    said: list[str] = []
    assert create_rank(root, settings, Rank(1, PARTS), said.append) is None
    assert "2 shards made; 4 left to other parts" in said[-1]
    assert [state.shard for state in Dataset(root).states()] == [1, 4]
    with claimed(root):
        create(root, settings, said.append)
    assert content(root) == content(make(tmp_path / "whole/out", settings))
    dataset = create_rank(root, settings, Rank(0, PARTS), said.append)
    assert dataset is not None
    assert dataset.stats()["rows"] == 24


def test_only_the_first_part_at_work_plans(tmp_path, corpus):
    settings, root = settings_for(corpus), tmp_path / "parts/out"
    with claimed_rank(root, Rank(0, PARTS), print) as claim:
        assert claim.first
        make_plan(root, settings, lambda line: None)
        claim.planned()
        said: list[str] = []
        assert create_rank(root, settings, Rank(1, PARTS), said.append) is None
    assert not [line for line in said if line.startswith("plan:")]
    assert [state.shard for state in Dataset(root).states()] == [1, 4]


def test_guarantee_5_whole_runs_and_parts_keep_each_other_out(tmp_path):
    root = tmp_path / "out"
    with claimed(root), pytest.raises(UsageError, match="another run is writing"):
        claimed_rank(root, Rank(0, 2), print).__enter__()
    with claimed_rank(root, Rank(0, 2), print) as claim:
        claim.planned()
        with pytest.raises(UsageError, match="another run is writing"):
            claimed(root).__enter__()
        with pytest.raises(UsageError, match=r"part 0 of 2 .* being made by another process"):
            claimed_rank(root, Rank(0, 2), print).__enter__()
        with pytest.raises(UsageError, match="in 2 parts, not 4"):
            claimed_rank(root, Rank(3, 4), print).__enter__()
        with claimed_rank(root, Rank(1, 2), print) as other:
            assert not other.first
    with claimed(root):
        pass


def test_a_part_waits_for_the_one_that_plans_and_says_so(tmp_path):
    said: list[str] = []
    descriptor = os.open(tmp_path / ".lock-planning", os.O_RDWR | os.O_CREAT)
    fcntl.flock(descriptor, fcntl.LOCK_EX)

    def say(line: str) -> None:
        said.append(line)
        os.close(descriptor)  # which lets go

    with claimed_rank(tmp_path, Rank(1, 2), say):
        pass
    assert said == ["part 1 of 2: waiting for another part to plan"]


@pytest.mark.parametrize(
    ("asked", "environment", "expected"),
    [
        ((None, None), {}, None),
        ((1, 4), {"RANK": "0", "WORLD_SIZE": "2"}, (1, 4)),
        ((0, 1), {}, None),
        ((None, None), {"RANK": "3", "WORLD_SIZE": "8"}, (3, 8)),
        ((None, None), {"RANK": "0", "WORLD_SIZE": "1"}, None),
        ((None, None), {"SLURM_PROCID": "2", "SLURM_NTASKS": "4"}, (2, 4)),
        (
            (None, None),
            {"SLURM_ARRAY_TASK_ID": "5", "SLURM_ARRAY_TASK_COUNT": "3", "SLURM_ARRAY_TASK_MIN": "3"},
            (2, 3),
        ),
        (
            (None, None),
            {
                "SLURM_ARRAY_TASK_ID": "8",
                "SLURM_ARRAY_TASK_COUNT": "3",
                "SLURM_ARRAY_TASK_MIN": "0",
                "SLURM_ARRAY_TASK_STEP": "4",
            },
            (2, 3),
        ),
    ],
)
def test_a_launcher_s_variables_say_which_part_this_is(asked, environment, expected):
    part = rank_of(*asked, environment)
    assert (part and (part.number, part.of)) == expected


@pytest.mark.parametrize(
    ("asked", "environment"),
    [
        ((4, 4), {}),
        ((1, None), {}),
        ((None, 3), {}),
        ((-1, 3), {}),
        ((None, None), {"SLURM_ARRAY_TASK_ID": "9", "SLURM_ARRAY_TASK_COUNT": "3"}),
    ],
)
def test_numbers_that_make_no_sense_are_refused(asked, environment):
    with pytest.raises(UsageError):
        rank_of(*asked, environment)


def test_torchrun_s_processes_on_one_machine_share_its_cores(corpus):
    settings = settings_for(corpus).with_values({"load.num_workers": None})
    assert beside_others(settings, {"RANK": "9"}) == settings
    shared = beside_others(settings, {"LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "99"})
    assert shared.load.num_workers == 1


def test_the_command_line_makes_parts_by_option_or_by_the_launcher_s_variables(
    tmp_path, corpus, monkeypatch, capsys
):
    words = ["create", corpus["corpus.audio"], corpus["corpus.text"], "-o", str(tmp_path / "out.jsonl")]
    words += ["--shard-size", "5", "--num-workers", "0"]
    assert main([*words, "--num-parts", "2", "--part", "1"]) == 0
    assert "left to other parts" in capsys.readouterr().out
    assert not (tmp_path / "out.jsonl").exists()
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert main(words) == 0
    assert "part 0 of 2 (by RANK)" in capsys.readouterr().out
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == 24


def test_an_engine_that_is_not_there_or_not_installed_is_told_in_one_sentence(monkeypatch):
    with pytest.raises(UsageError, match="--engine slurm is none of local, ray"):
        engine("slurm")
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.delitem(sys.modules, "pipeline.build.engines.ray", raising=False)
    with pytest.raises(MissingPackage, match=r"--engine ray needs the package ray: .*\[ray\]"):
        engine("ray")


def test_a_run_after_which_a_shard_is_not_done_says_so(tmp_path, corpus, monkeypatch):
    monkeypatch.setattr("pipeline.build.engines.engine", lambda name: lambda job, feed, watcher, say: None)
    with pytest.raises(PipelineError, match="shard 0 was taken back"):
        make(tmp_path / "out", settings_for(corpus))
