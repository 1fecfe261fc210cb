"""The dataset card's text: `card.md.jinja`, and the words and figures that it is filled with."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

import jinja2
import yaml

from pipeline.dataset.card.plot import bars, below
from pipeline.dataset.reader import Dataset
from pipeline.dataset.stats import spoken_time
from pipeline.errors import UsageError
from pipeline.progress import plural

SHOWN = 20  # speakers or languages listed by name
CODEC_LICENCES = {  # where a checkpoint does not name its own
    "xcodec2": "CC-BY-NC-4.0",  # https://huggingface.co/HKUSTAudio/xcodec2
    "neucodec": "Apache-2.0",  # https://huggingface.co/neuphonic/neucodec
}
CODEC = {  # what is said of it, and in which words
    "name": "name",
    "licence": "licence of the weights",
    "precision": "precision of the encoding",
    "codebook_size": "codebook entries",
    "sample_rate": "sample rate, Hz",
    "hop_length": "samples a code",
    "fingerprint": "fingerprint of weights and configuration",
}
COLUMNS = {
    "id": "the utterance's name in its corpus",
    "text": "transcript",
    "code": "speech codes, 16-bit unsigned",
    "duration": "seconds, of the source",
    "sample_rate": "Hz, of the source",
    "speaker": "who speaks",
    "language": "language of the text",
    "audio": "the recording in its corpus",
}


@dataclass(frozen=True)
class Place:
    """Where the card goes: a folder, or a repository that `push` fills with Parquet files."""

    form: str  # of the data files
    name: str  # what `load_dataset` is given
    title: str
    revision: str | None = None  # branch of the repository, where it is not the main one
    embeds_audio: bool = False
    sizes: Mapping[str, int] | None = None  # num_bytes, num_examples, download_size; when they are final


def text(dataset: Dataset, stats: Mapping[str, Any], columns: Sequence[str], place: Place) -> str:
    """Return the card below its front matter; `stats` as `pipeline.dataset.stats.totals` gives them."""
    given = {
        section: {key: value for key, value in values.items() if value is not None}
        for section, values in shareable(dataset.settings).items()
    }
    return _template().render(
        dataset=dataset,
        stats=stats,
        spread=dict.fromkeys(("duration", "language", "speaker")) | stats["distributions"],
        columns=columns,
        annotators=dataset.annotators(),
        place=place,
        meanings=COLUMNS,
        codec_words=CODEC,
        shown=SHOWN,
        validation=_read(dataset.root / "report" / "metrics.json"),
        selection=_read(dataset.root / "selection.json"),
        settings=(text := yaml.safe_dump(given, sort_keys=False, allow_unicode=True)),
        fence="`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0)),
        bars=bars,
        below=below,
    )


def family(codec: Mapping[str, Any]) -> str:
    """Return which kind of codec a state's record names: xcodec2 or neucodec."""
    return "neucodec" if "neucodec" in str(codec["name"]).lower() else "xcodec2"


def shareable(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Cut absolute paths in the settings to their last part: a card is no place for somebody's folders."""

    def cut(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: cut(inner) for key, inner in value.items()}
        if isinstance(value, str) and (value.startswith(("/", "~")) or re.match(r"[A-Za-z]:[\\/]", value)):
            return PurePosixPath(value.replace("\\", "/")).name
        return value

    return {key: cut(value) for key, value in settings.items()}


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(  # Markdown, whose cells `cell` escapes
        loader=jinja2.FileSystemLoader(Path(__file__).parent), keep_trailing_newline=True
    )
    environment.filters |= {
        "hours": spoken_time,
        "plural": plural,
        "figure": _figure,
        "cell": _cell,
        "licence": _codec_licence,
        "largest": lambda counts: sorted(counts.items(), key=lambda item: (-item[1], item[0])),
    }
    return environment.get_template("card.md.jinja")


def _read(path: Path) -> Any:
    """Return the JSON that validation or a selection wrote; None without it. Raises UsageError if damaged."""
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise UsageError(f"{path} is damaged: delete it, or make it again") from error


def _codec_licence(codec: Mapping[str, Any]) -> str:
    stated = str(codec.get("licence") or "unknown")
    if stated != "unknown":
        return stated
    usual = CODEC_LICENCES[family(codec)]
    return f"not stated by the checkpoint (the published {family(codec)} weights: {usual})"


def _figure(value: Any) -> str:
    return f"{value:,.4g}" if isinstance(value, float) else str(value)


def _cell(text: str) -> str:
    """Return what is shown as just this text in Markdown: on one line, without markup, links and HTML."""
    line = re.sub(r"[\s\x00-\x1f\x7f]+", " ", text)
    line = re.sub(r"&(?=#?\w+;)", "&amp;", line).replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([|`*\[\]\\]|~~|\b_\B|\B_\b)", r"\\\1", line)
