"""Languages by Whisper's codes for them; other recognisers of many languages know most of these."""

from __future__ import annotations

from functools import cache

from pipeline.recognise.error_rate import primary


@cache
def languages() -> dict[str, str]:
    """Return the names of the languages that Whisper learned, by code."""
    from transformers.models.whisper.tokenization_whisper import LANGUAGES

    return dict(LANGUAGES)


def whisper_code(language: str) -> str | None:
    """Return Whisper's code of a language that is named in any way (en-GB, English); None if it has none."""
    names = {name: code for code, name in languages().items()}
    code = names.get(language.lower(), primary(language))
    return code if code in languages() else None


def knows(only: str | None, language: str | None) -> bool:
    """Return whether a recogniser can judge a row in `language` (None: nobody knows it).

    `only` is the one language that it knows; None: it takes any that Whisper learned.
    """
    if only is None:
        return language is None or whisper_code(language) is not None
    return language is not None and primary(language) == primary(only)
