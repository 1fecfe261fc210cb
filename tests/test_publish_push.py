"""The real huggingface_hub and datasets against a Hub on loopback."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from publish_helpers import REPO, ROWS, make_dataset, row
from publish_hub import TOKEN, Hub

from pipeline.audio.source import FolderSource
from pipeline.dataset.reader import Dataset
from pipeline.errors import UsageError
from pipeline.publish import hub as client
from pipeline.publish.push import push_dataset

pytest_plugins = ("publish_fixtures",)
pytestmark = [
    pytest.mark.usefixtures("waits"),
    # huggingface_hub hands files to its HTTP client by a keyword that this client is giving up.
    pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning"),
]


LOADER = """
import json, sys
from datasets import load_dataset
loaded = load_dataset(sys.argv[1], split="train")
streamed = list(load_dataset(sys.argv[1], split="train", streaming=True))
print(json.dumps([loaded.to_list(), streamed, str(loaded.features["code"])]))
"""


def load(hub: Hub, tmp_path: Path) -> list[Any]:
    """What `datasets` in a process of its own gets from the Hub: rows loaded, rows streamed, type of code."""
    environment = {
        **os.environ,
        "HF_ENDPOINT": hub.url,
        "HF_HOME": str(tmp_path / "home"),
        "HF_HUB_DISABLE_XET": "1",
        "HF_TOKEN": TOKEN,
    }
    done = subprocess.run(
        [sys.executable, "-c", LOADER, REPO],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer: list[Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def rows_in(files: dict[str, bytes]) -> list[dict[str, Any]]:
    paths = sorted(path for path in files if path.endswith(".parquet"))
    return [found for path in paths for found in pq.read_table(io.BytesIO(files[path])).to_pylist()]


def front_matter(hub: Hub) -> dict[str, Any]:
    matter: dict[str, Any] = yaml.safe_load(hub.files(REPO)["README.md"].decode().split("---\n")[1])
    return matter


@pytest.mark.usefixtures("small_packs")
def test_load_dataset_and_streaming_give_the_local_rows(
    server: Hub, dataset: Dataset, tmp_path: Path
) -> None:
    push_dataset(dataset, REPO, private=True)
    assert load(server, tmp_path) == [ROWS, ROWS, "List(Value('uint16'))"]
    assert sorted(path for path in server.files(REPO) if path.startswith("data/")) == [
        f"data/train-{number:05d}.parquet" for number in range(3)
    ]


def test_a_push_is_one_commit_that_holds_rows_settings_and_card(server: Hub, dataset: Dataset) -> None:
    assert push_dataset(dataset, REPO) == f"{server.url}/datasets/{REPO}"
    assert len(server.branches[REPO, "main"]) == 2  # the repository's first, and ours
    assert set(server.files(REPO)) == {
        ".gitattributes",
        "data/train-00000.parquet",
        "config.yaml",
        "stats.json",
        "README.md",
    }
    (split,) = front_matter(server)["dataset_info"]["splits"]
    assert (split["name"], split["num_examples"]) == ("train", len(ROWS))
    assert f'load_dataset("{REPO}"' in server.files(REPO)["README.md"].decode()


@pytest.mark.usefixtures("small_packs")
def test_of_several_commits_the_last_one_brings_the_card(
    server: Hub, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "FILES_PER_COMMIT", 2)
    push_dataset(dataset, REPO)
    commits = server.branches[REPO, "main"][1:]
    assert ["README.md" in commit.tree for commit in commits] == [False, False, True]


def test_a_push_goes_to_the_branch_that_is_asked_for(server: Hub, dataset: Dataset) -> None:
    assert push_dataset(dataset, REPO, revision="v2") == f"{server.url}/datasets/{REPO}/tree/v2"
    push_dataset(dataset, REPO, revision="v2")  # the branch is there now
    assert list(server.files(REPO, "main")) == [".gitattributes"]
    assert rows_in(server.files(REPO, "v2")) == ROWS
    card = server.files(REPO, "v2")["README.md"].decode()
    assert f'load_dataset("{REPO}", revision="v2", split="train")' in card


def test_a_repository_is_private_when_asked(server: Hub, dataset: Dataset) -> None:
    push_dataset(dataset, REPO, private=True)
    assert server.private[REPO]


def test_pushing_again_sends_nothing_and_commits_nothing(server: Hub, dataset: Dataset) -> None:
    push_dataset(dataset, REPO)
    sent, commits = server.uploads(), len(server.branches[REPO, "main"])
    push_dataset(dataset, REPO)
    assert server.uploads() == sent
    assert len(server.branches[REPO, "main"]) == commits


@pytest.mark.usefixtures("small_packs")
def test_a_grown_dataset_sends_only_its_new_files(server: Hub, dataset: Dataset) -> None:
    push_dataset(dataset, REPO)
    sent = len(server.uploads())
    more = [row(i) for i in range(16)]
    push_dataset(make_dataset(dataset.root, more), REPO)
    assert len(server.uploads()) == sent + 2  # the one that was not full, and a new one
    assert rows_in(server.files(REPO)) == more


@pytest.mark.usefixtures("small_packs")
def test_files_of_an_earlier_push_that_no_longer_belong_are_removed(
    server: Hub, dataset: Dataset, tmp_path: Path
) -> None:
    push_dataset(dataset, REPO)
    push_dataset(make_dataset(tmp_path / "other", ROWS, shard_size=100), REPO)
    assert [path for path in server.files(REPO) if path.startswith("data/")] == ["data/train-00000.parquet"]


def test_audio_is_embedded_when_asked(server: Hub, tmp_path: Path) -> None:
    import soundfile

    clips = tmp_path / "clips"
    clips.mkdir()
    rows = [row(i, audio=f"{i}.wav") for i in range(2)]
    for number in range(2):
        soundfile.write(clips / f"{number}.wav", np.full(1600, 0.1 * (number + 1)), 16000)
    push_dataset(make_dataset(tmp_path / "out", rows), REPO, embed_audio=FolderSource(clips))
    loaded = loaded_here(server, tmp_path)
    datasets = pytest.importorskip("datasets")
    assert loaded.features["audio"] == datasets.Audio()
    raw = loaded.cast_column("audio", datasets.Audio(decode=False)).to_list()
    assert [found["audio"] for found in raw] == [
        {"bytes": (clips / name).read_bytes(), "path": name} for name in ("0.wav", "1.wav")
    ]
    assert [found["code"] for found in raw] == [made["code"] for made in rows]


def test_of_a_long_recording_only_the_utterance_is_embedded(server: Hub, tmp_path: Path) -> None:
    import soundfile

    clips = tmp_path / "clips"
    clips.mkdir()
    soundfile.write(clips / "long.wav", np.linspace(-0.5, 0.5, 16000), 16000)
    rows = [row(0, audio="long.wav", start=0.25, end=0.5), row(1, audio="long.wav")]
    push_dataset(make_dataset(tmp_path / "out", rows), REPO, embed_audio=FolderSource(clips))
    cut, whole = (found["audio"] for found in rows_in(server.files(REPO)))
    (clips / "cut.flac").write_bytes(cut["bytes"])
    heard, rate = soundfile.read(clips / "cut.flac")
    assert (len(heard), rate) == (4000, 16000)
    np.testing.assert_allclose(heard, np.linspace(-0.5, 0.5, 16000)[4000:8000], atol=1e-4)
    assert whole["bytes"] == (clips / "long.wav").read_bytes()


def loaded_here(server: Hub, tmp_path: Path) -> Any:
    """The published files as `datasets` loads them from a folder."""
    datasets = pytest.importorskip("datasets")
    for path, content in server.files(REPO).items():
        (tmp_path / "clone" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "clone" / path).write_bytes(content)
    return datasets.load_dataset(str(tmp_path / "clone"), cache_dir=str(tmp_path / "cache"), split="train")


def test_a_recording_that_is_gone_is_one_sentence(server: Hub, dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot embed set/0000\.wav: No such file"):
        push_dataset(dataset, REPO, embed_audio=FolderSource(tmp_path))


def test_a_dataset_without_rows_is_not_published(server: Hub, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no finished rows"):
        push_dataset(make_dataset(tmp_path / "out", []), REPO)
    assert server.requests == []


def test_a_damaged_dataset_is_not_published(server: Hub, dataset: Dataset) -> None:
    path = dataset.files(1).data
    path.write_text("".join(path.read_text(encoding="utf-8").splitlines(keepends=True)[:-1]))
    with pytest.raises(UsageError, match=path.name):
        push_dataset(dataset, REPO)
    assert server.requests == []
