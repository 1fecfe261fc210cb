"""Folders of audio names and transcripts, which readers never open, and corpora written by hand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.audio.source import FolderSource
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


@dataclass
class ListedCorpus:
    """A corpus that is a list of entries over a folder of audio."""

    root: Path
    entries: list[Utterance | Rejection] = field(default_factory=list)
    kind: str = "listed"
    files: None = None

    @property
    def source(self) -> FolderSource:
        return FolderSource(self.root)

    def utterances(self) -> Iterator[Utterance | Rejection]:
        yield from self.entries

    def audio_without_text(self) -> list[str]:
        named = {entry.audio for entry in self.entries}
        found = (path.relative_to(self.root).as_posix() for path in self.root.rglob("*.wav"))
        return sorted(name for name in found if name not in named)
