"""How long it takes to confirm a dataset that is finished, on the disk and in a store, and to mend one shard.

.venv/bin/python -m benchmarks.restart                      10,000 shards
.venv/bin/python -m benchmarks.restart disk --shards 1000   on the disk alone, fewer
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from benchmarks.common import add, apart, peak_mib, s3_store, seconds
from benchmarks.plan import recordings
from pipeline.build.dataset import create_dataset
from pipeline.config import Settings
from pipeline.storage.paths import resolve_path, store

LATENCY = 0.010  # seconds that the store on this machine takes to answer


def finished(root: Path, shards: int) -> Settings:
    """Make a dataset of so many shards, each of one row, in `root / "out"`."""
    recordings(root)
    with (root / "text.jsonl").open("w") as text:
        for number in range(shards):
            row = {"id": f"u{number}", "audio": "00.wav", "text": "text", "offset": 0, "duration": 1}
            text.write(json.dumps(row) + "\n")
    values = {"corpus.audio": str(root / "audio"), "corpus.text": str(root / "text.jsonl")}
    small = {"codec.name": "fake:", "output.shard_size": 1, "load.num_workers": 0}
    settings = Settings().with_values({**values, **small})
    create_dataset(output=root / "out", config=settings)
    return settings


def disk(root: Path, shards: int) -> dict[str, float]:
    """Confirming a finished dataset on the disk."""
    settings = finished(root, shards)
    again = seconds(lambda: create_dataset(output=root / "out", config=settings))
    return {"shards": shards, "again_seconds": round(again, 2), **peak_mib()}


def in_store(root: Path, shards: int) -> dict[str, float]:
    """Confirming one in a store that takes 10 ms to answer, and making one shard of it again."""
    settings = finished(root, shards)
    with s3_store() as held:
        fs, bucket = store(resolve_path("s3://finished"))
        fs.mkdir(bucket)
        fs.put(str(root / "out") + "/", f"{bucket}/out/", recursive=True)

        def again() -> None:
            create_dataset(output="s3://finished/out", config=settings)

        again()  # which writes the index of states that a run in a store would have written
        print("store: it is set up", flush=True)
        figures: dict[str, float] = {"shards": shards, "latency_seconds": LATENCY}
        held.latency.value = LATENCY
        for name, state in (("again", None), ("one_shard", "state/train-00000.json")):
            if state is not None:
                fs.rm_file(f"{bucket}/out/{state}")
            held.requests.value = held.answering.value = 0
            figures[f"{name}_seconds"] = round(seconds(again), 2)
            figures[f"{name}_requests"] = held.requests.value
            figures[f"{name}_seconds_of_the_server"] = round(held.answering.value, 2)
        return figures | peak_mib()


PLACES = {"disk": disk, "store": in_store}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("places", nargs="*", default=[*PLACES], metavar="PLACE", help="disk, store")
    parser.add_argument("--shards", type=int, default=10_000)
    arguments = parser.parse_args()
    for place in arguments.places:
        figures = apart(PLACES[place], arguments.shards)
        print(place, json.dumps(figures), flush=True)
        add("restart", {place: figures})


if __name__ == "__main__":
    main()
