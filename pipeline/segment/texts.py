"""The texts that recordings are aligned with: one file, or a folder with a file for each recording."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pipeline.corpus.audio_index import AudioIndex
from pipeline.errors import UsageError
from pipeline.storage.paths import resolve_path


@dataclass(frozen=True)
class Texts:
    """Finds texts by the names of recordings; `path` is None where there is nothing to align."""

    path: Path | None
    alone: bool = False  # the file is of the one recording that there is

    def of(self, audio: str) -> str | None:
        """Return the text of a recording; None if there is none. Raises UsageError if it cannot be read."""
        if self.path is None:
            return None
        file = self.path if self.alone else self.path / PurePosixPath(audio).with_suffix(".txt")
        try:
            return file.read_text(encoding="utf-8-sig") if file.exists() else None
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is not UTF-8"
            raise UsageError(f"cannot read the text {file}: {reason}") from error

    def checksum(self, audio: str) -> str | None:
        """Return the SHA-256 of a recording's text, in hex; None if there is none."""
        text = self.of(audio)
        return None if text is None else hashlib.sha256(text.encode()).hexdigest()


def find_texts(setting: str | None, recordings: AudioIndex) -> Texts:
    """Return the texts that the setting names. Raises UsageError unless it fits the recordings."""
    if setting is None:
        return Texts(None)
    path = resolve_path(setting)
    if not path.exists():
        raise UsageError(f"there is no text {path} to align")
    texts = Texts(path, alone=path.is_file())
    if texts.alone and len(recordings) != 1:
        raise UsageError(
            f"--align {path} is one text and there are {len(recordings)} recordings: "
            "give a folder with NAME.txt for each"
        )
    if all(texts.of(audio) is None for audio in recordings):
        raise UsageError(f"no text in {path} has the name of a recording, such as {next(iter(recordings))}")
    return texts
