"""Opens the recogniser that validation listens with, or says what is missing for it."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from pipeline.recognise.loading import GET_WHISPER, open_recogniser
from pipeline.recognise.recogniser import Recogniser
from pipeline.runtime import find_file
from pipeline.validate.listening.packages import INSTALL, Missing

PURPOSE = "word and character error rates"


def find_recogniser(name: str | None) -> tuple[Recogniser | None, list[Missing]]:
    """Open the recogniser that `name` names, or return what is missing for it.

    Raises UsageError if it cannot be loaded.
    """
    if name is None:
        return None, []
    if importlib.util.find_spec("jiwer") is None:
        return None, [Missing("jiwer", PURPOSE, INSTALL.format("jiwer"))]
    if Path(name).suffix == ".pt" and (
        find_file(name) is None or importlib.util.find_spec("whisper") is None
    ):
        how = f"{GET_WHISPER}, then {INSTALL.format('openai-whisper')}"
        return None, [Missing(f"the recogniser {name}", PURPOSE, how)]
    return open_recogniser(name), []
