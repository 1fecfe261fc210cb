"""Who may write to an OUT in an object store: locks that are objects, on S3 and on Google's store."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import pytest
from engine_helpers import build_corpus, make, settings_for
from store_helpers import google, new_bucket, put, s3, stored

from pipeline.errors import PipelineError, UsageError
from pipeline.storage import claims, leases
from pipeline.storage.claims import Rank, claimed, claimed_rank
from pipeline.storage.files import remove, write_text
from pipeline.storage.leases import is_leased, leased
from pipeline.storage.paths import resolve_path, store

pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning:botocore", "ignore::ResourceWarning"
)  # aiohttp's connections to the server are closed with the process
STORES = {"s3": ("s3fs", s3), "gs": ("gcsfs", google)}  # package that reaches it, server


@pytest.fixture(scope="module", params=STORES)
def protocol(request) -> Iterator[str]:
    package, server = STORES[request.param]
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed")
    with server():
        yield request.param


@pytest.fixture
def bucket(protocol) -> Path:
    return new_bucket(protocol)


@pytest.fixture
def corpus(tmp_path, make_clip):
    return build_corpus(tmp_path, make_clip)


def test_guarantee_5_a_second_run_on_an_out_in_a_store_stops(bucket):
    root = bucket / "out"
    with claimed(root), pytest.raises(UsageError, match="another run is writing"):
        claimed(root).__enter__()
    with claimed_rank(root, Rank(0, 2), print) as claim:
        claim.planned()
        with pytest.raises(UsageError, match="another run is writing"):
            claimed(root).__enter__()
        with claimed_rank(root, Rank(1, 2), print) as other:
            assert not other.first
    with claimed(root):
        assert stored(root) == {}


@pytest.mark.parametrize(
    ("content", "winners"),
    [
        (None, 1),
        (b"", 1),
        (b"[1]", 1),
        (json.dumps({"owner": "dead", "until": time.time() - 1}).encode(), 1),
        (json.dumps({"owner": "alive", "until": time.time() + 3600}).encode(), 0),
    ],
    ids=["none", "empty", "odd", "expired", "live"],
)
def test_of_a_hundred_who_want_a_lease_at_once_one_has_it(bucket, content, winners):
    lease, holders, over = bucket / "lease", [], threading.Event()
    if content is not None:
        put(lease, content)

    def want(number: int) -> None:
        with leased(lease, wait=False) as held:
            if held:
                holders.append(number)
                over.wait()

    with ThreadPoolExecutor(16) as pool:
        tries = [pool.submit(want, number) for number in range(100)]
        ended = as_completed(tries)
        for _ in range(len(tries) - winners):
            next(ended).result()
        over.set()
    assert len(holders) == winners
    assert is_leased(lease) == (winners == 0)


def test_a_lease_is_renewed_while_its_owner_lives_and_void_some_time_after_it_died(bucket, monkeypatch):
    lease, script = bucket / "lease", [sys.executable, "-c", OWNER, str(bucket / "lease")]
    owner = subprocess.Popen(script, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[1])
    assert owner.stdout is not None
    owner.stdout.readline()
    fs, name = store(lease)
    for _ in range(3):
        before = fs.cat_file(name)
        while fs.cat_file(name) == before:
            pass
    owner.kill()
    owner.wait()
    owner.stdout.close()
    while is_leased(lease):
        pass
    with leased(lease, wait=False) as held:
        assert held


OWNER = """
import sys, threading
from pipeline.storage import claims, leases, paths
leases.SECONDS = 4.0
with leases.leased(paths.resolve_path(sys.argv[1]), wait=False) as held:
    print(held, flush=True)
    threading.Event().wait()
"""


def test_an_owner_whose_lease_was_taken_writes_nothing_more(tmp_path, bucket, corpus, monkeypatch):
    root = make(bucket / "out", settings_for(corpus))
    before = stored(root)
    monkeypatch.setattr(leases, "SECONDS", 4.0)
    with claimed(root):
        put(root / ".lock", json.dumps({"owner": "other", "until": time.time() + 3600}).encode())
        for thread in threading.enumerate():
            if thread.name == "lease":
                thread.join()
        with pytest.raises(PipelineError, match=r"the lock .* was lost"):
            write_text(root / "README.md", "mine")
        with pytest.raises(PipelineError, match=r"the lock .* was lost"):
            remove(root / "state" / "train-00000.json")
    assert stored(root) == before
    assert json.loads((root / ".lock").read_text())["owner"] == "other"


def test_a_whole_run_and_a_part_that_begin_together_never_both_work(bucket):
    root = bucket / "out"
    at_work: list[str] = []
    together: list[list[str]] = []

    def work(claim: contextlib.AbstractContextManager[object], name: str) -> None:
        with contextlib.suppress(UsageError), claim:
            at_work.append(name)
            together.append(list(at_work))
            at_work.remove(name)

    with ThreadPoolExecutor(2) as pool:
        for _ in range(15):
            tasks = [pool.submit(work, claimed(root), "whole")]
            tasks += [pool.submit(work, claimed_rank(root, Rank(0, 2), lambda line: None), "part")]
            for task in tasks:
                task.result()
    assert together
    assert all(len(names) == 1 for names in together)


def test_a_part_that_begins_while_a_whole_run_starts_looks_again(bucket, monkeypatch):
    """The whole run takes its lock after the part has looked for it, and finds no part yet."""
    root, real = bucket / "out", claims._ranks_at_work

    def meanwhile(folder: Path) -> list[Rank]:
        put(root / ".lock", json.dumps({"owner": "whole", "until": time.time() + 3600}).encode())
        return real(folder)

    monkeypatch.setattr(claims, "_ranks_at_work", meanwhile)
    with pytest.raises(UsageError, match="another run is writing"):
        claimed_rank(root, Rank(0, 2), print).__enter__()


def test_a_store_without_conditions_lets_nobody_take_a_dead_owner_s_lease(monkeypatch):
    lease = resolve_path("memory://bucket/out/.lock")
    with leased(lease, wait=False) as held:
        assert held
        with leased(lease, wait=False) as other:
            assert not other
    assert not lease.exists()
    put(lease, json.dumps({"owner": "dead", "until": time.time() - 1}).encode())
    with pytest.raises(UsageError, match=r"/bucket/out/\.lock was left by a run .* delete it"):
        leased(lease, wait=False).__enter__()
