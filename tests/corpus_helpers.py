"""Folders of audio names and transcripts, for the readers, which open no audio."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.config import CorpusSettings
from pipeline.corpus import open_corpus
from pipeline.utterance import Reason, Rejection, Utterance


def build(root: Path, files: Mapping[str, str | bytes]) -> Path:
    """Write `files` below `root`: path to content; audio may be empty."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return root


def audio(*names: str) -> dict[str, str]:
    """Empty audio files."""
    return dict.fromkeys(names, "")


class Read:
    """What a corpus gave: utterances and rejections by id, in order."""

    def __init__(self, root: Path, text: str | None = None, **settings: Any) -> None:
        chosen = CorpusSettings(audio=str(root), text=None if text is None else str(root / text), **settings)
        self.corpus = open_corpus(chosen)
        self.all = list(self.corpus.utterances())
        self.kind = self.corpus.kind
        self.utterances = {each.id: each for each in self.all if isinstance(each, Utterance)}
        self.rejections = {each.id: each for each in self.all if isinstance(each, Rejection)}
        self.without_text = list(self.corpus.audio_without_text())

    @property
    def texts(self) -> dict[str, str]:
        return {name: each.text for name, each in self.utterances.items()}

    @property
    def files(self) -> dict[str, str]:
        return {name: each.audio for name, each in self.utterances.items()}

    @property
    def reasons(self) -> dict[str, Reason]:
        return {name: each.reason for name, each in self.rejections.items()}
