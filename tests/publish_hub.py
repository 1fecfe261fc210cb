"""What the Hub on loopback holds, and what shall go wrong with it: for tests to look at and to break."""

from __future__ import annotations

import hashlib
import re
import threading
from dataclasses import dataclass, field

TOKEN = "hf_this_token_must_not_leak"
Tree = dict[str, tuple[bytes, bool]]  # path: content, in large file storage


@dataclass
class Fault:
    """What goes wrong with a request: `times` times, before the server acts on it or (`late`) after."""

    method: str
    path: str  # a regular expression
    status: int | None  # None: the connection is cut
    times: int = 1
    late: bool = False
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Commit:
    id: str
    tree: Tree
    title: str


@dataclass
class Hub:
    """The state of the server, for tests to look at and to break."""

    url: str = ""
    private: dict[str, bool] = field(default_factory=dict)  # by repository
    branches: dict[tuple[str, str], list[Commit]] = field(default_factory=dict)
    objects: dict[str, bytes] = field(default_factory=dict)  # large files by SHA-256
    requests: list[str] = field(default_factory=list)  # "METHOD path"
    refusal: str = ""  # what is said to each large file, if anything
    faults: list[Fault] = field(default_factory=list)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def uploads(self) -> list[str]:
        """SHA-256 of each large file that was sent, in order."""
        return [request.rpartition("/")[2] for request in self.requests if request.startswith("PUT /lfs/")]

    def files(self, repo: str, branch: str = "main") -> dict[str, bytes]:
        return {path: content for path, (content, _) in self.branches[repo, branch][-1].tree.items()}

    def commit(self, repo: str, branch: str, tree: Tree, title: str) -> Commit:
        history = self.branches.setdefault((repo, branch), [])
        made = Commit(hashlib.sha1(f"{repo}{branch}{len(history)}".encode()).hexdigest(), tree, title)
        history.append(made)
        return made

    def fault(self, method: str, path: str, late: bool) -> Fault | None:
        with self.lock:
            for fault in self.faults:
                if (
                    fault.times
                    and fault.late == late
                    and fault.method == method
                    and re.search(fault.path, path)
                ):
                    fault.times -= 1
                    return fault
        return None
