"""Options that stand for settings: a flag for the common keys, `--set KEY=VALUE` for every one."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from pipeline import config
from pipeline.errors import UsageError

Flags = Mapping[str, tuple[str, dict[str, Any]]]  # flag: configuration key, argparse options


def add_settings(parser: argparse.ArgumentParser, flags: Flags, example: str) -> None:
    """Add `flags`, described as their keys are, and `--set`, whose help shows `example`."""
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help=f"any key, such as {example}"
    )
    add_flags(parser, flags)


def add_flags(parser: argparse.ArgumentParser | argparse._ArgumentGroup, flags: Flags) -> None:
    """Add `flags`, described as their keys are."""
    for flag, (key, options) in flags.items():
        parser.add_argument(flag, dest=key, default=None, help=described(key), **options)


def described(key: str) -> str:
    """Return a key's description, for help texts, with its default where that says something."""
    field = dict(config.all_keys())[key]
    default = "" if field.default is None or isinstance(field.default, bool) else f" [{field.default}]"
    return f"{field.description}{default}".replace("%", "%%")


def given_settings(arguments: argparse.Namespace, flags: Flags, listed: str = "") -> dict[str, Any]:
    """Return what the command line sets, by dotted key.

    Raises UsageError for a wrong `--set`; it lists the keys that begin with `listed`.
    """
    values = {key: given for key, _ in flags.values() if (given := getattr(arguments, key)) is not None}
    known = dict(config.all_keys())
    for assignment in arguments.set:
        key, separator, value = assignment.partition("=")
        if not separator or key not in known:
            names = ", ".join(name for name in known if name.startswith(listed))
            raise UsageError(f"--set {assignment}: expected KEY=VALUE; the keys are {names}")
        values[key] = value
    return values
