"""The anti-aliased activation in one pass on a CPU: compiles and calls snake.cpp.

Needs a C++ compiler (`$CXX`, g++, c++ or clang++); without one `build` returns None and the plain path is
used. The library is cached in `$XDG_CACHE_HOME/llasa-dataset`, named by its source, its compiler and what
"this processor" means to that compiler, so machines that share a home folder do not run each other's.
"""

from __future__ import annotations

import ctypes
import hashlib
import logging
import os
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pipeline.codec.activation.parameters import Activation, snake_parameters
from pipeline.runtime import cache_folder, cpp_compiler
from pipeline.storage.scratch import scratch_folder

SOURCE = Path(__file__).with_name("snake.cpp")
FLAGS = (
    *("-O3", "-march=native", "-std=c++17", "-shared", "-fPIC", "-pthread"),
    *(
        "-fno-math-errno",
        "-fno-trapping-math",
        "-ffp-contract=fast",
    ),  # so that rounding and sums become vectors
)
BUILD_SECONDS = 120  # a compiler that takes longer is stuck


@cache
def build() -> Activation | None:
    """Return the activation, built now or found in the cache; None if no compiler here can build it."""
    compiler = cpp_compiler()
    if compiler is None:
        return None
    try:
        library = ctypes.CDLL(str(_built(compiler)))
    except (OSError, subprocess.SubprocessError) as error:
        words = getattr(error, "stderr", None) or error
        logging.getLogger(__name__).warning(
            "the activation kernel was not built, encoding is slower: %s", words
        )
        return None
    return _Kernel(library)


class _Kernel:
    """See `pipeline.codec.activation.parameters.Activation`; float32 in CPU memory."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._snake = library.snake
        self._snake.argtypes = [
            *[ctypes.c_void_p] * 3,
            *[ctypes.c_int64] * 3,
            *[ctypes.c_void_p] * 4,
            ctypes.c_int,
        ]
        self._snake.restype = None

    def __call__(self, module: Any, values: Tensor, lengths: Tensor) -> Tensor:
        values = values.float().contiguous()
        made = torch.empty_like(values)
        parameters = snake_parameters(module)
        read = [tensor.data_ptr() for tensor in parameters]
        self._snake(
            values.data_ptr(),
            made.data_ptr(),
            lengths.data_ptr(),
            *values.shape,
            *read,
            torch.get_num_threads(),
        )
        return made


def _built(compiler: str) -> Path:
    """Return the shared library's path.

    It is compiled under another name and renamed, so two runs do not clash.
    """
    target = subprocess.run(
        [compiler, "-march=native", "-E", "-dM", "-x", "c++", os.devnull],
        check=True,
        capture_output=True,
        timeout=BUILD_SECONDS,
    ).stdout  # the macros of this compiler for this processor
    name = hashlib.sha256(b"\0".join([SOURCE.read_bytes(), " ".join(FLAGS).encode(), target])).hexdigest()[
        :16
    ]
    finished = cache_folder() / f"snake-{name}.so"
    if not finished.is_file():
        with scratch_folder("compile", finished.parent) as folder:
            made = folder / "snake.so"
            subprocess.run(
                [compiler, *FLAGS, "-o", str(made), str(SOURCE)],
                check=True,
                capture_output=True,
                text=True,
                timeout=BUILD_SECONDS,
            )
            made.replace(finished)
    return finished
