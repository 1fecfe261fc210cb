"""A sample of the sweep that `make faults` plays whole."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from faults.scenarios import Scenario, everything
from faults.shim import KILLS, build, compiler
from faults.sweep import Bench, bench

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or compiler() is None, reason="faults are injected by a C library on Linux"
)
FEW = 2  # faults a scenario: a kill, and an error of the disk


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    folder: Path = tmp_path_factory.mktemp("faults")
    with bench(folder / "bench", build(folder)) as opened:
        yield opened


@pytest.mark.parametrize("scenario", everything(), ids=lambda scenario: scenario.name)
def test_a_rerun_after_a_fault_gives_the_bytes_of_an_undisturbed_run(
    played: Bench, scenario: Scenario
) -> None:
    played.set_up(scenario)
    cases, chance = list(played.cases()), random.Random(scenario.name)
    kills = [case for case in cases if case.mode in KILLS]
    errors = [case for case in cases if case.mode not in KILLS]
    outcomes = [played.play(case) for some in (kills, errors) for case in chance.sample(some, FEW // 2)]
    assert [str(outcome) for outcome in outcomes if outcome.problems] == []
    assert all(outcome.call for outcome in outcomes), "a fault was not met"
