"""The settings of a run: the defaults or a YAML file, then the command line over them."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.config.settings import Settings, validated
from pipeline.config.yaml_file import read_yaml
from pipeline.errors import UsageError
from pipeline.runtime import REPOSITORY, find_file

SAMPLE = REPOSITORY / "configs" / "sample.yaml"


def resolve(
    given: Path | str | Settings | None,
    *,
    audio: Path | str | None,
    text: Path | str | None,
    values: Mapping[str, Any],
) -> Settings:
    """Return the settings of a run: a file's or `Settings`, with a corpus and dotted keys put over them.

    Without a file and without a corpus they are those of the sample corpus. What `configs/sample.yaml` says
    of that corpus, its licence and what passes validation, never holds for another one, which begins from
    the defaults. Raises UsageError that names what is wrong.
    """
    if isinstance(given, Settings):
        settings = given
    elif audio is not None and (given is None or _is_sample(given)):
        settings = Settings()
    else:
        settings = load(given or SAMPLE)
    if audio is not None:
        corpus = {"corpus.audio": str(audio), "corpus.text": None if text is None else str(text)}
        settings = settings.with_values(corpus)
    settings = settings.with_values(values)
    if settings.corpus.audio is None:
        raise UsageError("no corpus: give AUDIO_DIR and TEXT_FILE, or corpus.audio in the configuration")
    return settings


def _is_sample(given: Path | str) -> bool:
    with contextlib.suppress(OSError, ValueError):
        return _found(given).samefile(SAMPLE)
    return False


def _found(path: Path | str) -> Path:
    with contextlib.suppress(OSError):  # a name that is too long; to read it says so
        return find_file(str(path)) or Path(path)
    return Path(path)


def load(path: Path | str) -> Settings:
    """Read settings from a YAML file, here or below the repository.

    Raises UsageError, which names what is wrong in it.
    """
    content = read_yaml(_found(path), "configuration")
    if content is None:
        return Settings()
    if not isinstance(content, dict):
        sections = ", ".join(Settings.model_fields)
        raise UsageError(f"{path}: expected sections ({sections}), found a {type(content).__name__}")
    return validated(content, str(path))
