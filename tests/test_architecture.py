"""Invariants of the code itself: who may import whom, and what a file may be."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted((ROOT / "pipeline").rglob("*.py"))
STAGES = {"corpus", "plan", "loader", "encode", "codec", "shards", "publish", "llasa", "validate"}
OWNERS = {  # a library, and the only part of the project that may import it
    "ray": "pipeline.engines.ray",
    "huggingface_hub": "pipeline.publish.hub",
    "peft": "pipeline.llasa",
    "xcodec2": "pipeline.codec",
}
CONTRACTS = ("pipeline.codec.protocol",)  # what a room promises, for all to read
ALLOWED = {("encode", "codec"), ("publish", "shards"), ("validate", "shards")}


def imports(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def module(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def stage(name: str) -> str | None:
    if name.startswith(CONTRACTS):
        return None
    parts = name.split(".")
    return parts[1] if parts[0] == "pipeline" and len(parts) > 1 and parts[1] in STAGES else None


@pytest.mark.parametrize("path", FILES, ids=module)
def test_a_stage_does_not_import_another(path):
    here = stage(module(path))
    if here is None:
        return
    others = {(here, stage(name)) for name in imports(path)} - {(here, here), (here, None)}
    assert others - ALLOWED == set()


@pytest.mark.parametrize("path", FILES, ids=module)
def test_a_library_is_imported_by_its_room_alone(path):
    for name in imports(path):
        owner = OWNERS.get(name.split(".")[0])
        assert owner is None or f"{module(path)}.".startswith(f"{owner}."), f"{module(path)} imports {name}"


@pytest.mark.parametrize("path", FILES, ids=module)
def test_a_module_says_what_it_is_and_is_read_in_one_sitting(path):
    text = path.read_text(encoding="utf-8")
    assert ast.get_docstring(ast.parse(text))
    assert len(text.splitlines()) <= 300


@pytest.mark.parametrize(
    "verb", ["--help", "create", "plan", "status", "validate", "export", "push", "speak", "export-onnx"]
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
