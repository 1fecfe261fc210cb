"""Builds the library that injects faults, and the memory that tells it which."""

from __future__ import annotations

import enum
import hashlib
import mmap
import os
import shutil
import struct
import subprocess
from pathlib import Path

SOURCE = Path(__file__).with_name("shim.c")
PATH_MAX = 4096
MAX_CALLS = 65536
ROOT_AT, CALLS_AT = 16, 16 + PATH_MAX  # bytes into `struct state` of shim.c
WHAT_AT = CALLS_AT + 8
KINDS_AT = WHAT_AT + 2 * PATH_MAX
SIZE = KINDS_AT + MAX_CALLS


class Mode(enum.IntEnum):
    """What happens at the chosen call, in the numbers of shim.c."""

    OFF = 0
    COUNT = 1  # nothing: calls are counted
    IO_ERROR = 2
    NO_SPACE = 3
    SHORT = 4  # half is written, and the next try succeeds
    FULL = 5  # half is written, and from then on there is no space
    KILL = 6  # before the call
    TORN = 7  # after half of the write
    KILL_AFTER = 8


KILLS = frozenset({Mode.KILL, Mode.TORN, Mode.KILL_AFTER})
NEEDS = {Mode.NO_SPACE: "wm", Mode.SHORT: "w", Mode.FULL: "wm", Mode.TORN: "w"}  # kinds of call; else all


def compiler() -> str | None:
    """The C compiler of this machine, if it has one."""
    return shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")


def build(folder: Path) -> Path:
    """Compile the library into `folder`, unless it is there."""
    library = folder / f"shim-{hashlib.sha256(SOURCE.read_bytes()).hexdigest()[:12]}.so"
    if not library.exists():
        folder.mkdir(parents=True, exist_ok=True)
        temporary = library.with_suffix(f".{os.getpid()}.tmp")
        command = [
            str(compiler()),
            "-O2",
            "-Wall",
            "-shared",
            "-fPIC",
            "-o",
            str(temporary),
            str(SOURCE),
            "-ldl",
        ]
        subprocess.run(command, check=True)
        temporary.replace(library)
    return library


class Injector:
    """The memory that the library shares with this process."""

    def __init__(self, file: Path, library: Path) -> None:
        file.write_bytes(bytes(SIZE))
        self.environment = {"LD_PRELOAD": str(library), "FAULTS_STATE": str(file)}
        with file.open("r+b") as opened:
            self._memory = mmap.mmap(opened.fileno(), SIZE)

    def arm(self, root: Path, mode: Mode, at: int = 0) -> None:
        """From now on, the `at`-th call below `root` (from 1) meets the fault."""
        self._memory[CALLS_AT : CALLS_AT + 8 + 2 * PATH_MAX] = bytes(8 + 2 * PATH_MAX)
        self._memory[ROOT_AT:CALLS_AT] = os.fsencode(root).ljust(PATH_MAX, b"\0")
        self._memory[:ROOT_AT] = struct.pack("=qq", mode, at)

    def disarm(self) -> None:
        """Let every call pass, uncounted."""
        self._memory[:8] = bytes(8)

    @property
    def kinds(self) -> str:
        """A letter for each call since `arm`: see `struct state`."""
        (calls,) = struct.unpack("=q", self._memory[CALLS_AT:WHAT_AT])
        return self._memory[KINDS_AT : KINDS_AT + calls].decode()

    @property
    def met(self) -> str:
        """Name and path of the call that met the fault; empty if none did."""
        return os.fsdecode(self._memory[WHAT_AT:KINDS_AT].split(b"\0")[0])
