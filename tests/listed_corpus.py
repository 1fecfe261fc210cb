"""Corpora that tests write by hand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.audio.source import FolderSource
from pipeline.utterance import Rejection, Utterance


@dataclass
class ListedCorpus:
    """A corpus that is a list of entries over a folder of audio."""

    root: Path
    entries: list[Utterance | Rejection] = field(default_factory=list)
    kind: str = "listed"

    @property
    def source(self) -> FolderSource:
        return FolderSource(self.root)

    def utterances(self) -> Iterator[Utterance | Rejection]:
        yield from self.entries

    def audio_without_text(self) -> list[str]:
        named = {entry.audio for entry in self.entries}
        found = (path.relative_to(self.root).as_posix() for path in self.root.rglob("*.wav"))
        return sorted(name for name in found if name not in named)
