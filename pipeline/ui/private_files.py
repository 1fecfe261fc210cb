"""Where the page keeps files: one folder that nobody else can read, gone when the page ends.

What a page leaves that is killed, the next one removes.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from pipeline.storage.scratch import scratch_folder


@contextmanager
def private_files() -> Iterator[None]:
    """Keep what is written inside the block in one folder that only this user can read, then remove it.

    Uploads, spoken files and archives go there; gradio would leave them in /tmp, readable by all. It reads
    the place when it is imported, so that must happen inside the block.
    """
    before = os.umask(0o077), tempfile.tempdir
    with scratch_folder("page") as folder:
        tempfile.tempdir = os.environ["GRADIO_TEMP_DIR"] = str(folder)
        try:
            yield
        finally:
            os.umask(before[0])
            tempfile.tempdir = before[1]
            del os.environ["GRADIO_TEMP_DIR"]
