"""Writes the segments of a recording as files: FLAC at the source's rate, and a text beside each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pipeline.audio.decode import decode, open_audio
from pipeline.audio.encode import encoded
from pipeline.audio.source import AudioSource
from pipeline.errors import naming
from pipeline.segment.records import Segment
from pipeline.storage.folders import replacing_folder

DEADLINE = 600.0  # seconds that decoding one segment may take
MARK = ".segments"  # says that a folder was written here


def write_clips(folder: Path, source: AudioSource, segments: Sequence[Segment]) -> None:
    """Write all clips of one recording to `folder`, which is complete or absent.

    A clip is called by its times in milliseconds, `00001230-00004560.flac`, and has 24 bits.
    """
    with replacing_folder(folder, MARK) as temporary:
        (temporary / MARK).touch()
        for each in segments:
            with open_audio(source, each.audio) as file:
                waveform, rate = decode(
                    file,
                    start=each.start,
                    end=each.end,
                    max_seconds=each.end - each.start + 1,
                    deadline_seconds=DEADLINE,
                )
            name = f"{round(each.start * 1000):08d}-{round(each.end * 1000):08d}"
            sound = encoded(waveform.numpy(), rate, "FLAC", "PCM_24")
            for ending, content in (("flac", sound), ("txt", f"{each.text}\n".encode())):
                path = temporary / f"{name}.{ending}"
                with naming(path):
                    path.write_bytes(content)
