"""Renders a tokenizer's chat template, which is a stranger's program, with limits of time and memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

from pipeline.errors import UsageError
from pipeline.llasa_format import template_child

SECONDS = 60.0  # until an answer must be there, on a busy machine too
CHILD = Path(template_child.__file__)


def render_ids(tokenizer: Any, turns: list[dict[str, str]], name: str, **values: str) -> list[int]:
    """Return the token ids of a conversation, as `tokenizer.apply_chat_template` does, `values` given to it.

    Raises UsageError, which calls the tokenizer `name`, if its template fails or takes too long.
    """
    values = {**tokenizer.special_tokens_map, **values}
    try:
        template = tokenizer.get_chat_template()
        request = json.dumps({"template": template, "turns": turns, "values": values})
    except (ValueError, TypeError) as error:
        raise UsageError(f"the chat template of {name} cannot be used: use a LLASA tokenizer") from error
    failure, text = _rendered(request)
    if failure:
        raise UsageError(f"the chat template of {name} {failure}: use a LLASA tokenizer")
    ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    return ids


@lru_cache(maxsize=64)
def _rendered(request: str) -> tuple[str, str]:
    """Return what is wrong with the template, or nothing, and the text it gives."""
    try:
        done = subprocess.run(
            [sys.executable, "-I", str(CHILD)],
            input=request.encode(),
            capture_output=True,
            timeout=SECONDS,
            check=False,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},  # threads take room
        )
    except subprocess.TimeoutExpired:
        return "takes too much time", ""
    if done.returncode < 0:
        return "takes too much time or memory", ""
    if done.returncode > 0:
        said = done.stderr.decode(errors="replace").strip().splitlines() or ["no reason given"]
        return f"fails ({said[-1][:200]})", ""
    return "", done.stdout.decode("utf-8", errors="surrogatepass")
