"""data/README.md says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

from pipeline.corpus.fields import NAMES
from pipeline.corpus.registry import FORMATS
from pipeline.utterance import Reason

README = (Path(__file__).parents[1] / "data/README.md").read_text(encoding="utf-8")


def test_every_form_reason_and_known_name_is_in_the_readme() -> None:
    for word in [*FORMATS, *Reason, *(name for names in NAMES.values() for name in names)]:
        assert f"`{word}`" in README, word


def test_every_layout_that_is_listed_has_the_test_that_is_named() -> None:
    listed = re.findall(r"^\| .* \| (\d+) \| `(test_\w+\.py)::(test_\w+)` \|$", README, re.MULTILINE)
    for _, file, name in listed:
        assert f"def {name}(" in (Path(__file__).parent / file).read_text(encoding="utf-8"), name
    count = sum(int(number) for number, _, _ in listed)
    assert count >= 50
    assert f"{count} layouts" in README
