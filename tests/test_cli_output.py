"""What verbs print for programs (`--json`), and where their words have colours."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import shutil
import warnings
from pathlib import Path

import pytest
from publish_helpers import ROWS, make_dataset

from pipeline.__main__ import VERBS, main, run_command
from pipeline.dataset.mark import PlanMark, write_mark

ROOT = Path(__file__).parents[1]
DOCUMENTED = (ROOT / "docs" / "scripts.md").read_text(encoding="utf-8")
ESCAPE = "\033["


def documented(verb: str) -> set[str]:
    """The keys that docs/scripts.md lists for a verb."""
    section = DOCUMENTED.partition(f"### `{verb} --json`")[2].partition("\n##")[0]
    return set(re.findall(r"`(\w+)`", " ".join(re.findall(r"^\| ([^|]*) \|", section, re.MULTILINE))))


def test_status_names_every_fault_for_a_program_and_ends_with_status_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = make_dataset(tmp_path / "out", ROWS)
    for shard in range(3):
        out.files(shard).data.unlink()
    assert main(["status", str(out.root), "--verify", "--json"]) == 1
    said = capsys.readouterr()
    faults = json.loads(said.out)["faults"]
    assert [fault for fault in faults if "data/" in fault] == [
        f"data/train-{shard:05d}.jsonl is missing" for shard in range(3)
    ]
    assert said.err.startswith("error: ")


def test_each_prints_one_object_of_the_documented_keys_and_the_rest_on_standard_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main(["create", "-o", str(out), "--max-samples", "3", "--num-workers", "0", "--json"]) == 0
    said = capsys.readouterr()
    made = json.loads(said.out)
    assert set(made) == documented("create")
    assert (made["complete"], made["rows"], made["rejected"], made["published"]) == (True, 3, 0, None)
    assert "plan: 3 utterances" in said.err

    assert main(["status", str(out), "--json"]) == 0
    said = capsys.readouterr()
    known = json.loads(said.out)
    assert set(known) == documented("status")
    assert (known["complete"], known["shards"], known["shards_done"]) == (True, 1, 1)
    assert {name: known[name] for name in ("rows", "hours", "codes", "rejected", "reasons")} == {
        name: made[name] for name in ("rows", "hours", "codes", "rejected", "reasons")
    }
    assert known["faults"] is None
    assert said.err == ""

    write_mark(out / "manifest", PlanMark())  # as while planning is under way
    assert main(["status", str(out)]) == 0
    assert "1 of at least 1 shard done\nat least 3 utterances planned" in capsys.readouterr().out
    assert main(["status", str(out), "--json"]) == 0
    growing = json.loads(capsys.readouterr().out)
    assert (growing["planned"], growing["complete"]) == (False, False)
    write_mark(out / "manifest", None)

    judged = ["validate", str(out), "--sample", "0", "--exact", "0", "--json"]
    status = main(judged)
    said = capsys.readouterr()
    found = json.loads(said.out)
    assert set(found) == documented("validate")
    assert status == {"pass": 0, "fail": 4, "not judged": 5}[found["verdict"]]
    assert (found["rows"], Path(found["report"], "index.html").exists()) == (3, True)
    assert {"title", "figure", "outcome", "value", "limit", "at_most"} == set(found["checks"][0])
    assert "3 rows read" in said.err


def one_clip(folder: Path, texts: str) -> list[str]:
    """The command that makes a dataset of the one recording `a` and of what `texts` names besides."""
    (folder / "clips").mkdir()
    shutil.copy(ROOT / "data/sample/heldout/conf-nonextended.flac", folder / "clips/a.flac")
    (folder / "texts.txt").write_text(texts, encoding="utf-8")
    given = [str(folder / "clips"), str(folder / "texts.txt"), "-o", str(folder / "out")]
    return ["create", *given, "--codec", "fake:", "--num-workers", "0"]


def test_a_dataset_that_lacks_too_much_is_told_to_a_program_all_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    create = [*one_clip(tmp_path, "a:One.\nb:Gone.\n"), "--max-reject-rate", "0.1", "--json"]
    for part in ([], ["--part", "0", "--num-parts", "2"]):
        assert main([*create, *part]) == 3
        said = capsys.readouterr()
        made = json.loads(said.out)
        assert set(made) == documented("create")
        assert (made["complete"], made["rows"], made["reasons"]) == (True, 1, {"missing_audio": 1})
        assert "error: 50.0% of the utterances were rejected" in said.err


def test_one_thing_is_told_in_the_singular(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(one_clip(tmp_path, "a:One.\n")) == 0
    out = str(tmp_path / "out")
    assert main(["status", out]) == 0
    assert main(["annotate", out, "--with", "level"]) == 0
    assert main(["select", out, "--where", "duration > 0"]) == 0
    assert main(["export", out, "--to", "webdataset"]) == 0
    said = capsys.readouterr().out
    for words in ("plan: 1 utterance (", "out: 1 row, ", "1 of 1 shard done", "1 utterance planned, 0 to do"):
        assert words in said
    for words in ("1 of 1 shard measured", "kept: 1 of 1 row, ", "webdataset: 1 train row"):
        assert words in said
    assert "1 utterance, " in (tmp_path / "out/README.md").read_text(encoding="utf-8")


def test_what_goes_wrong_leaves_standard_output_empty(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in (
        ["status", str(tmp_path)],
        ["validate", str(tmp_path)],
        ["create", "nowhere", "-o", str(tmp_path / "x")],
    ):
        assert main([*words, "--json"]) == 2
        said = capsys.readouterr()
        assert said.out == ""
        assert said.err.startswith("error: ")
        assert said.err.count("\n") == 1


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset that fails: two rows are one."""
    rows = [{**row, "code": ROWS[0]["code"]} for row in ROWS]
    return make_dataset(tmp_path_factory.mktemp("broken") / "out", rows).root


def on_terminal(words: list[str], monkeypatch: pytest.MonkeyPatch) -> str:
    """What a verb prints on a terminal of its own."""
    screen, terminal = pty.openpty()
    with os.fdopen(terminal, "w", encoding="utf-8") as stdout:
        monkeypatch.setattr("sys.stdout", stdout)
        main(words)
    shown = b""
    with os.fdopen(screen, "rb", buffering=0) as file, contextlib.suppress(OSError):  # its end is an error
        while part := file.read(4096):
            shown += part
    return shown.decode()


def test_a_verdict_is_red_or_green_on_a_terminal_alone(
    broken: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    judge = ["validate", str(broken), "--sample", "0", "--exact", "0"]
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert main(judge) == 4
    assert ESCAPE not in capsys.readouterr().out
    with monkeypatch.context() as patch:
        shown = on_terminal(judge, patch)
    assert "verdict: \033[31mfail\033[0m;" in shown
    assert "\033[32mpassed \033[0m" in shown
    monkeypatch.setenv("NO_COLOR", "1")
    with monkeypatch.context() as patch:
        assert ESCAPE not in on_terminal(judge, patch)


def test_every_verb_that_has_figures_for_scripts_spells_the_option_alike(
    capsys: pytest.CaptureFixture[str],
) -> None:
    spelled = set()
    for verb in VERBS:
        with pytest.raises(SystemExit):
            main([verb, "--help"])
        if "--json" in capsys.readouterr().out:
            spelled.add(verb)
    assert spelled == {"create", "status", "validate"}


def test_a_warning_is_a_note_if_it_is_for_people_and_silent_if_it_is_for_programmers(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def warn() -> int:
        for category in (DeprecationWarning, FutureWarning, SyntaxWarning):
            warnings.warn("`past` is deprecated", category, stacklevel=1)
        warnings.warn("this processor is slow", stacklevel=1)
        return 0

    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        assert run_command(warn) == 0
    assert capsys.readouterr().err == "note: this processor is slow\n"
