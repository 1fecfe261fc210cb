"""Invariants of the code itself: who may import whom, and what a file may be."""

import ast
import graphlib
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted((ROOT / "pipeline").rglob("*.py"))
FLOORS = (  # top to bottom: a file imports from its own room or from lower floors
    {"__init__", "__main__"},
    {"cli"},
    {"ui", "validate"},
    {"publish", "export", "select"},
    {"build", "segment"},
    {"loader", "llasa", "annotate"},
    {"dataset"},
    {"codec", "llasa_format", "corpus", "recognise"},
    {"audio", "pretrained"},
    {"storage"},
    {"config"},
    {"runtime"},
    {"errors", "utterance", "progress", "ragged"},
)
FLOOR_OF = {room: -number for number, floor in enumerate(FLOORS) for room in floor}
OWNERS = {  # a library, and the only part of the project that may import it
    "ray": "pipeline.build.engines.ray",
    "huggingface_hub": "pipeline.publish.hub",
    "peft": "pipeline.pretrained",
    "xcodec2": "pipeline.codec",
}


def imported(path: Path) -> set[str]:
    """Dotted names of all that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute here"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def module(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def room(name: str) -> str:
    return name.split(".")[1] if "." in name else "__init__"


MODULES = {module(path): path for path in FILES}


def graph() -> dict[str, set[str]]:
    """Each module, and the modules of the project that it imports."""

    def owner(name: str) -> str:
        while name not in MODULES:
            name = name.rpartition(".")[0]
        return name

    ours = {
        name: {one for one in imported(path) if one.split(".")[0] == "pipeline"}
        for name, path in MODULES.items()
    }
    return {name: {owner(one) for one in found} - {name} for name, found in ours.items()}


def test_every_file_has_a_floor():
    assert {room(name) for name in MODULES} == set(FLOOR_OF)


def test_imports_go_down():
    upward = [
        f"{name} imports {other}"
        for name, others in graph().items()
        for other in others
        if room(other) != room(name) and FLOOR_OF[room(other)] >= FLOOR_OF[room(name)]
    ]
    assert upward == []


def test_no_imports_close_a_circle():
    try:
        graphlib.TopologicalSorter(graph()).prepare()
    except graphlib.CycleError as error:
        pytest.fail(" imports ".join(reversed(error.args[1])))


@pytest.mark.parametrize("path", FILES, ids=module)
def test_a_library_is_imported_by_its_room_alone(path):
    for name in imported(path):
        owner = OWNERS.get(name.split(".")[0])
        assert owner is None or f"{module(path)}.".startswith(f"{owner}."), f"{module(path)} imports {name}"


@pytest.mark.parametrize("path", FILES, ids=module)
def test_a_module_says_what_it_is_and_is_read_in_one_sitting(path):
    text = path.read_text(encoding="utf-8")
    assert ast.get_docstring(ast.parse(text))
    assert len(text.splitlines()) <= 300


@pytest.mark.parametrize(
    "verb",
    [
        "--help",
        "create",
        "plan",
        "status",
        "validate",
        "export",
        "push",
        "speak",
        "export-onnx",
        "segment",
        "annotate",
        "select",
    ],
)
def test_help_loads_nothing_heavy(verb):
    arguments = [verb] if verb == "--help" else [verb, "--help"]
    code = (
        "import sys, pipeline.__main__ as m\n"
        f"try: m.main({arguments!r})\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'transformers', 'datasets', 'pyarrow', 'numpy', 'soundfile'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True)
