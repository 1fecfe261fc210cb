"""The runs whose every system call meets a fault: what lies there before, the command, how one goes on."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

FORMATS = ("jsonl", "arrow", "parquet")
CLIPS, LATE = 10, 3
PROMPTS = [
    Path(__file__).parents[2] / "data/sample/audio/prompts" / name
    for name in ("tt-weasels.wav", "conf-locked.wav")
]
TOKENIZER = "data/sample/llasa-random"
CODEC = "fake:codebook_size=64"
REPOSITORY = "user/speech"
TIMES = ("timings", "stage_seconds", "times_real_time")
Words = tuple[str, ...]


@dataclass(frozen=True)
class Place:
    """Where a scenario is played: the corpus, and the box in which calls are counted."""

    folder: Path

    @property
    def audio(self) -> Path:
        """Recordings."""
        return self.folder / "corpus" / "audio"

    @property
    def text(self) -> Path:
        """Their transcripts."""
        return self.folder / "corpus" / "text.txt"

    @property
    def box(self) -> Path:
        """What faults befall: outputs and temporary files."""
        return self.folder / "box"

    @property
    def recordings(self) -> Path:
        """Long ones, for `segment`."""
        return self.folder / "corpus" / "long"

    def words(self, template: Iterable[str]) -> list[str]:
        """Fill AUDIO, TEXT and BOX in."""
        filled = {"AUDIO": str(self.audio), "TEXT": str(self.text), "RECORDINGS": str(self.recordings)}
        return [filled.get(word, word.replace("BOX", str(self.box))) for word in template]


@dataclass(frozen=True)
class Scenario:
    """A command under fault and how one goes on after it; what it starts from is made without faults."""

    name: str
    command: Words
    before: tuple[Words, ...] = ()
    change: Callable[[Place], None] | None = None  # made to the corpus between `before` and `command`
    again: Words | None = None  # how one goes on after a fault, if not by the same command
    after: tuple[Words, ...] = ()  # what completes the output once the command has been run again
    struck: str = "box"  # the folder whose calls meet faults
    workers: bool = False  # other processes make calls too, and the run outlives their deaths
    hub: bool = False  # the outcome is also what the Hub holds
    every: int = 1  # the whole sweep plays each so-manieth fault


def create(output: str, *more: str) -> Words:
    """`create` on the small corpus."""
    fixed = ("--codec", CODEC, "--shard-size", "5")
    workers = () if "--num-workers" in more else ("--num-workers", "0")
    return ("create", "AUDIO", "TEXT", "-o", f"BOX/{output}", *fixed, *workers, *more)


def export(form: str, *more: str) -> Words:
    """`export` with the sample's tokenizer, a part of the rows for validation."""
    split = () if form == "unsloth-memmap" else ("--val-share", "0.3")
    return ("export", "BOX/out", "--to", form, "--tokenizer", TOKENIZER, *split, *more)


def build_corpus(place: Place, clips: int = CLIPS) -> None:
    """Clips of several lengths and rates, one broken, one missing."""
    place.audio.mkdir(parents=True)
    for number in range(clips):
        _write_clip(place, f"u{number:02d}", 0.1 + 0.05 * (number % 4), (16000, 22050, 8000)[number % 3])
    (place.audio / "broken.wav").write_bytes(b"RIFF....WAVE")
    lines = [f"u{number:02d}:text {number}: with a colon\n" for number in range(clips)]
    place.text.write_text("".join([*lines[:4], "broken:broken audio\n", "gone:no audio\n", *lines[4:]]))


def _write_clip(place: Place, name: str, seconds: float, rate: int) -> None:
    noise = np.random.default_rng(sum(name.encode())).normal(0, 0.1, round(seconds * rate))
    soundfile.write(place.audio / f"{name}.wav", noise.astype(np.float32), rate)


def join_prompts(place: Place) -> None:
    """Make two recordings of the sample's prompts with a pause between, and one file that is none."""
    place.recordings.mkdir()
    spoken = [soundfile.read(path, dtype="float32") for path in PROMPTS]
    (rate,) = {rate for _, rate in spoken}
    pause = np.random.default_rng(0).normal(0, 1e-4, 2 * rate)
    for name, order in (("a", (0, 1)), ("b", (1,))):
        pieces = [piece for number in order for piece in (spoken[number][0], pause)]
        soundfile.write(place.recordings / f"{name}.wav", np.concatenate(pieces), rate)
    (place.recordings / "broken.wav").write_bytes(b"RIFF....WAVE")


def grow(place: Place) -> None:
    """Add clips, of which the last opens a new shard."""
    with place.text.open("a") as file:
        for number in range(LATE):
            _write_clip(place, f"late{number}", 0.2, 16000)
            file.write(f"late{number}:late text {number}\n")


def replace_clip(place: Place) -> None:
    """Change a recording, so that its shard is redone."""
    _write_clip(place, "u02", 0.4, 16000)


def everything() -> list[Scenario]:
    """Every scenario of the sweep."""
    made = [Scenario(form, create("out", "--format", form)) for form in FORMATS]
    made += [Scenario("one file", create("name.jsonl"))]
    for name, output in (("folder", "out"), ("one file", "name.jsonl")):
        whole = create(output)
        made += [
            Scenario(f"growing {name}", whole, (whole,), grow),
            Scenario(f"changed clip, {name}", whole, (whole,), replace_clip),
            Scenario(f"retried rejections, {name}", (*whole, "--retry-rejected"), (whole,)),
            Scenario(f"finished {name}", whole, (whole,)),
        ]
    for name, output in (("folder", "out"), ("one file", "name.jsonl")):
        first, last = (create(output, "--num-parts", "2", "--part", part) for part in "01")
        made += [
            Scenario(f"first of two parts, {name}", first, after=(last,)),
            Scenario(f"last of two parts, {name}", last, (first,)),
        ]
    plan = ("plan", *create("out")[1:])
    made += [Scenario("plan", plan, after=(create("out"),))]
    made += [Scenario("transcripts", create("out"), struck="corpus/text.txt")]
    made += [
        Scenario(f"export {form}", export(form), (create("out"),))
        for form in ("llasa-trainer", "llasa-memmap", "unsloth-memmap", "sharded-memmap", "sft")
    ]
    made += [
        Scenario(
            f"export {form}", ("export", "BOX/out", "--to", form, "--val-share", "0.3"), (create("out"),)
        )
        for form in ("webdataset", "lhotse")
    ]
    other = export("sft", "--max-length", "40")
    made += [Scenario("export over an older one", export("sft"), (create("out"), other))]
    made += _with_loader_processes()
    annotate = ("annotate", "BOX/out", "--with", "duplicates,level")
    select = ("select", "BOX/out", "--where", "loudness < 0", "--rows", "6", "-o", "BOX/chosen")
    made += [
        Scenario("annotate", annotate, (create("out"),)),
        Scenario(
            "annotate in parts", (*annotate, *part("1")), (create("out"),), after=((*annotate, *part("0")),)
        ),
        Scenario("select", select, (create("out"), annotate)),
        Scenario("select over an older one", select, (create("out"), annotate, (*select, "--seed", "1"))),
        Scenario("segment", segment(), change=join_prompts, workers=True),
    ]
    made += [Scenario("push", ("push", "BOX/out", REPOSITORY), (create("out"),), hub=True)]
    made += [Scenario("validate", ("validate", "BOX/out", "--audio", "/nowhere"), (create("out"),))]
    made += [Scenario("status --verify", ("status", "BOX/out", "--verify"), (create("out"),))]
    made += [Scenario("speak", speak("BOX/said.wav"))]
    return made


def part(number: str) -> Words:
    """The words for one of two parts."""
    return ("--num-parts", "2", "--part", number)


def segment() -> Words:
    """`segment` with a recogniser that loads nothing, a part a recording, cut into clips."""
    fixed = ("--asr", "fake:", "--part-size", "1", "--num-workers", "1", "--cut")
    return ("segment", "RECORDINGS", "-o", "BOX/prepared", *fixed)


def speak(output: str) -> Words:
    """`speak` with a model that has learnt nothing: a few syllables of it."""
    models = ("--model", TOKENIZER, "--codec", "data/sample/codec-random", "--device", "cpu")
    return ("speak", "Hello.", "-o", output, *models, "--max-codes", "5", "--seed", "1")


def _with_loader_processes() -> list[Scenario]:
    """Faults of the run while loader processes are at work, and of their own calls: they read recordings."""
    command = create("out", "--num-workers", "2")
    again = (*command, "--retry-rejected")
    return [
        Scenario("with loader processes", command, workers=True),
        Scenario("loader processes", command, again=again, struck="corpus/audio", workers=True),
    ]


def on_ray() -> list[Scenario]:
    """Faults of a run on Ray and of its worker: a cluster is started for each, so few are played."""
    command = create("out", "--engine", "ray", "--set", "run.worker_cpus=1", "--set", "run.ray_workers=1")
    return [Scenario("on a Ray cluster", command, workers=True, every=41)]


def content(box: Path) -> dict[str, bytes]:
    """Every file's bytes, those of temporary folders too; of JSON all but the times that a run took.

    Locks say nothing.
    """
    found = {}
    for path in sorted(box.rglob("*")):
        if path.is_file() and not path.name.startswith(".lock"):
            name = path.relative_to(box).as_posix()
            found[name] = _timeless(path.read_bytes()) if path.suffix == ".json" else path.read_bytes()
    return found


def _timeless(raw: bytes) -> bytes:
    try:
        parsed = json.loads(raw)
    except ValueError:
        return raw
    for key in TIMES:
        if isinstance(parsed, dict):
            parsed.pop(key, None)
    return json.dumps(parsed, sort_keys=True).encode()
