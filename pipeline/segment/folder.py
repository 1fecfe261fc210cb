"""The folder that segment writes: what is to be done, what is done, and what came of it.

config.yaml                   the settings; another run in this folder must have the same ones
plan.json                     the recordings of each part; later ones are added in new parts
segments/part-00000.parquet   a row a segment
rejected/part-00000.jsonl     what is in no segment, and why
state/part-00000.json         counts and checksums, written last: where it exists, that part is done
work/                         recordings done of parts that are not; gone at the end
clips/                        with `cut`
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import yaml

from pipeline.audio.source import AudioSource
from pipeline.config import read_yaml
from pipeline.corpus.formats.prepared import PLAN, SEGMENTS, STATE, part_name
from pipeline.errors import UsageError
from pipeline.segment.records import SCHEMA, Omission, Segment
from pipeline.segment.settings import SegmentSettings
from pipeline.storage.claims import Rank
from pipeline.storage.files import checksum, replacing, write_text

REJECTED, WORK, CONFIG, CLIPS = "rejected", "work", "config.yaml", "clips"


@dataclass(frozen=True, slots=True)
class Recording:
    """A recording, by its version; `text` is the checksum of the text to align with it."""

    audio: str
    size: int
    mtime_ns: int
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one recording; `seconds` is how long it lasts."""

    seconds: float
    segments: list[Segment]
    omissions: list[Omission]


@dataclass
class PreparedFolder:
    """Opens or begins such a folder, for all parts or a rank's. Raises UsageError for other settings."""

    root: Path
    settings: SegmentSettings
    rank: Rank | None = None

    def __post_init__(self) -> None:
        stated = {"settings": self.settings.model_dump()}
        path = self.root / CONFIG
        if path.exists():
            before = read_yaml(path, "settings")
            known = before.get("settings") if isinstance(before, dict) else None
            other = [key for key, value in stated["settings"].items() if (known or {}).get(key) != value]
            if other:
                raise UsageError(
                    f"{self.root} was begun with another {', '.join(other)}: give the same, or another folder"
                )
        elif self.root.exists() and any(not each.name.startswith(".") for each in self.root.iterdir()):
            raise UsageError(f"{self.root} is not empty and was not written by segment: give another folder")
        else:
            write_text(path, yaml.safe_dump(stated, sort_keys=False, allow_unicode=True))
        self.parts: list[list[Recording]] = []

    def read_plan(self) -> None:
        """Take the plan as it is."""
        path = self.root / PLAN
        if path.exists():
            stored = json.loads(path.read_text(encoding="utf-8"))["parts"]
            self.parts = [[Recording(**each) for each in part] for part in stored]

    def plan(self, found: Iterable[str], source: AudioSource, text_of: Callable[[str], str | None]) -> None:
        """Bring the plan up to date: a changed recording undoes its part, new ones make new parts."""
        self.read_plan()
        for number, part in enumerate(self.parts):
            seen = [_version(each.audio, source, text_of) or each for each in part]
            if seen != part:
                self._undo(number)
                self.parts[number] = seen
        known = {each.audio for part in self.parts for each in part}
        new = [version for name in found if name not in known if (version := _version(name, source, text_of))]
        size = self.settings.recordings_per_part
        self.parts += [new[first : first + size] for first in range(0, len(new), size)]
        parts = [[asdict(each) for each in part] for part in self.parts]
        write_text(self.root / PLAN, json.dumps({"parts": parts}, ensure_ascii=False, indent=1) + "\n")

    def is_done(self, number: int) -> bool:
        """Return whether a part is done."""
        return self._state(number).exists()

    def left(self) -> list[tuple[int, int, Recording]]:
        """Return what is to be done here: numbers of the part and in it, and the recording."""
        return [
            (number, place, recording)
            for number in self._own()
            if not self.is_done(number)
            for place, recording in enumerate(self.parts[number])
            if not self._note(number, place).exists()
        ]

    def keep(self, number: int, place: int, outcome: Outcome) -> None:
        """Note what came of a recording, and finish its part if it was the last one."""
        note = {
            "seconds": outcome.seconds,
            "segments": [asdict(each) for each in outcome.segments],
            "omissions": [asdict(each) for each in outcome.omissions],
        }
        write_text(self._note(number, place), json.dumps(note, ensure_ascii=False))

    def finish_part(self, number: int) -> None:
        """Write a part if its recordings are all done."""
        notes = [self._note(number, place) for place in range(len(self.parts[number]))]
        if not self.is_done(number) and all(note.exists() for note in notes):
            self._write(number, [json.loads(note.read_text(encoding="utf-8")) for note in notes])
        if self.is_done(number):
            shutil.rmtree(self.root / WORK / part_name(number), ignore_errors=True)

    def finish(self) -> int:
        """Write every part here whose recordings are all done; return how many are left to do anywhere."""
        for number in self._own():
            self.finish_part(number)
        left = sum(not self.is_done(number) for number in range(len(self.parts)))
        if not left:
            shutil.rmtree(self.root / WORK, ignore_errors=True)
        return left

    def totals(self) -> dict[str, Any]:
        """Return the counts of all parts that are done, added up."""
        total: Counter[str] = Counter()
        reasons: Counter[str] = Counter()
        languages: Counter[str] = Counter()
        for number in range(len(self.parts)):
            if self.is_done(number):
                state = json.loads(self._state(number).read_text(encoding="utf-8"))
                total.update(
                    {key: state[key] for key in ("recordings", "seconds", "segments", "kept_seconds")}
                )
                reasons.update(state["omitted"])
                languages.update(state["languages"])
        return {**total, "omitted": dict(reasons.most_common()), "languages": dict(languages.most_common())}

    def _write(self, number: int, notes: list[dict[str, Any]]) -> None:
        segments = [each for note in notes for each in note["segments"]]
        omissions = [each for note in notes for each in note["omissions"]]
        table, listed = self._files(number)
        with replacing(table) as temporary:
            pa.parquet.write_table(pa.Table.from_pylist(segments, schema=SCHEMA), temporary)
        with replacing(listed) as temporary:
            lines = (json.dumps(each, ensure_ascii=False) + "\n" for each in omissions)
            temporary.write_text("".join(lines), encoding="utf-8")
        languages: Counter[str] = Counter()
        for each in segments:
            languages[each["language"] or "unknown"] += each["end"] - each["start"]
        state = {
            "recordings": len(notes),
            "seconds": sum(note["seconds"] for note in notes),
            "segments": len(segments),
            "kept_seconds": sum(each["end"] - each["start"] for each in segments),
            "languages": languages,
            "omitted": Counter(each["reason"] for each in omissions),
            "files": {path.relative_to(self.root).as_posix(): checksum(path) for path in (table, listed)},
        }
        write_text(self._state(number), json.dumps(state, ensure_ascii=False, indent=1) + "\n")

    def _own(self) -> range:
        """Return the numbers of the parts to do here."""
        first, step = (self.rank.number, self.rank.of) if self.rank else (0, 1)
        return range(first, len(self.parts), step)

    def _undo(self, number: int) -> None:
        for path in (self._state(number), *self._files(number)):
            path.unlink(missing_ok=True)
        shutil.rmtree(self.root / WORK / part_name(number), ignore_errors=True)

    def _note(self, number: int, place: int) -> Path:
        return self.root / WORK / part_name(number) / f"{place:05d}.json"

    def _state(self, number: int) -> Path:
        return self.root / STATE / f"{part_name(number)}.json"

    def _files(self, number: int) -> tuple[Path, Path]:
        name = part_name(number)
        return self.root / SEGMENTS / f"{name}.parquet", self.root / REJECTED / f"{name}.jsonl"


def _version(audio: str, source: AudioSource, text_of: Callable[[str], str | None]) -> Recording | None:
    """Return a recording as it is now; None if it is gone."""
    try:
        size, mtime_ns = source.stat(audio)
    except OSError:
        return None
    return Recording(audio, size, mtime_ns, text_of(audio))
