"""The commands on the pages: each is understood, and the README's way from clips to training works."""

from __future__ import annotations

import ast
import gc
import importlib
import inspect
import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest
from publish_helpers import ROWS, make_dataset

import pipeline
from pipeline.__main__ import main
from pipeline.errors import UsageError

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / name for name in ("README.md", "README.ja.md", "data/README.md", "benchmarks/README.md")]
PAGES += [*sorted((ROOT / "docs").glob("*.md")), ROOT / "CONTRIBUTING.md", ROOT / "data/sample/README.md"]
PREFIXES = {  # how a page calls a verb: the verb
    "python create_dataset.py": ["create"],
    "python gradio_tts_ui.py": ["ui"],
    "python -m pipeline": [],
    "llasa-dataset": [],
}
LAUNCHERS = (  # what a command may stand behind, and in
    (re.compile(r"(\$|srun --ntasks \d+) "), ""),
    (re.compile(r"torchrun --nproc-per-node \d+ "), "python "),
    (re.compile(r"sbatch [^']*--wrap '([^']*)'"), r"\1"),
)
ELSEWHERE = {  # how other commands begin: who runs them
    "make ": "the Makefile; that it has the target is tested below",
    "python3 -m venv ": "tests/test_packaging.py makes such an environment",
    "pip install ": "tests/test_packaging.py installs the wheel by pip",
    "uv pip install ": "tried by hand, as docs/install.md says",
    "uv tool install ": "tried by hand, as docs/install.md says",
    "pipx install ": "tried by hand, as docs/install.md says",
    "trl sft ": "trains; tests/test_publish_training.py trains by the same trainer",
    "python -m benchmarks.": "measures; that it has the options is tested below",
    "python tools/": "makes files of the repository; that it has the options is tested below",
}
STAND_FOR = {"N": "2", "PROGRAM": "sft"}  # words in capitals that an option would not take
STAND_INS = {  # what a page names and nobody has here: what the sample has in its place
    "HKUSTAudio/xcodec2-hf": str(ROOT / "data/sample/codec"),
    "HKUSTAudio/Llasa-1B": str(ROOT / "data/sample/llasa-random"),
}


def blocks(page: Path, *kinds: str) -> Iterator[tuple[str, str]]:
    """Kind and content of a page's code blocks, continued lines joined."""
    text = page.read_text(encoding="utf-8")
    for kind, block in re.findall(r"^```(\w*)\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        if kind in kinds:
            yield kind, block.replace("\\\n", "")


def lines(page: Path) -> Iterator[str]:
    """What a page tells to type: lines of its blocks for a shell, and commands within its sentences."""
    for kind, block in blocks(page, "", "bash", "console"):
        for line in block.splitlines():
            if kind == "bash" or line.startswith("$ ") or is_command(line):
                yield launched(line)
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    yield from filter(is_command, re.findall(r"`([^`\n]+ [^`\n]+)`", text))


def is_command(line: str) -> bool:
    return launched(line).startswith((*(f"{prefix} " for prefix in PREFIXES), *ELSEWHERE))


def launched(line: str) -> str:
    line = line.strip()
    for launcher, instead in LAUNCHERS:
        line = launcher.sub(instead, line)
    return line


def commands(page: Path) -> list[list[str]]:
    """The words of each command of this program on a page, verb first."""
    found = []
    for line in lines(page):
        for prefix, verb in PREFIXES.items():
            if line.startswith(f"{prefix} "):
                words = shlex.split(line.removeprefix(prefix), comments=True)
                kept = [word for word in words if not re.fullmatch(r"\[.*|[^\[]*\]", word)]  # [--optional]
                found.append([*verb, *(STAND_FOR.get(word, word) for word in kept)])
    return found


ALL = [(page.name, words) for page in PAGES for words in commands(page)]
OTHERS = sorted({line for page in PAGES for line in lines(page) if line.startswith(tuple(ELSEWHERE))})
TARGETS = {line.split()[1] for line in OTHERS if line.startswith("make ")}


def test_every_line_that_a_page_tells_to_type_is_run_by_somebody() -> None:
    known = (*(f"{prefix} " for prefix in PREFIXES), *ELSEWHERE)
    typed = [line for page in PAGES for line in lines(page) if line and not line.startswith("#")]
    assert len(typed) > 150
    assert [line for line in typed if not line.startswith(known)] == []
    assert [begins for begins in ELSEWHERE if not any(line.startswith(begins) for line in OTHERS)] == []


def refuse(*_: object) -> NoReturn:
    raise UsageError("understood")


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
    monkeypatch.setattr("pipeline.cli.ui.run", refuse)  # its page would stay open
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


@pytest.mark.parametrize("line", [line for line in OTHERS if line.startswith("python ")])
def test_a_benchmark_or_tool_on_the_pages_is_there_with_its_options(line: str) -> None:
    words = line.replace("[", "").replace("]", "").split()
    path = ROOT / (f"{words[2].replace('.', '/')}.py" if words[1] == "-m" else words[1])
    source = path.read_text(encoding="utf-8")
    assert [word for word in words if word.startswith("--") and f'"{word}"' not in source] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_on_a_page_calls_what_is_there(page: Path) -> None:
    for _, block in blocks(page, "python"):
        tree = ast.parse(block)
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("pipeline"):
                module = importlib.import_module(str(node.module))
                assert [name.name for name in node.names if not hasattr(module, name.name)] == []
            if isinstance(node, ast.Call) and getattr(node.func, "id", None) in pipeline.__all__:
                function = getattr(pipeline, ast.unparse(node.func))
                inspect.signature(function).bind(*node.args, **{str(one.arg): one for one in node.keywords})


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_the_python_of_the_pages_on_figures_and_exports_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = str(make_dataset(tmp_path / "out", ROWS, form="parquet").root)
    monkeypatch.chdir(tmp_path)
    (_, query), (_, own_annotator) = blocks(ROOT / "docs/quality.md", "python")
    Path("words.py").write_text(own_annotator, encoding="utf-8")
    assert main(["annotate", out, "--with", "codes,words.py"]) == 0
    exec(query, {})
    for program in ("webdataset", "lhotse"):
        assert main(["export", out, "--to", program]) == 0
    (_, loaders), (_, training) = blocks(ROOT / "docs/training.md", "python")
    exec(loaders.replace("..000009", "..000000"), seen := {"text": ""})
    assert seen["text"] in {row["text"] for row in ROWS}
    seen.clear()
    gc.collect()  # webdataset leaves its file to the collector
    compile(training, "docs/training.md", "exec")  # tests/test_publish_training.py trains


def test_every_file_that_a_page_links_to_is_there() -> None:
    for page in PAGES:
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
        words = next(words for words in readme if words[0] == verb and "out/my-voice" in words)
        words = [STAND_INS.get(word, word) for word in words if word != "--bf16"]
        words = [word.replace(",quality", "").replace("dnsmos_ovrl > 3 AND ", "") for word in words]
        assert main(words) == 0, capsys.readouterr().err
    assert "4 train rows" in capsys.readouterr().out or list(
        tmp_path.glob("out/my-voice/export/sft/*.parquet")
    )
    assert (tmp_path / "out/chosen/README.md").exists()
