"""Renders one chat template: reads a JSON request from standard input, writes the text. Run as a script.

A template is a stranger's program. Jinja's sandbox keeps it from files and code, not from looping for ever
or asking for all memory, so it runs in a process of its own, with limits (see `chat_template`).
"""

from __future__ import annotations

import contextlib
import json
import sys

SECONDS = 4  # of processor time
BYTES = 2 * 2**30  # of address space
LONGEST = 100_000  # characters of a prompt without its text


def limit_resources() -> None:
    """Make the system end this process when it takes too much, where it knows such limits."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
        resource.setrlimit(resource.RLIMIT_AS, (BYTES, BYTES))


def main() -> None:
    """Answer one request."""
    request = json.load(sys.stdin)
    limit_resources()
    from transformers.utils.chat_template_utils import render_jinja_template

    try:
        turns, template, values = request["turns"], request["template"], request["values"]
        text = render_jinja_template([turns], chat_template=template, **values)[0][0]
    except BaseException as error:  # also MemoryError, which is the template's doing
        sys.exit(f"{type(error).__name__}: {error}"[:500])
    if len(text) > LONGEST:
        sys.exit(f"it writes {len(text):,} characters around a text")
    sys.stdout.buffer.write(text.encode("utf-8", errors="surrogatepass"))


if __name__ == "__main__":
    main()
