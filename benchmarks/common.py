"""What every benchmark writes beside its figures: the versions and the processor they were measured on."""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
import platform
import resource
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, TypeVar

from pipeline.runtime import end_with_parent

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

T = TypeVar("T")
RESULTS = Path(__file__).parent / "results"


class Store:
    """An S3 server on this machine: how long it holds back each answer, and what it was asked.

    moto goes through all objects for each thousand it lists, which no store does: so it tells its own time.
    """

    def __init__(self) -> None:
        spawn = multiprocessing.get_context("spawn")
        self.latency = spawn.Value("d", 0.0)  # seconds
        self.requests = spawn.Value("q", 0)  # until now
        self.answering = spawn.Value("d", 0.0)  # seconds until now, without what was held back


@contextmanager
def s3_store() -> Iterator[Store]:
    """Start moto's server in a process of its own and point the environment to it."""
    held = Store()
    spawn = multiprocessing.get_context("spawn")
    here, there = spawn.Pipe()
    with here:
        server = spawn.Process(target=_serve, args=(there, held))
        server.start()
        there.close()
        keys = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}
        os.environ.update(keys | {"AWS_ENDPOINT_URL": here.recv(), "AWS_DEFAULT_REGION": "us-east-1"})
        yield held
    server.join()


def _serve(until_closed: Connection, held: Store) -> None:
    """Serve until the other end of the connection is closed; the address is said there."""
    from moto.server import DomainDispatcherApplication, ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    answer = DomainDispatcherApplication.__call__

    def answered(application: Any, environ: dict[str, Any], respond: Any) -> Any:
        time.sleep(held.latency.value)
        begun = time.perf_counter()
        answered = answer(application, environ, respond)
        with held.requests.get_lock():
            held.requests.value += 1
            held.answering.value += time.perf_counter() - begun
        return answered

    DomainDispatcherApplication.__call__ = answered
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    until_closed.send("http://{}:{}".format(*server.get_host_and_port()))
    with suppress(EOFError):
        until_closed.recv()
    server.stop()


def apart(measure: Callable[..., T], *arguments: Any) -> T:
    """Return what `measure` does with a temporary folder and `arguments` in a process of its own."""
    spawn = multiprocessing.get_context("spawn")
    with TemporaryDirectory() as folder, ProcessPoolExecutor(1, spawn, end_with_parent) as process:
        return process.submit(measure, Path(folder), *arguments).result()


def environment() -> dict[str, Any]:
    """Processor, cores and the versions of what does the work."""
    packages = ("torch", "torchaudio", "transformers", "datasets", "pyarrow", "soundfile")
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [
            line.partition(":")[2].strip()
            for line in cpuinfo.read_text().splitlines()
            if "model name" in line
        ]
        model = names[0] if names else model
    return {
        "cpu": model,
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in packages},
    }


def save(name: str, figures: dict[str, Any]) -> None:
    """Write `results/{name}.json`."""
    RESULTS.mkdir(exist_ok=True)
    content = {"environment": environment(), **figures}
    (RESULTS / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n")


def add(name: str, figures: dict[str, Any]) -> None:
    """Write figures into `results/{name}.json`; those of other keys stay."""
    path = RESULTS / f"{name}.json"
    found = json.loads(path.read_text()) if path.exists() else {}
    found.pop("environment", None)
    save(name, found | figures)


def forget_peak() -> None:
    """Begin anew with the peak of this process's memory (Linux)."""
    Path("/proc/self/clear_refs").write_text("5")


def peak_mib() -> dict[str, int]:
    """The peak of this process's memory since it began or forgot it, and that of its largest ended child.

    The first is not what `getrusage` says: that begins with the peak of whoever started the process.
    """
    status = Path("/proc/self/status").read_text()
    own = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:"))
    child = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return {"peak_mib": round(own / 1024), "peak_mib_of_largest_child": round(child / 1024)}


def cpu_seconds() -> float:
    """Seconds of processor that this process and its ended children have taken."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def seconds(work: Callable[[], object]) -> float:
    """Wall-clock time of one call."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
