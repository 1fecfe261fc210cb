"""How many tokens a second `transformers serve` makes of a model, for `benchmarks/speak.py`."""

from __future__ import annotations

import importlib.util
import socket
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from openai import OpenAI


def race_server(model: Any, tokenizer: Any, prompt: list[int], codes: int, rows: int) -> float | None:
    """Codes a second of `transformers serve` with `rows` requests at once; None where it cannot be had.

    Every token that it sends counts, since a random model also says others than codes.
    """
    command = Path(sys.executable).parent / "transformers"
    if not command.exists() or importlib.util.find_spec("fastapi") is None:
        return None
    with tempfile.TemporaryDirectory() as folder, socket.socket() as free:
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        options = [
            "--port",
            str(port),
            "--device",
            str(model.device),
            "--dtype",
            str(model.dtype).split(".")[1],
        ]
        server = subprocess.Popen(
            [command, "serve", folder, *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            client = OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="none", max_retries=120)
            ask = partial(count_served, client, folder, tokenizer.decode(prompt), codes)
            with ThreadPoolExecutor(rows) as pool:
                ask()  # loads the model
                started = time.perf_counter()
                said = sum(pool.map(lambda _: ask(), range(rows)))
                return said / (time.perf_counter() - started)
        finally:
            server.terminate()
            server.wait()


def count_served(client: Any, model: str, prompt: str, codes: int) -> int:
    """Tokens that the server made for one request."""
    answer = client.completions.create(model=model, prompt=prompt, max_tokens=codes, temperature=0.8)
    return int(answer.usage.completion_tokens)
