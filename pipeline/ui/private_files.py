"""Where the page keeps files: one folder that nobody else can read, gone when the page ends."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def private_files() -> Iterator[None]:
    """Keep what is written inside the block in one folder that only this user can read, then remove it.

    Uploads, spoken files and archives go there; gradio would leave them in /tmp, readable by all. It reads
    the place when it is imported, so that must happen inside the block.
    """
    before = os.umask(0o077), tempfile.tempdir
    with tempfile.TemporaryDirectory(prefix="llasa-page-", ignore_cleanup_errors=True) as folder:
        tempfile.tempdir = os.environ["GRADIO_TEMP_DIR"] = folder
        try:
            yield
        finally:
            os.umask(before[0])
            tempfile.tempdir = before[1]
            del os.environ["GRADIO_TEMP_DIR"]
