"""The real huggingface_hub and datasets against a Hub on loopback that fails when asked to."""

from __future__ import annotations

import io
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from publish_helpers import make_dataset, row
from publish_hub_server import TOKEN, Fault, Hub, serving

from pipeline.__main__ import main
from pipeline.errors import PipelineError, UsageError
from pipeline.publish import hub as client
from pipeline.publish import packing
from pipeline.publish.push import push
from pipeline.shards import Dataset
from pipeline.source import FolderSource

constants = pytest.importorskip("huggingface_hub.constants")
REPO = "user/speech"
ROWS = [row(i) for i in range(10)]
Waits = list[float]
# huggingface_hub hands files to its HTTP client by a keyword that this client is giving up.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A Hub, and clients in this process that are pointed at it."""
    with serving() as hub:
        monkeypatch.setattr(constants, "ENDPOINT", hub.url)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)  # large files by LFS, which loopback has
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        yield hub


@pytest.fixture
def out(tmp_path: Path) -> Dataset:
    return make_dataset(tmp_path / "out", ROWS)


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> Waits:
    """Seconds that were waited, here and in huggingface_hub, without waiting."""
    waited: Waits = []
    monkeypatch.setattr("time.sleep", waited.append)
    return waited


@pytest.fixture
def small_packs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "ROWS_PER_FILE", 4)  # three files of ROWS


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
def test_load_dataset_and_streaming_give_the_local_rows(server: Hub, out: Dataset, tmp_path: Path) -> None:
    push(out, REPO, private=True)
    assert load(server, tmp_path) == [ROWS, ROWS, "List(Value('uint16'))"]
    assert sorted(path for path in server.files(REPO) if path.startswith("data/")) == [
        f"data/train-{number:05d}.parquet" for number in range(3)
    ]


def test_a_push_is_one_commit_that_holds_rows_settings_and_card(server: Hub, out: Dataset) -> None:
    assert push(out, REPO) == f"{server.url}/datasets/{REPO}"
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
    server: Hub, out: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "FILES_PER_COMMIT", 2)
    push(out, REPO)
    commits = server.branches[REPO, "main"][1:]
    assert ["README.md" in commit.tree for commit in commits] == [False, False, True]


def test_a_push_goes_to_the_branch_that_is_asked_for(server: Hub, out: Dataset) -> None:
    assert push(out, REPO, revision="v2") == f"{server.url}/datasets/{REPO}/tree/v2"
    push(out, REPO, revision="v2")  # the branch is there now
    assert list(server.files(REPO, "main")) == [".gitattributes"]
    assert rows_in(server.files(REPO, "v2")) == ROWS
    card = server.files(REPO, "v2")["README.md"].decode()
    assert f'load_dataset("{REPO}", revision="v2", split="train")' in card


def test_a_repository_is_private_when_asked(server: Hub, out: Dataset) -> None:
    push(out, REPO, private=True)
    assert server.private[REPO]


def test_pushing_again_sends_nothing_and_commits_nothing(server: Hub, out: Dataset) -> None:
    push(out, REPO)
    sent, commits = server.uploads(), len(server.branches[REPO, "main"])
    push(out, REPO)
    assert server.uploads() == sent
    assert len(server.branches[REPO, "main"]) == commits


@pytest.mark.usefixtures("small_packs")
def test_a_grown_dataset_sends_only_its_new_files(server: Hub, out: Dataset) -> None:
    push(out, REPO)
    sent = len(server.uploads())
    more = [row(i) for i in range(16)]
    push(make_dataset(out.root, more), REPO)
    assert len(server.uploads()) == sent + 2  # the one that was not full, and a new one
    assert rows_in(server.files(REPO)) == more


@pytest.mark.usefixtures("small_packs")
def test_files_of_an_earlier_push_that_no_longer_belong_are_removed(
    server: Hub, out: Dataset, tmp_path: Path
) -> None:
    push(out, REPO)
    push(make_dataset(tmp_path / "other", ROWS, shard_size=100), REPO)
    assert [path for path in server.files(REPO) if path.startswith("data/")] == ["data/train-00000.parquet"]


@pytest.mark.parametrize(
    "fault",
    [
        Fault("PUT", "^/lfs/", None),
        Fault("PUT", "^/lfs/", 503, times=2),
        Fault("POST", "/objects/batch$", 429, headers={"Retry-After": "7"}),
        Fault("POST", "/preupload/", 500),
        Fault("POST", "/api/repos/create", 502),
        Fault("POST", "/commit/", 503, times=3),
        Fault("POST", "/commit/", 429, headers={"Retry-After": "7"}),
        Fault("POST", "/commit/", None),
        Fault("POST", "/commit/", None, late=True),
        Fault("POST", "/commit/", 504, late=True),
        Fault("GET", "/tree/", None, times=2),
    ],
    ids=lambda fault: f"{fault.method}{fault.path}-{fault.status or 'cut'}{'-after' if fault.late else ''}",
)
def test_faults_that_pass_are_waited_out_and_nothing_is_sent_or_committed_twice(
    fault: Fault, server: Hub, out: Dataset, waits: Waits
) -> None:
    server.faults.append(fault)
    push(out, REPO)
    assert fault.times == 0
    assert waits
    if fault.status == 429:
        assert max(waits) >= 7
    assert len(server.objects) == 1
    assert [commit.title for commit in server.branches[REPO, "main"]] == [
        "initial commit",
        "10 utterances with speech codes",
    ]


def test_somebody_elses_commit_in_between_is_built_upon(server: Hub, out: Dataset, waits: Waits) -> None:
    class Interloper(Fault):
        @property
        def headers(self) -> dict[str, str]:  # type: ignore[override]
            tree = dict(server.branches[REPO, "main"][-1].tree)
            server.commit(REPO, "main", tree | {"note.txt": (b"hello", False)}, "somebody else's")
            return {}

        @headers.setter
        def headers(self, value: object) -> None: ...

    server.faults.append(Interloper("POST", "/commit/", 412))
    push(out, REPO)
    assert {"note.txt", "README.md"} <= set(server.files(REPO))


@pytest.mark.usefixtures("small_packs")
def test_a_push_that_broke_off_publishes_nothing_and_goes_on_without_sending_again(
    server: Hub, out: Dataset
) -> None:
    server.faults.append(Fault("PUT", "^/lfs/", 503, times=10**6))
    stored: list[str] = []

    def third_fails(line: str) -> None:
        stored.append(line)
        server.faults[0].path = "^/lfs/" if len(stored) == 2 else "^never"

    server.faults[0].path = "^never"
    with pytest.raises(PipelineError, match="what has been sent is not sent twice"):
        push(out, REPO, say=third_fails)
    assert list(server.files(REPO)) == [".gitattributes"]
    server.faults.clear()
    first = set(server.objects)
    server.requests.clear()
    push(out, REPO)
    assert len(server.uploads()) == 1
    assert not first & set(server.uploads())


def test_audio_is_embedded_when_asked(server: Hub, tmp_path: Path) -> None:
    import soundfile

    clips = tmp_path / "clips"
    clips.mkdir()
    rows = [row(i, audio=f"{i}.wav") for i in range(2)]
    for number in range(2):
        soundfile.write(clips / f"{number}.wav", np.full(1600, 0.1 * (number + 1)), 16000)
    push(make_dataset(tmp_path / "out", rows), REPO, embed_audio=FolderSource(clips))
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
    push(make_dataset(tmp_path / "out", rows), REPO, embed_audio=FolderSource(clips))
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


def test_a_recording_that_is_gone_is_one_sentence(server: Hub, out: Dataset, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot embed set/0000\.wav: No such file"):
        push(out, REPO, embed_audio=FolderSource(tmp_path))


def test_without_a_token_nothing_is_asked_of_the_hub(
    server: Hub, out: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "get_token", lambda: None)
    with pytest.raises(UsageError, match="hf auth login"):
        push(out, REPO)
    assert server.requests == []


@pytest.mark.parametrize(
    ("repo", "said"), [("other/speech", "does not let this token write"), ("a/b/c", "give USER/NAME")]
)
def test_what_the_user_must_mend_is_one_sentence(
    repo: str, said: str, server: Hub, out: Dataset, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["push", str(out.root), repo]) == 2
    captured = capsys.readouterr().err
    assert said in captured
    assert captured.count("\n") == 1


def test_what_the_hub_does_not_take_is_said_in_its_words(
    server: Hub, out: Dataset, waits: Waits, capsys: pytest.CaptureFixture[str]
) -> None:
    server.refusal = "Private repository storage limit reached"
    assert main(["push", str(out.root), REPO]) == 1
    assert "Private repository storage limit reached" in capsys.readouterr().err
    server.refusal = ""
    server.faults.append(Fault("POST", "/commit/", 413, headers={"X-Error-Message": "Too large"}))
    assert main(["push", str(out.root), REPO]) == 1
    assert capsys.readouterr().err == f"error: the Hub refused {REPO} (HTTP 413: Too large)\n"
    assert not waits


def test_a_dataset_without_rows_is_not_published(server: Hub, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no finished rows"):
        push(make_dataset(tmp_path / "out", []), REPO)
    assert server.requests == []


@pytest.mark.parametrize("fault", [None, Fault("PUT", "^/lfs/", 503, 99), Fault("POST", "/commit/", 403, 99)])
def test_the_token_is_in_no_log_error_or_file(
    fault: Fault | None,
    server: Hub,
    out: Dataset,
    tmp_path: Path,
    waits: Waits,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    records = logging.FileHandler(tmp_path / "everything.log")
    root, library = logging.getLogger(), logging.getLogger("huggingface_hub")
    for logger in (root, library):
        monkeypatch.setattr(logger, "level", logger.level)  # put back afterwards
        logger.setLevel(logging.DEBUG)
        logger.addHandler(records)
    if fault is not None:
        server.faults.append(fault)
    try:
        status = main(["push", str(out.root), REPO])
    finally:
        for logger in (root, library):
            logger.removeHandler(records)
        records.close()
    assert status == (0 if fault is None else 2 if fault.status == 403 else 1)
    printed = capfd.readouterr()
    assert TOKEN not in printed.out + printed.err
    assert (tmp_path / "everything.log").stat().st_size > 0
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not [path for path in written if TOKEN.encode() in path.read_bytes()]
    assert not [path for path, content in server.files(REPO).items() if TOKEN.encode() in content]
