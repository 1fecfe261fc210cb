"""The commands on the pages: each is understood, and the README's way from clips to training works."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest

from pipeline.__main__ import main

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / name for name in ("README.md", "README.ja.md", "benchmarks/README.md")]
PAGES += sorted((ROOT / "docs").glob("*.md"))
PREFIXES = {  # how a page calls a verb: the verb
    "python create_dataset.py": ["create"],
    "python -m pipeline": [],
    "llasa-dataset": [],
}
STAND_INS = {  # what a page names and nobody has here: what the sample has in its place
    "HKUSTAudio/xcodec2-hf": str(ROOT / "data/sample/codec"),
    "HKUSTAudio/Llasa-1B": str(ROOT / "data/sample/llasa-random"),
}


def blocks(page: Path) -> list[str]:
    """The lines of a page's code blocks for a shell, continued lines joined."""
    text = page.read_text(encoding="utf-8")
    found = re.findall(r"^```(\w*)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    shell = "".join(block for kind, block in found if kind in {"", "bash", "console"})
    return shell.replace("\\\n", "").splitlines()


def commands(page: Path) -> list[list[str]]:
    """The words of each command of this program on a page, verb first."""
    found = []
    for line in blocks(page):
        line = re.sub(r"^(\$|srun --ntasks \d+) ", "", line.strip())
        for prefix, verb in PREFIXES.items():
            if line.startswith(f"{prefix} "):
                found.append([*verb, *shlex.split(line.removeprefix(prefix), comments=True)])
    return found


ALL = [(page.name, words) for page in PAGES for words in commands(page)]
TARGETS = {
    word
    for page in PAGES
    for line in blocks(page)
    if line.strip().removeprefix("$ ").startswith("make ")
    for word in [line.strip().removeprefix("$ ").split()[1]]
}


@pytest.mark.parametrize(("page", "words"), ALL, ids=[f"{page}-{i}" for i, (page, _) in enumerate(ALL)])
def test_a_command_is_understood_and_ends_at_the_first_thing_that_is_not_there(
    page: str,
    words: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    (tmp_path / "out" / "my-voice").mkdir(parents=True)  # or `validate` would ask the Hub for it
    local = [re.sub(r"^s3://", "", word) for word in words]  # a store would be asked over the network
    local = [word for word in local if word not in {"ray", "auto", "--engine", "--ray-address"}]
    try:
        status = main(local)
    except SystemExit as refused:  # argparse: the page names an option or a verb that is not there
        pytest.fail(f"{page}: {shlex.join(words)}: {capsys.readouterr().err or refused}")
    said = capsys.readouterr().err.splitlines()
    assert (status, [line[:7] for line in said if not line.startswith("note: ")]) == (2, ["error: "])


def test_every_target_on_the_pages_is_in_the_makefile() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert len(TARGETS) > 5
    assert [name for name in sorted(TARGETS) if not re.search(rf"^{name}:", makefile, re.MULTILINE)] == []


def test_every_file_that_a_page_links_to_is_there() -> None:
    for page in [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "data" / "README.md"]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_the_readmes_way_from_clips_to_training_works_as_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clips = tmp_path / "clips"
    clips.mkdir()
    texts = (ROOT / "data/sample/heldout/transcripts.txt").read_text(encoding="utf-8").splitlines()[:4]
    for name, _, _ in (line.partition(":") for line in texts):
        shutil.copy(ROOT / "data/sample/heldout" / f"{name}.flac", clips)
    rows = [line.partition(":")[::2] for line in texts]
    table = "file_name,text\n" + "".join(f'{name}.flac,"{text}"\n' for name, text in rows)
    (tmp_path / "metadata.csv").write_text(table, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    readme = commands(ROOT / "README.md")
    for verb in ("create", "annotate", "select", "export"):
        words = next(words for words in readme if words[0] == verb and "talks/" not in words)
        words = [STAND_INS.get(word, word) for word in words if word != "--bf16"]
        words = [word.replace(",quality", "").replace("dnsmos_ovrl > 3 AND ", "") for word in words]
        assert main(words) == 0, capsys.readouterr().err
    assert "4 train rows" in capsys.readouterr().out or list(
        tmp_path.glob("out/my-voice/export/sft/*.parquet")
    )
    assert (tmp_path / "out/chosen/README.md").exists()
