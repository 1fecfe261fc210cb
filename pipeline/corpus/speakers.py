"""Speakers that public corpora tell only by the names of files and folders."""

from __future__ import annotations

import re

SCHEMES = (
    re.compile(r"(?:^|/)(?P<speaker>jvs\d{3})/"),  # JVS: jvs001/parallel100/…
    re.compile(r"(?:^|/)(?P<speaker>[ps]\d{3})_\d{3}(?:_mic\d)?$"),  # VCTK: p225_001
    re.compile(r"(?:^|/)(?P<speaker>\d+)_\d+_\d{6}_\d{6}$"),  # LibriTTS: 84_121123_000007_000001
    re.compile(r"(?:^|/)(?P<speaker>\d+)-\d+-\d{4}$"),  # LibriSpeech: 84-121123-0000
)


def speaker_of(path: str) -> str | None:
    """Return the speaker that `path`, without its ending, tells by one of the schemes."""
    for scheme in SCHEMES:
        if match := scheme.search(path):
            return match["speaker"]
    return None
