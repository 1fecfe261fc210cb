"""Build data/sample/audio and data/sample/transcripts.txt from speech that comes in packages.

    apt-get install asterisk-core-sounds-en-g722 asterisk-core-sounds-en pocketsphinx-testdata
    python -m venv sample-venv
    sample-venv/bin/pip install av==18.1.0 numpy==2.4.6 soundfile==0.14.0 soxr==1.1.0
    sample-venv/bin/pip install pyopenjtalk-plus==0.4.1.post10
    sample-venv/bin/python tools/make_sample_corpus.py

Knows where each clip comes from and into which container it goes; with the versions above it writes the same
bytes every time, but for the serial numbers that libsndfile gives the Ogg files. Knows nothing of the
pipeline, which the result is to test.
"""

from __future__ import annotations

import argparse
import gzip
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import pyopenjtalk
import soundfile
import soxr

PROMPTS = Path("/usr/share/asterisk/sounds/en_US_f_Allison")
PROMPT_TEXTS = Path("/usr/share/doc/asterisk-core-sounds-en/core-sounds-en.txt.gz")
NOVEL = Path("/usr/share/pocketsphinx/test/data/librivox")
SPEED = {"hayai": 1.25, "yukkuri": 0.8}  # how fast some Japanese clips are spoken; the others at 1


@dataclass(frozen=True)
class Form:
    """A container and what is in it. `coding` is libsndfile's subtype, or FFmpeg's encoder."""

    ending: str
    coding: str
    rate: int  # Hz
    channels: int = 1
    bit_rate: int = 0  # bits a second, for lossy encoders

    def write(self, path: Path, samples: np.ndarray, rate: int) -> None:
        """`samples`: float64 (n,) within ±1 at `rate` Hz."""
        samples = np.clip(soxr.resample(samples, rate, self.rate, quality="VHQ"), -1, 1)
        if self.channels == 2:  # the voice a little left of the middle, so that a downmix shows
            samples = np.stack([0.9 * samples, 0.6 * samples], axis=1)
        if self.ending in {".wav", ".flac", ".ogg"}:
            soundfile.write(path, samples, self.rate, subtype=self.coding)
        else:
            self._encode(path, samples.reshape(-1, self.channels))

    def _encode(self, path: Path, samples: np.ndarray) -> None:
        options = {"flags": "bitexact"}
        with av.open(str(path), "w", container_options={"fflags": "bitexact"}) as container:
            stream = container.add_stream(self.coding, rate=self.rate, options=options)
            stream.layout = "stereo" if self.channels == 2 else "mono"
            stream.bit_rate = self.bit_rate
            values = np.ascontiguousarray(samples.astype(np.float32).reshape(1, -1))
            frame = av.AudioFrame.from_ndarray(values, format="flt", layout=stream.layout.name)
            frame.sample_rate = self.rate
            resampler = av.AudioResampler(stream.format, stream.layout, self.rate, stream.frame_size or None)
            for part in [*resampler.resample(frame), *resampler.resample(None)]:
                container.mux(stream.encode(part))
            container.mux(stream.encode(None))


G722 = Form(".g722", "g722", 16_000)  # as the package has it, byte for byte
WAV = Form(".wav", "PCM_16", 16_000)
WAV_8_BIT = Form(".wav", "PCM_U8", 8_000)
WAV_24_BIT = Form(".wav", "PCM_24", 22_050)
WAV_32_BIT = Form(".wav", "PCM_32", 16_000)
WAV_STEREO = Form(".wav", "PCM_16", 16_000, channels=2)
FLAC = Form(".flac", "PCM_16", 24_000)
FLAC_24_BIT = Form(".flac", "PCM_24", 16_000)
MP3 = Form(".mp3", "libmp3lame", 24_000, bit_rate=48_000)
MP3_STEREO = Form(".mp3", "libmp3lame", 44_100, channels=2, bit_rate=96_000)
VORBIS_STEREO = Form(".ogg", "VORBIS", 44_100, channels=2)  # FFmpeg's own encoder states wrong positions
OPUS = Form(".opus", "libopus", 48_000, bit_rate=32_000)
M4A = Form(".m4a", "aac", 44_100, bit_rate=64_000)
WEBM = Form(".webm", "libopus", 48_000, bit_rate=32_000)
WMA = Form(".wma", "wmav2", 32_000, bit_rate=48_000)

PROMPT_CLIPS = {  # the package's name of the prompt: the form it gets here
    "agent-alreadyon": G722,
    "agent-incorrect": MP3,
    "agent-newlocation": WAV,
    "all-circuits-busy-now": WAV_24_BIT,
    "auth-incorrect": OPUS,
    "cannot-complete-as-dialed": WAV_8_BIT,
    "check-number-dial-again": FLAC,
    "conf-getconfno": M4A,
    "conf-invalid": G722,
    "conf-kicked": WAV_STEREO,
    "conf-locked": WAV_32_BIT,
    "conf-now-recording": FLAC_24_BIT,
    "conf-onlyone": VORBIS_STEREO,
    "conf-roll-callcomplete": MP3,
    "conf-waitforleader": WAV,
    "confbridge-begin-glorious-a": OPUS,
    "confbridge-mute-extended": G722,
    "confbridge-pin": G722,
    "demo-echodone": WMA,
    "demo-nogo": MP3,
    "demo-thanks": OPUS,
    "dictate/forhelp": WAV_24_BIT,
    "dictate/play_help": M4A,
    "dir-instr": WEBM,
    "dir-intro": G722,
    "feature-not-avail-line": WAV,
    "followme/options": FLAC,
    "followme/status": MP3_STEREO,
    "num-was-successfully": WAV_8_BIT,
    "pbx-invalidpark": G722,
    "please-try-call-later": WAV,
    "priv-callpending": OPUS,
    "privacy-prompt": G722,
    "queue-periodic-announce": MP3,
    "queue-youarenext": G722,
    "screen-callee-options": G722,  # its text has a colon in the middle
    "something-terribly-wrong": WAV,
    "ss-noservice": VORBIS_STEREO,
    "tt-allbusy": OPUS,
    "tt-weasels": WAV,
    "vm-forward": M4A,
    "vm-newuser": G722,
    "vm-record-prepend": WEBM,
    "vm-tmpexists": WMA,
    "vm-whichbox": FLAC,
}
NOVEL_CLIPS = {  # the number of the passage: its form, and the text with its case and punctuation
    "0870": (
        MP3,
        "And Mister John Dashwood had then leisure to consider how much there might be prudently in his "
        "power to do for them.",
    ),
    "0880": (WAV, "He was not an ill disposed young man,"),
    "0890": (FLAC_24_BIT, "unless to be rather cold hearted and rather selfish is to be ill disposed."),
    "0920": (
        OPUS,
        "Had he married a more amiable woman, he might have been made still more respectable than he was:",
    ),
    "0930": (WAV_8_BIT, "he might even have been made amiable himself."),
}
JAPANESE_CLIPS = {  # the id: its form and what is said
    "ja-aisatsu": (WAV_24_BIT, "おはようございます。"),
    "ja-chotto": (WAV, "あっ、ちょっと待って！"),
    "ja-densha": (M4A, "次の電車は、午後三時二十五分に二番線から発車します。"),
    "ja-hayai": (MP3, "隣の客はよく柿食う客だ。"),
    "ja-hontou": (OPUS, "えっ、本当に？信じられない……。"),
    "ja-kaimono": (FLAC, "スーパーで牛乳とパンを買ってきてください。"),
    "ja-kenkyuu": (
        OPUS,
        "音声合成の研究では、文章と録音の組を大量に集めて、機械に読み方を学ばせます。",
    ),
    "ja-koto": (VORBIS_STEREO, "京都の古いお寺で、静かな庭を眺めていました。"),
    "ja-namae": (MP3_STEREO, "私の名前は鈴木です。どうぞよろしくお願いします。"),
    "ja-neko": (FLAC, "猫が窓際で気持ちよさそうに眠っている。"),
    "ja-ryouri": (WEBM, "玉ねぎを薄く切って、弱火でゆっくり炒めます。"),
    "ja-tenki": (MP3, "明日の天気は晴れのち曇り、最高気温は十八度でしょう。"),
    "ja-tsuki": (OPUS, "月がきれいですね。少し歩きませんか？"),
    "ja-yukkuri": (M4A, "ゆっくりでいいから、もう一度言ってみて。"),
}


@dataclass(frozen=True)
class Sample:
    """One clip: where it goes, what is said, and its speech, float64 (n,) within ±1 at `rate` Hz."""

    id: str
    folder: str
    form: Form
    text: str
    samples: np.ndarray
    rate: int


def prompts() -> Iterator[Sample]:
    """Telephone prompts, spoken by Allison Smith."""
    with gzip.open(PROMPT_TEXTS, "rt", encoding="utf-8") as lines:
        texts = dict(line.split(":", 1) for line in lines if ":" in line)
    for name, form in PROMPT_CLIPS.items():
        text = re.sub(r"\s+", " ", texts[name]).strip().replace("represenatives", "representatives")
        yield Sample(name.replace("/", "-"), "prompts", form, text, *decode_g722(PROMPTS / f"{name}.g722"))


def novel() -> Iterator[Sample]:
    """Passages of Sense and Sensibility, read by a LibriVox volunteer."""
    for number, (form, text) in NOVEL_CLIPS.items():
        samples, rate = soundfile.read(NOVEL / f"sense_and_sensibility_01_austen_64kb-{number}.wav")
        yield Sample(f"austen-{number}", "novel", form, text, samples, rate)


def japanese() -> Iterator[Sample]:
    """Japanese sentences, spoken by the synthetic voice Mei."""
    for name, (form, text) in JAPANESE_CLIPS.items():
        speed = SPEED.get(name.removeprefix("ja-"), 1.0)
        samples, rate = pyopenjtalk.tts(text, speed=speed, predict_nani=False)
        yield Sample(name, "japanese", form, text, samples / 2**15, rate)


def decode_g722(path: Path) -> tuple[np.ndarray, int]:
    """Samples, float64 (n,), and their rate in Hz."""
    with av.open(str(path), format="g722") as container:
        frames = [frame.to_ndarray().reshape(-1) for frame in container.decode(audio=0)]
        return np.concatenate(frames) / 2**15, container.streams.audio[0].rate


def write(samples: Iterable[Sample], out: Path) -> None:
    """One file a sample below `out`/audio, and their texts in `out`/transcripts.txt, sorted by id."""
    lines = []
    for sample in samples:
        path = out / "audio" / sample.folder / (sample.id + sample.form.ending)
        path.parent.mkdir(parents=True, exist_ok=True)
        if sample.form is G722:
            name = next(name for name in PROMPT_CLIPS if name.replace("/", "-") == sample.id)
            path.write_bytes((PROMPTS / f"{name}.g722").read_bytes())
        else:
            sample.form.write(path, sample.samples, sample.rate)
        lines.append(f"{sample.id}:{sample.text}\n")
    (out / "transcripts.txt").write_text("".join(sorted(lines)), encoding="utf-8", newline="\n")


def main() -> None:
    """Build the corpus below --out."""
    parser = argparse.ArgumentParser(description="Build the sample corpus from packaged speech.")
    parser.add_argument("--out", type=Path, default=Path("data/sample"), help="folder to write to")
    out = parser.parse_args().out
    write([*prompts(), *novel(), *japanese()], out)
    files = [path for path in (out / "audio").rglob("*") if path.is_file()]
    print(f"{len(files)} clips, {sum(path.stat().st_size for path in files) / 1e6:.2f} MB in {out}")


if __name__ == "__main__":
    main()
