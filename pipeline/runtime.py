"""What this machine offers: the repository's files, cache folders, compilers and devices.

Every device is picked here, and so every process that computes on CUDA has the same settings. Importing this
module loads nothing heavy.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pipeline.errors import UsageError

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

    import torch

T = TypeVar("T")
Made = TypeVar("Made")

_PACKAGE = Path(__file__).resolve().parent
_SHARED = _PACKAGE / "shared"  # what a wheel brings along of configs/ and data/sample/ (pyproject.toml)
REPOSITORY = _SHARED if _SHARED.is_dir() else _PACKAGE.parent
COMPILERS = ("g++", "c++", "clang++")
ALLOCATOR_SETTINGS = ("PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF")  # PyTorch's, by its new and old name
NO_MEMORY = re.compile(  # the words of CUDA and Triton, of cuBLAS, cuFFT and cuDNN, and of PyTorch on a CPU
    r"\bout of memory\b|_ALLOC_FAILED\b|_ALLOCATION_FAILED\b"
    r"|DefaultCPUAllocator: (can't allocate|not enough) memory"
)


def import_what_first_use_would() -> None:
    """Import what libraries leave until they are first used, before threads use them.

    Threads that import at once may be given a half-made module, and one was seen to wait for ever.
    """
    import av.subtitles.stream  # noqa: F401 - by the first file that is opened
    import numpy.fft  # noqa: F401 - by its first transform
    import pyarrow

    pyarrow.array([0])  # pandas, where it is installed


def ahead(
    pool: ThreadPoolExecutor, work: Callable[[T], Made], items: Iterable[T], count: int
) -> Iterator[Made]:
    """Yield what comes of each item, in order, while `count` of them are under way or wait to be taken."""
    waiting = iter(items)
    under_way = deque(pool.submit(work, item) for item in islice(waiting, count))
    try:
        while under_way:
            yield under_way.popleft().result()
            under_way.extend(pool.submit(work, item) for item in islice(waiting, 1))
    finally:
        for one in under_way:
            one.cancel()


def end_with_parent(first: Callable[[], object] = lambda: None) -> None:
    """Let this process, a child by multiprocessing, do something and end once its parent has gone."""
    from multiprocessing import parent_process

    def follow() -> None:
        if (parent := parent_process()) is not None:
            parent.join()
            first()
            os._exit(1)

    threading.Thread(target=follow, name="end-with-parent", daemon=True).start()


def cores() -> int:
    """Return how many cores this process may use; only Linux tells, elsewhere it may use all."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def find_file(name: str) -> Path | None:
    """Find a file or folder here or below the repository's root; None if neither has it."""
    candidates = (Path(name).expanduser(), REPOSITORY / name)
    return next((path for path in candidates if path.exists()), None)


def cache_folder(name: str = "") -> Path:
    """Return `$XDG_CACHE_HOME/llasa-dataset/name`, made if it is missing."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(base, "llasa-dataset", name)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def keep_compiled_code() -> None:
    """Let `torch.compile` and Triton cache in the cache folder; their default is in /tmp."""
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(cache_folder("inductor")))
    os.environ.setdefault("TRITON_CACHE_DIR", str(cache_folder("triton")))


def cpp_compiler() -> str | None:
    """Return the path of a C++ compiler: `$CXX`, else the first of COMPILERS; None if there is none."""
    named = os.environ.get("CXX")
    found = (shutil.which(name) for name in ([named] if named else COMPILERS))
    return next((path for path in found if path), None)


def pick_device(name: str) -> torch.device:
    """Turn `auto`, `cpu`, `cuda` or `cuda:N` into a device, ready to compute on.

    Sets CUDA up for the whole process, see `set_up_cuda`. Raises UsageError if the device is not there.
    """
    import torch

    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UsageError(f"no device {name!r}: give auto, cpu, cuda or cuda:N") from error
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UsageError(
            f"no device {name}: this machine shows {torch.cuda.device_count()} CUDA GPUs; try --device auto"
        )
    if device.type == "cuda":
        set_up_cuda(device)
    return device


def set_up_cuda(device: torch.device) -> None:
    """Make `device` the current one and let results depend on neither timing nor TF32, in this process.

    Triton launches on the current device, and the thread that pins memory opens its context there. TF32 keeps
    10 of float32's 23 bits, so codes would not be those of float32. cuDNN's benchmark picks algorithms by
    their time, so two runs could differ; its attention builds a plan for every new shape, 0.4 s each on a
    recent GPU. Expandable segments let batches of many sizes share memory; a user's own setting stays.
    """
    import torch

    if not any(name in os.environ for name in ALLOCATOR_SETTINGS):
        os.environ[ALLOCATOR_SETTINGS[0]] = "expandable_segments:True"  # read when CUDA starts
    torch.cuda.set_device(device)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True
    torch.backends.cuda.enable_cudnn_sdp(False)


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether `error` says that a device, or the host, had no memory left for a tensor."""
    import torch

    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and NO_MEMORY.search(str(error)) is not None


@contextmanager
def quiet() -> Iterator[None]:
    """Hide transformers' progress bars and reports, and the Hub client's retry notices, inside the block."""
    from transformers.utils import logging as transformers_logging

    hub, shown = logging.getLogger("huggingface_hub"), transformers_logging.is_progress_bar_enabled()
    before, verbosity = hub.level, transformers_logging.get_verbosity()
    hub.setLevel(logging.ERROR)
    transformers_logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        hub.setLevel(before)
        transformers_logging.set_verbosity(verbosity)
        if shown:
            transformers_logging.enable_progress_bar()  # type: ignore[no-untyped-call]
