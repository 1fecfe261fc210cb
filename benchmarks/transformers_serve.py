"""How many tokens a second `transformers serve` makes of a model, for `benchmarks/speak.py`."""

from __future__ import annotations

import importlib.util
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from openai import OpenAI
from transformers import GenerationConfig


def race_server(
    model: Any,
    tokenizer: Any,
    prompt: list[int],
    sampling: dict[str, Any],
    rows: int,
    best: Callable[[Callable[[], object]], float],
) -> float | None:
    """Tokens a second of `transformers serve` with `rows` requests at once; None where it cannot be had.

    `sampling` is what `generate` is given, in which a smallest and a largest number of tokens are the same;
    `best` times a call, after one to warm up. Raises ValueError if the server reads another prompt or makes
    another number of tokens, since the race would not be fair then.
    """
    if importlib.util.find_spec("fastapi") is None:
        return None
    codes = sampling["max_new_tokens"]
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        GenerationConfig(**{**model.generation_config.to_diff_dict(), **sampling}).save_pretrained(folder)
        with serving(folder, model, compiled=model.device.type == "cuda", batched=rows > 1) as address:
            client = OpenAI(base_url=f"{address}/v1", api_key="none", max_retries=120, timeout=600)

            def ask(_: int) -> None:
                answer = client.completions.create(
                    model=folder, prompt=tokenizer.decode(prompt), max_tokens=codes
                )
                made = (answer.usage.prompt_tokens, answer.usage.completion_tokens)
                if made != (len(prompt), codes):
                    raise ValueError(f"the server read and made {made} tokens, not {(len(prompt), codes)}")

            with ThreadPoolExecutor(rows) as pool:
                return rows * codes / best(lambda: list(pool.map(ask, range(rows))))


@contextmanager
def serving(folder: str, model: Any, *, compiled: bool, batched: bool) -> Iterator[str]:
    """Serve the folder in the model's dtype, on its device, with as many threads; yield the address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = ["--port", str(port), "--device", str(model.device), "--dtype", str(model.dtype).split(".")[1]]
    options += ["--compile"] if compiled else []
    options += ["--continuous-batching"] if batched else []
    server = subprocess.Popen(
        [str(Path(sys.executable).parent / "transformers"), "serve", folder, *options],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())},
    )
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait()
