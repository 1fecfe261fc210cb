"""A process that has everything imported and forks a child for each command line: a run costs milliseconds.

Run as a program, it reads jobs (JSON, one a line) and answers each with the exit status of its child.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import io
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
TIME_LIMIT = 120.0  # seconds after which a command hangs
HUNG = "hung"
PRELOADED = (  # whatever a verb imports late
    "av",
    "pipeline.build.dataset",
    "pipeline.build.engines.local",
    "pipeline.build.ranks",
    "pipeline.annotate.annotators.duplicates",
    "pipeline.annotate.annotators.level",
    "pipeline.annotate.api",
    "pipeline.cli.annotate",
    "pipeline.cli.create",
    "pipeline.cli.export",
    "pipeline.cli.plan",
    "pipeline.cli.push",
    "pipeline.cli.segment",
    "pipeline.cli.select",
    "pipeline.cli.speak",
    "pipeline.cli.status",
    "pipeline.cli.validate",
    "pipeline.codec.fake",
    "pipeline.export.formats",
    "pipeline.llasa.speak",
    "pipeline.publish.push",
    "pipeline.segment.run",
    "pipeline.select.api",
    "pipeline.validate.report.writing",
    "pipeline.validate.session",
    "pandas",
    "pyarrow.parquet",
    "soundfile",
    "torchaudio",
)


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    status: int | str  # exit status, the negative number of a signal, or HUNG
    out: str
    err: str


class Zygote:
    """The process, for whom it works: one command at a time."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self._said = folder / "out", folder / "err"
        self._workers = folder / "workers"  # what loader processes say
        self._workers.touch()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "faults.zygote"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            env={
                **os.environ,
                "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}",
                "FAULTS_WORKERS": str(self._workers),
                **environment,
            },
            text=True,
        )
        assert self._process.stdout is not None
        if self._process.stdout.readline() != "ready\n":
            self.close()
            raise RuntimeError("the process that runs the commands did not start")

    def run(self, *words: str, fork: bool = True, workers: bool = False) -> Ended:
        """Run `python -m pipeline` with these words, in a child or (`fork` False) in the process itself.

        With `workers`, loader processes come from a server that this process holds, which saves their start.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        out, err = self._said
        print(json.dumps([words, str(out), str(err), fork, workers]), file=self._process.stdin, flush=True)
        status = json.loads(self._process.stdout.readline())
        said = [path.read_text(errors="replace") for path in (out, err, self._workers)]
        self._workers.write_text("")
        return Ended(status, said[0], said[1] + said[2])

    def close(self) -> None:
        """End the process."""
        with self._process:
            assert self._process.stdin is not None
            self._process.stdin.close()


def serve() -> None:
    """Answer jobs until the input ends."""
    for name in PRELOADED:
        with contextlib.suppress(ModuleNotFoundError):
            __import__(name)
    import torch

    torch.set_num_threads(1)  # a pool of threads would not survive the fork
    _load_tokenizers_once()
    _warm_up()
    gc.collect()
    gc.freeze()
    answers = os.fdopen(os.dup(1), "w")
    print("ready", file=answers, flush=True)
    jobs = os.fdopen(os.dup(0))
    server = 0
    for line in jobs:
        words, out, err, fork, workers = json.loads(line)
        if workers and not server:
            server = _hold_fork_server()
        child = os.fork() if fork else -1
        if child == 0:
            os.setsid()
            os._exit(_answer(words, out, err, ends=True))
        status = _wait(child) if fork else _answer(words, out, err)
        if server and not _childless(server):
            status = HUNG
        print(json.dumps(status), file=answers, flush=True)


def _hold_fork_server() -> int:
    """Start the server whose copies are loader processes, for every child to find it running; its process."""
    from multiprocessing import forkserver, process

    from pipeline.loader.processes import fork_server

    config: dict[str, Any] = process.current_process()._config  # type: ignore[attr-defined]
    config["tempdir"] = tempfile.mkdtemp(prefix="server-", dir=os.environ["HF_HOME"])  # out of the box
    fork_server()
    held: Any = forkserver._forkserver  # type: ignore[attr-defined]
    before = os.dup(2)
    said = os.open(os.environ["FAULTS_WORKERS"], os.O_WRONLY | os.O_APPEND)
    os.dup2(said, 2)
    held.ensure_running()
    os.dup2(before, 2)
    held.ensure_running = lambda: None  # a child cannot ask after a process that is not its own
    del config["tempdir"]
    return int(held._forkserver_pid)


def _childless(server: int) -> bool:
    """Wait until the last loader process has ended; whether it does in time."""
    ends = time.monotonic() + TIME_LIMIT
    children = Path(f"/proc/{server}/task/{server}/children")
    while children.read_text().strip():
        if time.monotonic() > ends:
            return False
        time.sleep(0.005)
    return True


def _warm_up() -> None:
    """Make a dataset once, so that children find compiled templates and registered types."""
    from faults.scenarios import Place, build_corpus, create

    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        place = Place(Path(folder))
        build_corpus(place, clips=1)
        _main(place.words(create("out", "--format", "parquet")))
        _main(place.words(create("name.jsonl")))


def _load_tokenizers_once() -> None:
    import functools

    from pipeline.llasa_format import tokenizer

    tokenizer.load_tokenizer = functools.cache(tokenizer.load_tokenizer)
    if folder := os.environ.get("FAULTS_TOKENIZER"):
        tokenizer.load_tokenizer(folder)


def _wait(child: int) -> int | str:
    ended = select.poll()
    with os.fdopen(os.pidfd_open(child)) as process:
        ended.register(process, select.POLLIN)
        hung = not ended.poll(TIME_LIMIT * 1000)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)  # its loader workers too
    _, status = os.waitpid(child, 0)
    return HUNG if hung else os.waitstatus_to_exitcode(status)


def _answer(words: list[str], out: str, err: str, *, ends: bool = False) -> int:
    """Run a command with its streams in files and, where the process `ends` with it, what runs at its end."""
    for number, (name, flags) in enumerate(
        [(os.devnull, os.O_RDONLY), *((n, os.O_WRONLY | os.O_CREAT | os.O_TRUNC) for n in (out, err))]
    ):
        opened = os.open(name, flags, 0o600)
        os.dup2(opened, number)
        os.close(opened)
    try:
        status = _main(words)
        if ends:
            threading._shutdown()  # type: ignore[attr-defined]
            atexit._run_exitfuncs()
    except BaseException:
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    return status


def _main(words: list[str]) -> int:
    from pipeline.__main__ import main

    try:
        return main(words)
    except SystemExit as ended:
        code: Any = ended.code
        return code if isinstance(code, int) else int(code is not None)


if __name__ == "__main__":
    serve()
