"""What an engine is, and the job that it is given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from pipeline.audio.source import AudioSource
from pipeline.build.feed import ShardFeed
from pipeline.build.shard_loop import Watcher
from pipeline.codec.protocol import Codec
from pipeline.config import CodecSettings, Settings
from pipeline.dataset.reader import Dataset
from pipeline.errors import UsageError

Say = Callable[[str], object]


@dataclass(frozen=True)
class Job:
    """All that it takes to make shards; engines pickle it for their workers."""

    dataset: Dataset
    source: AudioSource
    settings: Settings
    columns: list[str]
    made_with: str | None  # fingerprint of the codec that made the shards there already
    load_codec: Callable[[CodecSettings], Codec]

    def checked_codec(self, settings: CodecSettings) -> Codec:
        """Load the codec. Raises UsageError if it is not the one that made the existing shards."""
        codec = self.load_codec(settings)
        if self.made_with not in {None, codec.fingerprint}:
            raise UsageError(
                f"the codec's weights are not those that made the shards in {self.dataset.root} "
                f"({codec.fingerprint[:12]} now, {str(self.made_with)[:12]} then): give another output folder"
            )
        return codec


def introduction(codec: Codec) -> str:
    """Return the line that names a codec."""
    return f"codec: {codec.name}, {codec.codebook_size:,} codes, licence {codec.licence}"


def account(codec: Codec) -> list[str]:
    """Return the line on how a codec has worked, if there is anything to say."""
    words = codec.report()
    return [f"encoder: {words}"] if words else []


class Engine(Protocol):
    """Makes every shard of a feed, and tells `watcher` what became of the clips."""

    def __call__(self, job: Job, feed: ShardFeed, watcher: Watcher, say: Say) -> None:
        """Return when the feed has ended and its shards are durable.

        Raises UsageError if the job cannot be done, and what ended the feed.
        """
        ...
