"""The zoo: recordings that are odd, damaged, or lie, made by a script, and what must become of each.

python tests/zoo.py build/zoo      make them there, and print what is expected of each
"""

from __future__ import annotations

import math
import os
import struct
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import soundfile
from audio_helpers import AV_FORMS, SOUNDFILE_FORMS, Ogg, speechlike, write

from pipeline.utterance import Reason

RATE, SECONDS = 48000, 1.5
OLDER = {  # ending: format and subtype of libsndfile, at 8 kHz
    "au": ("AU", "PCM_16"),
    "w64": ("W64", "PCM_16"),
    "sph": ("NIST", "PCM_16"),
    "voc": ("VOC", "PCM_16"),
    "svx": ("SVX", "PCM_16"),
    "avr": ("AVR", "PCM_16"),
    "mat4": ("MAT4", "PCM_16"),
    "mat5": ("MAT5", "PCM_16"),
    "caf": ("CAF", "PCM_16"),
    "wve": ("WVE", "ALAW"),
    "gsm.wav": ("WAV", "GSM610"),
    "g721.wav": ("WAV", "G721_32"),
    "nms.wav": ("WAV", "NMS_ADPCM_32"),
}
LENGTHLESS = {"paf": "PAF", "pvf": "PVF", "sf": "IRCAM", "mpc": "MPC2K"}
NOT_AUDIO = {
    "text.wav": b"id:text\n" * 500,
    "picture.mp3": b"\x89PNG\r\n\x1a\n" + bytes(4000),
    "archive.flac": b"PK\x03\x04" + bytes(4000),
    "page.ogg": b"<html><body>404 Not Found</body></html>",
    "hls.m3u8": b"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\nfile:///etc/hostname\n#EXT-X-ENDLIST\n",
    "hls.m4a": b"#EXTM3U\n#EXTINF:5,\nhttp://127.0.0.1:9/clip.ts\n#EXT-X-ENDLIST\n",
    "concat.mp3": b"ffconcat version 1.0\nfile 'whole-s16.wav'\n",
    "list.pls": b"[playlist]\nFile1=whole-s16.wav\nNumberOfEntries=1\n",
    "session.sdp": b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 9 RTP/AVP 0\n",
    "one-byte.wav": b"R",
    "zeros.mp3": bytes(10_000),
}
NAMES = ["two\nlines.wav", "ünïcode-日本語-😀.wav", "-o.wav", "a 'b' \"c\" $(d).wav", "n" * 251 + ".wav"]


@dataclass(frozen=True)
class Animal:
    """A file of the zoo: what must become of it is a clip of so many seconds, or one of these reasons."""

    make: Callable[[Path], object]
    seconds: float | None
    reasons: tuple[Reason, ...] = ()


def _bytes(content: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(content)


def _form(name: str, waveform: np.ndarray, folder: Path, rate: int = RATE) -> bytes:
    return write(folder / name, waveform, rate).read_bytes()


def _older(form: str, subtype: str | None, folder: Path) -> bytes:
    soundfile.write(folder / "x", speechlike(SECONDS, 8000), 8000, format=form, subtype=subtype)
    return (folder / "x").read_bytes()


def _put(content: bytes, at: int, value: bytes) -> bytes:
    return content[:at] + value + content[at + len(value) :]


def animals(work: Path) -> dict[str, Animal]:
    """Return the animals by their names; recordings are encoded in the folder `work`."""
    found: dict[str, Animal] = {}

    def whole(name: str, content: bytes, seconds: float = SECONDS) -> None:
        found[name] = Animal(_bytes(content), seconds)

    def refused(name: str, content: bytes, *reasons: Reason) -> None:
        found[name] = Animal(_bytes(content), None, reasons)

    voice = speechlike(SECONDS)
    forms = {name: _form(name, voice, work) for name in [*SOUNDFILE_FORMS, *AV_FORMS]}
    for name, content in forms.items():
        whole(f"whole-{name}", content)
        if name != "a.g722":  # states no length, and half of it is a whole one
            refused(f"cut-{name}", content[: len(content) * 3 // 5], Reason.TRUNCATED)
    for name, (form, subtype) in OLDER.items():
        content = _older(form, subtype, work)
        whole(f"whole.{name}", content)
        refused(f"cut.{name}", content[: len(content) * 3 // 5], Reason.TRUNCATED)
    for name, form in LENGTHLESS.items():
        refused(f"lengthless.{name}", _older(form, None, work), Reason.DECODE_FAILED)
    for name in ("a.flac", "a.mp3", "a.ogg", "a.opus"):
        whole(f"joined-{name}", forms[name] * 2, 2 * SECONDS)
    refused("joined-s16.wav", forms["s16.wav"] * 2, Reason.DECODE_FAILED)
    for name, content in NOT_AUDIO.items():
        refused(name, content, Reason.NOT_AUDIO, Reason.DECODE_FAILED)
    refused("empty.wav", b"", Reason.EMPTY_FILE)
    refused("riff-only.wav", b"RIFF", Reason.TRUNCATED)
    _lying(whole, refused, forms)
    _tagged(whole, forms)
    _loud_and_quiet(whole, refused, voice, work)
    _many_channels(whole, refused, forms, work)
    for name in NAMES:
        whole(name, forms["s16.wav"])
    whole(os.fsdecode(b"latin-1-\xe9.wav"), forms["s16.wav"])
    _no_files(found)
    return found


def _lying(whole: Callable[..., None], refused: Callable[..., None], forms: dict[str, bytes]) -> None:
    flac, wave, mp3 = forms["a.flac"], forms["s16.wav"], forms["a.mp3"]
    for name, total in {"half": RATE // 2, "none": 0}.items():
        whole(f"flac-total-{name}.flac", _put(flac, 22, struct.pack(">I", total)))
    absurd = _put(_put(flac, 21, bytes([flac[21] | 0x0F])), 22, b"\xff" * 4)
    refused("flac-total-absurd.flac", absurd, Reason.TOO_LONG)
    at = max(mp3.find(b"Info"), mp3.find(b"Xing")) + 8
    whole("info-half.mp3", _put(mp3, at, struct.pack(">I", 20)))
    refused("info-double.mp3", _put(mp3, at, struct.pack(">I", 200)), Reason.TRUNCATED)
    for name, share in {"half": 0.5, "double": 2.0}.items():
        for form in ("a.ogg", "a.opus"):
            ogg = Ogg(forms[form])
            ogg.set_position(-1, int(ogg.position(-1) * share))
            if (form, name) == ("a.ogg", "half"):
                whole(f"position-{name}-{form}", ogg.content())
            else:
                refused(f"position-{name}-{form}", ogg.content(), Reason.TRUNCATED)
    opus = Ogg(forms["a.opus"])
    opus.pages[0][38:40] = b"\xff\xff"  # OpusHead's pre-skip: RFC 7845 section 5.1
    refused("pre-skip.opus", opus.content(), Reason.DECODE_FAILED)
    for name, size in {"ffmpeg": 0xFFFFFFFF, "sox": 0x7FFFF000}.items():
        whole(f"piped-by-{name}.wav", _put(wave, 40, struct.pack("<I", size)))
    refused("data-absurd.wav", _put(wave, 40, b"\xf0\xff\xff\xff"), Reason.TRUNCATED)
    refused("data-small.wav", _put(wave, 40, struct.pack("<I", 20_000)), Reason.DECODE_FAILED)
    refused("rate-absurd.wav", _put(wave, 24, struct.pack("<I", 3 * 10**9)), Reason.DECODE_FAILED)
    refused("rate-zero.wav", _put(wave, 24, bytes(4)), Reason.DECODE_FAILED, Reason.NOT_AUDIO)
    middle = len(flac) // 2
    refused("hole.flac", _put(flac, middle, bytes(4000)), Reason.DECODE_FAILED)


def _tagged(whole: Callable[..., None], forms: dict[str, bytes]) -> None:
    """Recordings with more in them than audio, and with names that are not their form's."""
    picture = b"ID3\x04\0\0\0\x01\x00\x00" + bytes(1 << 14)
    whole("picture-before.mp3", picture + forms["a.mp3"])
    whole("tag-after.mp3", forms["a.mp3"] + b"TAG" + bytes(125))
    whole("sync-after.mp3", forms["a.mp3"] + b"\xff")
    whole("tag-after.wav", forms["s16.wav"] + b"TAG" + bytes(125))
    whole("list-after.wav", forms["s16.wav"] + b"LIST\x04\0\0\0INFO")
    whole("zeros-after.wav", forms["s16.wav"] + bytes(100_000))
    whole("a-flac.wav", forms["a.flac"])
    whole("an-mp3.wav", forms["a.mp3"])
    whole("a-wave.mp3", forms["s16.wav"])
    whole("no-ending", forms["a.opus"])


def _loud_and_quiet(
    whole: Callable[..., None], refused: Callable[..., None], voice: np.ndarray, work: Path
) -> None:
    nan, infinite = voice.copy(), voice.copy()
    nan[1000], infinite[1000] = np.nan, np.inf
    refused("nan.wav", _form("float.wav", nan, work), Reason.NOT_FINITE)
    refused("infinite.wav", _form("float.wav", infinite, work), Reason.NOT_FINITE)
    for power in (6, 38):
        scaled = _form("double.wav", voice.astype(np.float64) * 10.0**power, work)
        refused(f"scaled-1e{power}.wav", scaled, Reason.OUT_OF_RANGE, Reason.NOT_FINITE)
    whole("overshoot.wav", _form("float.wav", voice * 4, work))
    whole("faint.wav", _form("s16.wav", voice * np.float32(1e-3), work))
    refused("silent.wav", _form("s16.wav", voice * 0, work), Reason.SILENT)
    refused("offset.wav", _form("s16.wav", voice * 0 + 0.5, work), Reason.SILENT)
    refused("opposed.wav", _form("s16.wav", np.stack([voice, -voice], 1), work), Reason.SILENT)
    refused("no-samples.wav", _form("s16.wav", voice[:0], work), Reason.TOO_SHORT)
    refused("short.wav", _form("s16.wav", voice[:2000], work), Reason.TOO_SHORT)
    refused("ten-hours-of-zeros.flac", _ten_hours_of_zeros(work), Reason.TOO_LONG)


def _ten_hours_of_zeros(work: Path) -> bytes:
    """FLAC in its largest blocks, at 1 kHz: 16 kB."""
    block = np.zeros((1, 65535), np.int16)
    with av.open(work / "x", "w", format="flac") as container:
        stream = container.add_stream("flac", rate=1000, layout="mono", options={"frame_size": "65535"})
        for number in range(math.ceil(10 * 3600 * 1000 / block.size)):
            frame = av.AudioFrame.from_ndarray(block, format="s16", layout="mono")
            frame.sample_rate, frame.pts = 1000, number * block.size
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    zeros = (work / "x").read_bytes()
    assert len(zeros) < 20_000
    return zeros


def _many_channels(
    whole: Callable[..., None], refused: Callable[..., None], forms: dict[str, bytes], work: Path
) -> None:
    voice = speechlike(SECONDS, 8000)
    whole("255-channels.wav", _form("s16.wav", voice[:, None].repeat(255, axis=1), work, 8000))
    refused("0-channels.wav", _put(forms["s16.wav"], 22, bytes(2)), Reason.DECODE_FAILED, Reason.NOT_AUDIO)
    whole("16-channels.wv", wavpack(work / "x.wv", voice[:, None].repeat(16, axis=1), 8000))
    with av.open(str(work / "mute.mp4"), "w") as container:
        stream = container.add_stream("mpeg4", rate=10, width=64, height=64, pix_fmt="yuv420p")
        container.mux(stream.encode(av.VideoFrame(64, 64, "yuv420p")))
        container.mux(stream.encode(None))
    refused("video-only.mp4", (work / "mute.mp4").read_bytes(), Reason.NOT_AUDIO)


def wavpack(path: Path, waveform: np.ndarray, rate: int) -> bytes:
    """Encode float32 (samples, 16), in planes."""
    layout = "hexadecagonal"
    with av.open(str(path), "w", format="wv") as container:
        stream = container.add_stream("wavpack", rate=rate, layout=layout)
        stream.codec_context.format = "fltp"
        packed = np.ascontiguousarray(waveform.reshape(1, -1))
        frame = av.AudioFrame.from_ndarray(packed, format="flt", layout=layout)
        frame.sample_rate = rate
        resampler = av.AudioResampler("fltp", layout, rate, 4000)
        for each in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(each))
        container.mux(stream.encode(None))
    return path.read_bytes()


def _no_files(found: dict[str, Animal]) -> None:
    """What has a recording's name and is no file."""
    failed, missing = (Reason.DECODE_FAILED,), (Reason.MISSING_AUDIO,)
    found["pipe.wav"] = Animal(os.mkfifo, None, failed)
    found["folder.wav"] = Animal(Path.mkdir, None, failed)
    found["device.wav"] = Animal(lambda path: path.symlink_to("/dev/zero"), None, failed)
    found["loop.wav"] = Animal(lambda path: path.symlink_to(path.name), None, failed)
    found["loop-a.wav"] = Animal(lambda path: path.symlink_to("loop-b.wav"), None, failed)
    found["loop-b.wav"] = Animal(lambda path: path.symlink_to("loop-a.wav"), None, failed)
    found["dangling.wav"] = Animal(lambda path: path.symlink_to("nowhere.wav"), None, missing)
    found["link.wav"] = Animal(lambda path: path.symlink_to("whole-s16.wav"), SECONDS)


def main() -> None:
    folder = Path(sys.argv[1])
    (folder / "work").mkdir(parents=True)
    for name, animal in animals(folder / "work").items():
        animal.make(folder / name)
        print(f"{name!r}: {animal.seconds or ' or '.join(animal.reasons)}")


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    main()
