"""Publishes a dataset: its rows as Parquet, then settings and statistics, the card at the very end.

Nobody finds a dataset without its card, or a card without its rows. A push that was cut off sends only what
the Hub does not have yet.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import yaml

from pipeline.audio.source import AudioSource
from pipeline.dataset.card.features import columns
from pipeline.dataset.card.front_matter import card
from pipeline.dataset.card.sections import Place, shareable
from pipeline.dataset.reader import Dataset
from pipeline.progress import plural
from pipeline.publish.hub import Repository
from pipeline.publish.packing import packs, write_pack
from pipeline.storage.files import checksum
from pipeline.storage.scratch import scratch_folder


def push_dataset(
    dataset: Dataset,
    repo: str,
    *,
    private: bool = False,
    revision: str | None = None,
    embed_audio: AudioSource | None = None,
    say: Callable[[str], object] = lambda line: None,
) -> str:
    """Publish the finished shards as `repo` (USER/NAME) and return its address.

    Makes the repository, and the branch `revision`, if they are not there. `embed_audio`, the source of
    the corpus, puts the recordings into the column `audio`. Raises UsageError for what the user must mend
    (no rows, a damaged file, no token, no right to write, a bad name); PipelineError if the Hub stays out
    of reach.
    """
    planned = packs(dataset, embed_audio is not None)
    dataset.check_files()
    hub = Repository(repo, revision)
    hub.create(private)
    there = hub.head().files
    names = columns(dataset)
    sizes = {"num_bytes": 0, "num_examples": 0, "download_size": 0}
    additions = []
    with scratch_folder("push") as folder:
        local = folder / "pack.parquet"
        for number, pack in enumerate(planned, 1):
            packed = write_pack(dataset, pack, names, embed_audio, local)
            sizes["num_bytes"] += packed.bytes
            sizes["num_examples"] += packed.rows
            sizes["download_size"] += local.stat().st_size
            known = there.get(pack.path) == checksum(local)
            if not known:
                additions.append(hub.upload(pack.path, local))
            say(f"{number}/{len(planned)} {pack.path}: {'there already' if known else 'sent'}")
    title = repo.rpartition("/")[2]
    place = Place("parquet", repo, title, revision, embed_audio is not None, sizes)
    additions += [hub.text(path, content) for path, content in _described(dataset, place)]
    kept = {pack.path for pack in planned}
    gone = [path for path in there if _is_data(path, dataset.split) and path not in kept]
    hub.commit(additions, gone, f"{plural(sizes['num_examples'], 'utterance')} with speech codes")
    return hub.url


def _described(dataset: Dataset, place: Place) -> Iterator[tuple[str, str]]:
    """Yield path and content of what goes beside the rows, the card last."""
    stats: Mapping[str, Any] = dataset.stats()
    settings = {"fingerprint": dataset.fingerprint, "settings": shareable(dataset.settings)}
    yield "config.yaml", yaml.safe_dump(settings, sort_keys=False, allow_unicode=True)
    yield "stats.json", json.dumps(stats, indent=1, ensure_ascii=False) + "\n"
    metrics = dataset.root / "report" / "metrics.json"
    if metrics.exists():
        yield "report/metrics.json", metrics.read_text(encoding="utf-8")
    yield "README.md", card(dataset, stats, place)


def _is_data(path: str, split: str) -> bool:
    return path.startswith(f"data/{split}-") and path.endswith(".parquet")
