"""A JSON array of objects, also as Label Studio exports it, read an object at a time.

Of a Label Studio task the first annotation that was not cancelled counts; each text in it is an entry, with
the times and labels of its region. Its files are named as they were before the upload.
Source of the form: labelstud.io/guide/export.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from pipeline.config import CorpusSettings
from pipeline.corpus import lines
from pipeline.corpus.audio_index import AudioIndex
from pipeline.corpus.entry import Entry, Malformed
from pipeline.corpus.fields import Fields, fields_of_rows
from pipeline.corpus.format import CorpusProbe, FileFormat

UPLOAD = re.compile(r"/data/upload/(?:\d+/)?(?P<all>[0-9a-f]{8}-(?P<own>[^/]+))")
LOCAL = "/data/local-files/?d="


def entries(path: Path, given: CorpusProbe) -> Iterator[Entry | Malformed]:
    """Yield the entries. What cannot be read on ends in one Malformed."""
    near, fields_of = given.index.near(path.parent), fields_of_rows(given.settings)
    for where, row in lines.read_items(path, "item"):
        if isinstance(row, Malformed):
            yield row
        elif not isinstance(row, Mapping):
            yield Malformed(where, f"is a JSON {type(row).__name__}, not an object")
        elif isinstance(row.get("data"), Mapping):
            yield from _of_task(row, where, near, given)
        else:
            fields = fields_of(row)
            yield fields.entry(_with_name(row, fields.audio, given.index), where, near)


def _with_name(row: Mapping[str, Any], audio: str | None, index: AudioIndex) -> Mapping[str, Any]:
    name = row.get(audio) if audio else None
    return {**row, audio: _uploaded(name, index)} if audio and isinstance(name, str) else row


def _uploaded(name: str, index: AudioIndex) -> str:
    """Return the name of a file as it was before Label Studio took it."""
    if name.startswith(LOCAL):
        return unquote(name.removeprefix(LOCAL))
    match = UPLOAD.fullmatch(name)
    if match is None:
        return name
    return match["all"] if index.find(match["all"]) else unquote(match["own"])


def _of_task(
    task: Mapping[str, Any], where: str, near: str | None, given: CorpusProbe
) -> Iterator[Entry | Malformed]:
    done = task.get("annotations", task.get("completions"))
    chosen = (one for one in _objects(done) if not one.get("was_cancelled"))
    results = list(_objects(next(chosen, {}).get("result")))
    data = task["data"]
    fields = Fields.choose(data, given.settings)
    texts = [result for result in results if result.get("type") == "textarea"]
    if fields.audio is None or not texts:
        yield Malformed(where, "is a task without audio or without a text")
        return
    named = _with_name(data, fields.audio, given.index)
    for result in texts:
        value = result.get("value")
        value = value if isinstance(value, Mapping) else {}
        said = value.get("text")
        row = {
            "audio": named[fields.audio],
            "text": " ".join(map(str, said)) if isinstance(said, list) else said,
            "start": value.get("start"),
            "end": value.get("end"),
            "speaker": _label(result, results) or data.get("speaker"),
            "language": data.get(fields.language or ""),
        }
        yield Fields.choose(row, CorpusSettings()).entry(row, where, near)


def _label(result: Mapping[str, Any], results: list[Mapping[str, Any]]) -> Any:
    """Return the label of the region that a text belongs to: the speaker."""
    for other in results:
        value = other.get("value")
        if (
            other.get("id") == result.get("id")
            and other.get("type") == "labels"
            and isinstance(value, Mapping)
        ):
            labels = value.get("labels")
            return labels[0] if isinstance(labels, list) and labels else None
    return None


def _objects(value: object) -> Iterator[Mapping[str, Any]]:
    yield from (each for each in (value if isinstance(value, list) else ()) if isinstance(each, Mapping))


def _matches(path: Path, given: CorpusProbe) -> bool:
    return re.match(r"\s*\[\s*\{", given.beginning(path)) is not None


FORMAT = FileFormat("json", "a JSON array of objects, Label Studio's for one", _matches, entries)
