"""Speakers and languages that public corpora tell only by the names of files and folders."""

from __future__ import annotations

import re

SCHEMES = (
    re.compile(r"(?:^|/)(?P<speaker>jvs\d{3})/"),  # JVS: jvs001/parallel100/…
    re.compile(r"(?:^|/)(?P<speaker>[ps]\d{3})_\d{3}(?:_mic\d)?$"),  # VCTK: p225_001
    re.compile(r"(?:^|/)(?P<speaker>\d+)_\d+_\d{6}_\d{6}$"),  # LibriTTS: 84_121123_000007_000001
    re.compile(r"(?:^|/)(?P<speaker>\d+)-\d+-\d{4}$"),  # LibriSpeech: 84-121123-0000
    re.compile(r"(?:^|/)BAC009(?P<speaker>S\d{4})W\d{4}$"),  # AISHELL-1: BAC009S0002W0122
    re.compile(r"(?:^|/)(?P<speaker>SSB\d{4})\d{4}$"),  # AISHELL-3: SSB00050001
    re.compile(r"(?:^|/)by_book/(?:female|male)/(?P<speaker>[^/]+)/"),  # M-AILABS
)


def speaker_of(path: str) -> str | None:
    """Return the speaker that `path`, without its ending, tells by one of the schemes."""
    for scheme in SCHEMES:
        if match := scheme.search(path):
            return match["speaker"]
    return None


LANGUAGES = (
    (re.compile(r"(?:^|/)BAC009S\d{4}W\d{4}$"), "zh"),  # AISHELL-1
    (re.compile(r"(?:^|/)(?P<language>[a-z]{2})_[A-Z]{2}/by_book/"), None),  # M-AILABS
)


def language_of(path: str) -> str | None:
    """Return the language that `path`, without its ending, tells by one of the layouts."""
    for layout, language in LANGUAGES:
        if match := layout.search(path):
            return language or match["language"]
    return None
