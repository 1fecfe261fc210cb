"""A condition in SQL, taken apart into the clauses that `AND` joins."""

from __future__ import annotations

import json
from typing import Any

import duckdb

from pipeline.errors import UsageError
from pipeline.runtime import find_file

PREFIX = "SELECT * FROM rows WHERE "
EXAMPLE = "give just a condition, such as duration > 2 AND language = 'ja'"
PRESETS = "configs/select"  # below the repository
ELSEWHERE = ("modifiers", "group_expressions", "having", "qualify")  # parts of a query beside its condition


def read_condition(where: str) -> str:
    """Return a condition as it is, or what the file says that `@NAME` or `@FILE` names, without its comments.

    Raises UsageError if there is no such file.
    """
    if not where.startswith("@"):
        return where
    path = find_file(f"{PRESETS}/{where[1:]}.sql") or find_file(where[1:])
    if path is None or not path.is_file():
        folder = find_file(PRESETS)
        names = sorted(path.stem for path in folder.glob("*.sql")) if folder else []
        raise UsageError(f"there is no condition {where}: give a file, or one of {', '.join(names)}")
    lines = path.read_text(encoding="utf-8").splitlines()
    return " ".join(line.strip() for line in lines if not line.lstrip().startswith("--")).strip()


def clauses(db: duckdb.DuckDBPyConnection, where: str) -> list[str]:
    """Return the clauses of `where`, each as SQL. Raises UsageError if that is no condition."""
    parsed = _call(db, "json_serialize_sql", PREFIX + where)
    tree: dict[str, Any] = json.loads(parsed)
    if tree["error"]:
        said = str(tree["error_message"]).splitlines()[0]
        raise UsageError(f"--where {where}: {said}: {EXAMPLE}")
    node = tree["statements"][0]["node"]
    condition = node.get("where_clause")
    if len(tree["statements"]) > 1 or condition is None or any(node.get(part) for part in ELSEWHERE):
        raise UsageError(f"--where {where}: {EXAMPLE}")
    joined = condition["type"] == "CONJUNCTION_AND"
    parts = condition["children"] if joined else [condition]
    return [_spelled(db, tree, node, part) for part in parts]


def _spelled(db: duckdb.DuckDBPyConnection, tree: Any, node: Any, part: Any) -> str:
    node["where_clause"] = part
    return _call(db, "json_deserialize_sql", json.dumps(tree)).partition(" WHERE ")[2]


def _call(db: duckdb.DuckDBPyConnection, function: str, text: str) -> str:
    kind = "JSON" if function == "json_deserialize_sql" else "VARCHAR"
    (found,) = db.execute(f"SELECT {function}($1::{kind})", [text]).fetchall()[0]
    return str(found)
