"""Reads YAML that may come from strangers: plain data, bounded, and one sentence for whatever is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from yaml.nodes import Node

from pipeline.errors import UsageError

MAX_BYTES = 1 << 20


def read_yaml(path: Path, what: str) -> Any:
    """Return what a YAML file says; `what` names the file's part in an error: configuration, dataset.

    Raises UsageError for a file that cannot be read, is no YAML, or is larger than `MAX_BYTES`. Aliases are
    refused: a few lines of them stand for more than any memory holds.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
        if len(raw) > MAX_BYTES:
            raise UsageError(f"the {what} {path} is larger than {MAX_BYTES:,} bytes: it cannot be one")
        return yaml.load(raw.decode("utf-8-sig"), Loader=_Loader)
    except OSError as error:
        raise UsageError(f"cannot read the {what} {path}: {error.strerror or error}") from error
    except RecursionError as error:
        raise UsageError(f"{path} is not valid YAML: nested too deeply") from error
    except (ValueError, yaml.YAMLError) as error:  # no UTF-8, a NUL in the name; no YAML
        raise UsageError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error


class _Loader(yaml.SafeLoader):
    """Plain data, without aliases."""

    def compose_node(self, parent: Node | None, index: int) -> Node | None:
        """Compose a node; see `yaml.composer.Composer`."""
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.composer.ComposerError(None, None, "aliases (*name) are not read here", mark)
        return super().compose_node(parent, index)
