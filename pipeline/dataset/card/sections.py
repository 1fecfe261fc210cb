"""The dataset card's text, a section a function, each empty if it has nothing to say."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from pipeline.dataset.card.plot import bars, below
from pipeline.dataset.reader import Dataset

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
    spread = stats["distributions"]
    sections = [
        f"# {place.title}",
        _introduction(stats),
        _loading(dataset, columns, place) if stats["rows"] else "",
        _durations(spread.get("duration", {})),
        _shares("Languages", spread.get("language", {})),
        _shares("Speakers", spread.get("speaker", {})),
        _codec(stats["codecs"]),
        _licences(dataset, stats["codecs"]),
        _rejections(stats),
        _validation(dataset.root / "report" / "metrics.json"),
        _settings(dataset),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


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


def _introduction(stats: Mapping[str, Any]) -> str:
    if stats["rows"] == 0:
        return (
            f"There are no utterances in this dataset: none of the {stats['rejected']} in its corpus could "
            "be used, for the reasons below. `load_dataset` finds nothing to load."
        )
    named = {column: len(stats["distributions"].get(column, {})) for column in ("speaker", "language")}
    parts = [
        f"{stats['rows']:,} utterances",
        f"{_hours(stats['hours'])} of speech",
        *(f"{count:,} {column}{'' if count == 1 else 's'}" for column, count in named.items() if count),
    ]
    codecs = " and ".join(sorted({str(codec["name"]) for codec in stats["codecs"]}))
    return (
        f"{', '.join(parts)}: text with the codes of a speech codec ({codecs}), "
        f"{stats['codes']:,} codes in all, to train LLASA-style speech models on."
    )


def _loading(dataset: Dataset, columns: Sequence[str], place: Place) -> str:
    meanings = COLUMNS | ({"audio": "the recording itself"} if place.embeds_audio else {})
    rows = [f"| `{name}` | {meanings[name]} |" for name in columns]
    source = "this folder" if place.name == "." else "the Hub"
    branch = f', revision="{place.revision}"' if place.revision else ""
    call = f'load_dataset("{place.name}"{branch}, split="{dataset.split}"'
    lines = [
        "## How to load it and train on it",
        f"From {source}:",
        "```python",
        "from datasets import load_dataset",
        "",
        f"rows = {call})",
        f"rows = {call}, streaming=True)  # row by row",
        "```",
        "",
        "| column | what it is |",
        "|---|---|",
        *rows,
        "",
        "A LLASA training sample is `<|TEXT_UNDERSTANDING_START|>`, the text, `<|TEXT_UNDERSTANDING_END|>`, "
        "`<|SPEECH_GENERATION_START|>`, a token `<|s_N|>` for each code N, `<|SPEECH_GENERATION_END|>`.",
    ]
    if place.name == ".":
        lines += [
            "",
            "The files that training programs read are made by",
            "```",
            "python -m pipeline export . --to sft --tokenizer TOKENIZER",
            "```",
            "where `--to` may also be `llasa-trainer`, `llasa-memmap`, `unsloth-memmap` or `sharded-memmap`.",
        ]
    return "\n".join(lines)


def _durations(counts: Mapping[str, int]) -> str:
    if not counts:
        return ""
    middle, high = below(counts, 0.5), below(counts, 0.95)
    return "\n".join(
        [
            "## Durations",
            f"Half of the utterances last less than {middle} s, 95 % less than {high} s.",
            "```text",
            *bars(counts),
            "```",
        ]
    )


def _shares(title: str, seconds: Mapping[str, float]) -> str:
    if not seconds:
        return ""
    largest = sorted(seconds.items(), key=lambda item: (-item[1], item[0]))
    lines = [f"## {title}", f"| {title.lower()[:-1]} | speech |", "|---|---:|"]
    lines += [f"| {_cell(name)} | {_hours(share / 3600)} |" for name, share in largest[:SHOWN]]
    if rest := largest[SHOWN:]:
        lines.append(f"| {len(rest):,} more | {_hours(sum(share for _, share in rest) / 3600)} |")
    return "\n".join(lines)


def _codec(codecs: Sequence[Mapping[str, Any]]) -> str:
    lines = [
        f"| {meaning} | {_cell(_shown(codec[key]))} |"
        for codec in codecs
        for key, meaning in CODEC.items()
        if key in codec
    ]
    if not lines:
        return ""
    exact = all(str(codec.get("precision", "")) in ("fp32", "float32") for codec in codecs)
    agreement = (
        "Encoded in fp32: each clip's codes are exactly those that it gets when it is encoded alone."
        if exact
        else "Encoded in half precision, the quantiser in fp32: a clip's codes can differ in a few places "
        "from those it gets in another batch."
    )
    return "\n".join(["## Codec", "| | |", "|---|---|", *lines, "", agreement])


def _licences(dataset: Dataset, codecs: Sequence[Mapping[str, Any]]) -> str:
    corpus = dataset.settings["corpus"].get("licence", "unknown")
    made = [
        f"- The codec {_cell(str(codec['name']))}, which made the codes: {_codec_licence(codec)}."
        for codec in codecs
    ]
    return "\n".join(
        [
            "## Licences",
            f"- The recordings and their texts: {_cell(corpus)}.",
            *made,
            "",
            "Both apply to what is made from them; see to it that each allows what you do.",
        ]
    )


def _rejections(stats: Mapping[str, Any]) -> str:
    if not stats["rejected"]:
        return ""
    most = sorted(stats["reasons"].items(), key=lambda item: (-item[1], item[0]))
    share = stats["rejected"] / stats["utterances"]
    head = [
        "## Left out",
        f"{stats['rejected']:,} of {stats['utterances']:,} utterances ({share:.2%}) are not in it:",
        "| reason | utterances |",
        "|---|---:|",
    ]
    return "\n".join(head + [f"| {reason} | {count:,} |" for reason, count in most])


def _validation(report: Path) -> str:
    """Return the verdict and its checks, from the `metrics.json` that validation writes."""
    try:
        metrics = json.loads(report.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return ""
    rows = [
        f"| {_cell(check['title'])} | {_measured(check)} | "
        f"{'at most' if check['at_most'] else 'at least'} {_shown(check['limit'])} | {check['outcome']} |"
        for check in metrics["checks"]
        if check["outcome"] != "skipped"
    ]
    head = [
        "## Validation",
        f"The dataset was validated. Verdict: {metrics['verdict']}.",
        "",
        "| check | measured | limit | outcome |",
        "|---|---:|---:|---|",
    ]
    return "\n".join(head + rows)


def _measured(check: Mapping[str, Any]) -> str:
    value = _shown(check["value"])
    if check["low"] is None:
        return value
    return f"{value} ({_shown(check['low'])} to {_shown(check['high'])})"


def _settings(dataset: Dataset) -> str:
    given = {
        section: {key: value for key, value in values.items() if value is not None}
        for section, values in shareable(dataset.settings).items()
    }
    settings = yaml.safe_dump(given, sort_keys=False, allow_unicode=True)
    return f"## Settings\nFingerprint `{dataset.fingerprint}`.\n```yaml\n{settings}```"


def _codec_licence(codec: Mapping[str, Any]) -> str:
    stated = str(codec.get("licence") or "unknown")
    if stated != "unknown":
        return stated
    usual = CODEC_LICENCES[family(codec)]
    return f"not stated by the checkpoint (the published {family(codec)} weights: {usual})"


def _hours(hours: float) -> str:
    if hours < 1:
        return f"{hours * 60:.1f} minutes"
    return f"{hours:,.{1 if hours >= 10 else 2}f} hours"


def _shown(value: Any) -> str:
    return f"{value:,.4g}" if isinstance(value, float) else str(value)


def _cell(text: str) -> str:
    return re.sub(r"\s+", " ", text.replace("|", "\\|"))
