"""Pushing to a Hub that fails: what passes is waited out, the rest is a sentence, the token stays secret."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from publish_helpers import REPO, Waits
from publish_hub import TOKEN, Fault, Hub

from pipeline.__main__ import main
from pipeline.dataset.reader import Dataset
from pipeline.errors import PipelineError, UsageError
from pipeline.publish import hub as client
from pipeline.publish.push import push_dataset

pytest_plugins = ("publish_fixtures",)
pytestmark = [
    pytest.mark.usefixtures("waits"),
    # huggingface_hub hands files to its HTTP client by a keyword that this client is giving up.
    pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning"),
]


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
    fault: Fault, server: Hub, dataset: Dataset, waits: Waits
) -> None:
    server.faults.append(fault)
    push_dataset(dataset, REPO)
    assert fault.times == 0
    assert waits
    if fault.status == 429:
        assert max(waits) >= 7
    assert len(server.objects) == 1
    assert [commit.title for commit in server.branches[REPO, "main"]] == [
        "initial commit",
        "10 utterances with speech codes",
    ]


def test_somebody_elses_commit_in_between_is_built_upon(server: Hub, dataset: Dataset, waits: Waits) -> None:
    class Interloper(Fault):
        @property
        def headers(self) -> dict[str, str]:  # type: ignore[override]
            tree = dict(server.branches[REPO, "main"][-1].tree)
            server.commit(REPO, "main", tree | {"note.txt": (b"hello", False)}, "somebody else's")
            return {}

        @headers.setter
        def headers(self, value: object) -> None: ...

    server.faults.append(Interloper("POST", "/commit/", 412))
    push_dataset(dataset, REPO)
    assert {"note.txt", "README.md"} <= set(server.files(REPO))


@pytest.mark.usefixtures("small_packs")
def test_a_push_that_broke_off_publishes_nothing_and_goes_on_without_sending_again(
    server: Hub, dataset: Dataset
) -> None:
    server.faults.append(Fault("PUT", "^/lfs/", 503, times=10**6))
    stored: list[str] = []

    def third_fails(line: str) -> None:
        stored.append(line)
        server.faults[0].path = "^/lfs/" if len(stored) == 2 else "^never"

    server.faults[0].path = "^never"
    with pytest.raises(PipelineError, match="what has been sent is not sent twice"):
        push_dataset(dataset, REPO, say=third_fails)
    assert list(server.files(REPO)) == [".gitattributes"]
    server.faults.clear()
    first = set(server.objects)
    server.requests.clear()
    push_dataset(dataset, REPO)
    assert len(server.uploads()) == 1
    assert not first & set(server.uploads())


def test_without_a_token_nothing_is_asked_of_the_hub(
    server: Hub, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "get_token", lambda: None)
    with pytest.raises(UsageError, match="hf auth login"):
        push_dataset(dataset, REPO)
    assert server.requests == []


@pytest.mark.parametrize(
    ("repo", "said"), [("other/speech", "does not let this token write"), ("a/b/c", "give USER/NAME")]
)
def test_what_the_user_must_mend_is_one_sentence(
    repo: str, said: str, server: Hub, dataset: Dataset, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["push", str(dataset.root), repo]) == 2
    captured = capsys.readouterr().err
    assert said in captured
    assert captured.count("\n") == 1


def test_what_the_hub_does_not_take_is_said_in_its_words(
    server: Hub, dataset: Dataset, waits: Waits, capsys: pytest.CaptureFixture[str]
) -> None:
    server.refusal = "Private repository storage limit reached"
    assert main(["push", str(dataset.root), REPO]) == 1
    assert "Private repository storage limit reached" in capsys.readouterr().err
    server.refusal = ""
    server.faults.append(Fault("POST", "/commit/", 413, headers={"X-Error-Message": "Too large"}))
    assert main(["push", str(dataset.root), REPO]) == 1
    assert capsys.readouterr().err == f"error: the Hub refused {REPO} (HTTP 413: Too large)\n"
    assert not waits


@pytest.mark.parametrize("fault", [None, Fault("PUT", "^/lfs/", 503, 99), Fault("POST", "/commit/", 403, 99)])
def test_the_token_is_in_no_log_error_or_file(
    fault: Fault | None,
    server: Hub,
    dataset: Dataset,
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
        status = main(["push", str(dataset.root), REPO])
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
