"""Shards made by this process, on one device."""

from __future__ import annotations

from pipeline.build.engines.job import Job, Say, account, introduction
from pipeline.build.feed import ShardFeed
from pipeline.build.shard_loop import Watcher, encode_shards


def make_shards(job: Job, feed: ShardFeed, watcher: Watcher, say: Say) -> None:
    """See `job.Engine`."""
    codec = job.checked_codec(job.settings.codec)
    say(introduction(codec))
    for _ in encode_shards(
        feed,
        dataset=job.dataset,
        source=job.source,
        codec=codec,
        settings=job.settings,
        columns=job.columns,
        watcher=watcher,
    ):
        pass
    for line in account(codec):
        say(line)
