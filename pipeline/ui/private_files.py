"""Where the page keeps files, and how long: one folder that nobody else can read, gone when the page ends.

What a page leaves that is killed, the next one removes.
"""

from __future__ import annotations

import os
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pipeline.storage.scratch import scratch_folder

KEPT = (600, 6 * 3600)  # seconds between looks for old files, and how old a spoken or uploaded one becomes


@contextmanager
def private_files() -> Iterator[None]:
    """Keep what is written inside the block in one folder that only this user can read, then remove it.

    Uploads, spoken files and archives go there; gradio would leave them in /tmp, readable by all. It reads
    the place when it is imported, so that must happen inside the block. What is old is removed before that.
    """
    before = os.umask(0o077), tempfile.tempdir
    ended = threading.Event()
    with scratch_folder("page") as folder:
        tempfile.tempdir = os.environ["GRADIO_TEMP_DIR"] = str(folder)
        threading.Thread(target=_forget, args=(folder, ended), daemon=True).start()
        try:
            yield
        finally:
            ended.set()
            os.umask(before[0])
            tempfile.tempdir = before[1]
            del os.environ["GRADIO_TEMP_DIR"]


def _forget(folder: Path, ended: threading.Event) -> None:
    """Remove old files until the page `ended`; gradio's own `delete_cache` knows nothing of spoken ones."""
    every, age = KEPT
    while not ended.wait(every):
        for path in folder.glob("*/*"):
            with suppress(OSError):  # another thread may have removed it
                if time.time() - path.stat().st_ctime > age:  # when it was written, or handed out again
                    path.unlink()
