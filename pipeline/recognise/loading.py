"""Opens the recogniser that a name means.

A name is a Hugging Face id or folder (Whisper, or whatever transformers' pipeline takes), a checkpoint of
openai-whisper (`tiny.en.pt`), or `faster-whisper:` with a size, id or folder of CTranslate2's weights.
"""

from __future__ import annotations

from pathlib import Path

from pipeline.errors import MissingPackage, UsageError
from pipeline.recognise.recogniser import Recogniser
from pipeline.runtime import find_file, pick_device

GET_WHISPER = "python tools/fetch_whisper.py"
FASTER_WHISPER = "faster-whisper:"
FAKE = "fake:"  # for tests


def open_recogniser(name: str, device: str = "auto", half: bool = False) -> Recogniser:
    """Load the recogniser that `name` names; `half`: in half precision on a GPU.

    Raises UsageError if it cannot be loaded, MissingPackage if its package is not there.
    """
    if name.startswith(FAKE):
        from pipeline.recognise.fake import FakeRecogniser

        return FakeRecogniser(name.removeprefix(FAKE))
    try:
        if name.startswith(FASTER_WHISPER):
            from pipeline.recognise.faster_whisper import FasterWhisper

            model = name.removeprefix(FASTER_WHISPER)
            return FasterWhisper(str(find_file(model) or model), pick_device(device), half)
        if Path(name).suffix == ".pt":
            from pipeline.recognise.whisper_file import WhisperFile

            path = find_file(name)
            if path is None:
                raise UsageError(f"there is no recogniser {name}; {GET_WHISPER} fetches tiny.en.pt")
            return WhisperFile(path, pick_device(device), half)
    except ImportError as error:
        package = "faster-whisper" if name.startswith(FASTER_WHISPER) else "openai-whisper"
        raise MissingPackage(package, "segment", f"the recogniser {name}") from error
    from pipeline.recognise.huggingface import open_huggingface

    return open_huggingface(name, pick_device(device), half)
