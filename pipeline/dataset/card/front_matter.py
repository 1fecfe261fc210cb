"""The dataset card: `README.md`, front matter that `datasets` and the Hub read, then a text for people.

The same dataset gives the same bytes. The text is sections.py's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from pipeline.dataset.card import sections
from pipeline.dataset.card.features import columns, yaml_features
from pipeline.dataset.card.sections import Place
from pipeline.dataset.reader import Dataset

SIZES = (  # https://huggingface.co/docs/hub/datasets-cards: rows below, category
    (1_000, "n<1K"),
    (10_000, "1K<n<10K"),
    (100_000, "10K<n<100K"),
    (1_000_000, "100K<n<1M"),
    (10_000_000, "1M<n<10M"),
    (100_000_000, "10M<n<100M"),
    (1_000_000_000, "100M<n<1B"),
)
LARGEST = "1B<n<10B"
HUB_LICENCES = frozenset(  # https://huggingface.co/docs/hub/repositories-licenses; others go by name
    {
        *("unknown", "other", "mit", "apache-2.0", "bsd", "bsd-2-clause", "bsd-3-clause", "unlicense"),
        *("gpl-2.0", "gpl-3.0", "odc-by", "odbl", "pddl", "cc", "cc0-1.0"),
        *("cc-by-2.0", "cc-by-2.5", "cc-by-3.0", "cc-by-4.0", "cc-by-sa-3.0", "cc-by-sa-4.0"),
        *("cc-by-nc-2.0", "cc-by-nc-3.0", "cc-by-nc-4.0", "cc-by-nd-4.0", "cc-by-nc-nd-3.0"),
        *("cc-by-nc-nd-4.0", "cc-by-nc-sa-2.0", "cc-by-nc-sa-3.0", "cc-by-nc-sa-4.0"),
    }
)


def card(dataset: Dataset, stats: Mapping[str, Any], place: Place) -> str:
    """Return the card as Markdown with YAML front matter. `stats`: what `Dataset.stats` gives."""
    names = columns(dataset)
    front = {
        **_about(dataset, stats, place),
        "configs": [
            {
                "config_name": "default",
                "data_files": [{"split": dataset.split, "path": f"data/{dataset.split}-*.{place.form}"}],
            }
        ],
        "dataset_info": _info(dataset, names, place),
    }
    head = yaml.safe_dump(front, sort_keys=False, allow_unicode=True)
    return f"---\n{head}---\n\n{sections.text(dataset, stats, names, place)}"


def _about(dataset: Dataset, stats: Mapping[str, Any], place: Place) -> dict[str, Any]:
    licence = dataset.settings["corpus"].get("licence", "unknown").lower()
    known = licence in HUB_LICENCES
    named = stats["distributions"].get("language", {})
    languages = sorted({code for name in named if (code := _language_code(name))})
    return {
        **({"language": languages} if languages else {}),
        "license": licence if known else "other",
        **({} if known else {"license_name": re.sub(r"[^a-z0-9.-]+", "-", licence)}),
        "pretty_name": place.title,
        "task_categories": ["text-to-speech"],
        "size_categories": [next((name for limit, name in SIZES if stats["rows"] < limit), LARGEST)],
        "tags": ["speech-codes", "llasa", *sorted({sections.family(codec) for codec in stats["codecs"]})],
    }


def _info(dataset: Dataset, names: Sequence[str], place: Place) -> dict[str, Any]:
    features = yaml_features(names, place.embeds_audio)
    if place.sizes is None:
        return {"features": features}
    return {
        "features": features,
        "splits": [
            {
                "name": dataset.split,
                "num_bytes": place.sizes["num_bytes"],
                "num_examples": place.sizes["num_examples"],
            }
        ],
        "download_size": place.sizes["download_size"],
        "dataset_size": place.sizes["num_bytes"],
    }


def _language_code(name: str) -> str | None:
    """Return the ISO 639 code of a language tag such as `en` or `zh-CN`; None for anything else."""
    primary = re.split(r"[-_]", name.lower())[0]
    return primary if re.fullmatch(r"[a-z]{2,3}", primary) else None
