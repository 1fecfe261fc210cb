"""Writes Lhotse Shar: what `CutSet.from_shar(in_dir=…)` reads (lhotse/shar/readers/lazy.py).

A split is a folder with `cuts.000000.jsonl.gz` and, in the same order, `codes.000000.tar`; with audio also
`recording.000000.tar`. `cut.load_codes()` gives the codes, uint16. They are an Array rather than a
TemporalArray, since a clip's last code reaches past its end, where lhotse would cut it off.
"""

from __future__ import annotations

import contextlib
import gzip
import json
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote

from pipeline.errors import naming
from pipeline.export.numbered import NumberedFile, NumberedFiles
from pipeline.export.rows import Row
from pipeline.export.tars import Tar

PLACE = {"storage_type": "shar", "storage_path": "", "storage_key": ""}  # in the tar beside the cuts


class LhotseWriter(NumberedFiles):
    """Appends to the files of a split, and on to further ones."""

    def begin(self, split: str, number: int, *, with_audio: bool) -> NumberedFile:
        """See `NumberedFiles.begin`."""
        return _Shard(self._folder / split, number, with_audio)


class _Shard:
    def __init__(self, folder: Path, number: int, with_audio: bool) -> None:
        folder.mkdir(exist_ok=True)
        self._path = folder / f"cuts.{number:06d}.jsonl.gz"
        self._file = self._path.open("wb")
        self._cuts = gzip.GzipFile("", "wb", fileobj=self._file, mtime=0)  # or its name and time are in it
        self._codes = Tar(folder / f"codes.{number:06d}.tar")
        self._recordings = Tar(folder / f"recording.{number:06d}.tar") if with_audio else None

    def add(self, row: Row) -> None:
        name = cut_id(row.columns["id"])
        codes = {**PLACE, "shape": [len(row.codes)]}
        self._codes.add(f"{name}.npy", row.codes_npy)
        self._codes.add(f"{name}.json", _line(codes))
        seconds, with_recording = float(row.columns["duration"]), dict[str, Any]()
        if row.clip is not None and self._recordings is not None:
            seconds = row.clip.samples / row.clip.rate
            recording = _recording(name, row.clip.rate, row.clip.samples)
            with_recording = {"recording": recording}
            self._recordings.add(f"{name}.flac", row.clip.content)
            self._recordings.add(f"{name}.json", _line(recording))
        with naming(self._path):
            self._cuts.write(_line(_cut(name, row, seconds, codes) | with_recording))

    def close(self) -> None:
        with contextlib.ExitStack() as stack:
            for tar in filter(None, (self._codes, self._recordings)):
                stack.callback(tar.close)
            with naming(self._path), self._file:
                self._cuts.close()


def cut_id(name: str) -> str:
    """Return a row's id; escaped as in a URL if lhotse could not tell it from the name of a file in a tar."""
    path = PurePosixPath(f"{name}.npy")
    plain = str(path.parent / path.stem) == name and path.suffix == ".npy" and name.isprintable()
    return name if plain else quote(name, safe="")


def _cut(name: str, row: Row, seconds: float, codes: dict[str, Any]) -> dict[str, Any]:
    supervision: dict[str, Any] = {
        "id": row.columns["id"],
        "recording_id": name,
        "start": 0.0,
        "duration": seconds,
        "channel": 0,
    }
    stated = {key: row.columns[key] for key in ("text", "language", "speaker") if key in row.columns}
    return {
        "id": name,
        "start": 0.0,
        "duration": seconds,
        "channel": 0,
        "supervisions": [supervision | stated],
        "custom": {"codes": codes, "audio": row.columns["audio"]},
        "type": "MonoCut",
    }


def _recording(name: str, rate: int, samples: int) -> dict[str, Any]:
    return {
        "id": name,
        "sources": [{"type": "shar", "channels": [0], "source": ""}],
        "sampling_rate": rate,
        "num_samples": samples,
        "duration": samples / rate,
        "channel_ids": [0],
    }


def _line(found: dict[str, Any]) -> bytes:
    return json.dumps(found, ensure_ascii=False).encode() + b"\n"
