"""Decode damaged recordings in a process of its own, and count what becomes of each.

    python tools/fuzz_decoders.py                          # 1,000 mutants, a minute or two
    python tools/fuzz_decoders.py --mutants 100000 --seed 7 --keep build/mutants

Each mutant is a recording of the sample corpus in one of many forms, with bytes flipped, numbers made
extreme, stretches cut out, doubled or zeroed, or the end missing. All that may come of it is a clip or a
rejection. The exit status is 1 if a process died or hung, or anything else came back; --keep saves those.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import resource
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random

import numpy as np
import soundfile

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pipeline.audio.decode import decode
from pipeline.audio.source import FolderSource
from pipeline.config import LimitSettings
from pipeline.loader import Request
from pipeline.loader.processes import fork_server
from pipeline.loader.worker import ClipLoader, init_worker
from pipeline.utterance import Clip, Rejection, Utterance

SAMPLES = Path(__file__).resolve().parents[1] / "data" / "sample" / "audio"
VOICE = SAMPLES / "prompts" / "auth-incorrect.opus"
ENCODED = {"m4a", "webm", "wma", "g722", "mp3", "opus", "ogg", "flac"}  # the smallest of the sample in each
WRITTEN = {  # ending: format and subtype of libsndfile
    "wav": ("WAV", "PCM_16"),
    "float.wav": ("WAV", "FLOAT"),
    "gsm.wav": ("WAV", "GSM610"),
    "adpcm.wav": ("WAV", "MS_ADPCM"),
    "rf64.wav": ("RF64", "PCM_24"),
    "aiff": ("AIFF", "PCM_16"),
    "caf": ("CAF", "ALAC_16"),
    "au": ("AU", "ULAW"),
    "w64": ("W64", "PCM_16"),
    "sph": ("NIST", "PCM_16"),
    "voc": ("VOC", "PCM_16"),
    "svx": ("SVX", "PCM_16"),
    "mat": ("MAT5", "PCM_16"),
}
NUMBERS = [bytes(4), b"\xff" * 4, b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f", b"\x80\0\0\0", b"\0\0\0\x80"]
HEADER = 600  # bytes in which half of the damage is done
MAX_SECONDS, TIMEOUT = 20.0, 15.0  # of a clip; until a process counts as hung
MORE = 60.0  # seconds that the first mutant may take on top: its process starts
BOUND = 32.0  # of a clip's samples: what may pass, and what resampling overshoots


@dataclass(frozen=True)
class Fuzzer:
    """Makes mutants of recordings and decodes them, each by its number alone."""

    folder: Path
    recordings: dict[str, bytes]
    seed: int

    def mutant(self, number: int) -> tuple[str, bytes]:
        """Return the ending and the bytes of a mutant."""
        random = Random(f"{self.seed}-{number}")
        ending = random.choice(sorted(self.recordings))
        content = bytearray(self.recordings[ending])
        for _ in range(random.choice([1, 1, 2, 4, 8])):
            self._damage(content, random)
        return ending, bytes(content)

    def _damage(self, content: bytearray, random: Random) -> None:
        reach = min(len(content), HEADER) if random.random() < 0.5 else len(content)
        at, length = random.randrange(max(1, reach)), random.randrange(1, 2000)
        match random.randrange(8):
            case 0 | 1 | 2:
                content[at : at + 1] = random.randbytes(1)
            case 3:
                content[at : at + 4] = random.choice(NUMBERS)
            case 4:
                del content[at : at + length]
            case 5:
                content[at:at] = content[at : at + length]
            case 6:
                content[at : at + length] = bytes(length)
            case 7:
                del content[random.randrange(len(content) + 1) :]

    def work(self, first: int, last: int, answers: Connection) -> None:
        """Decode the mutants [first, last); answer with each outcome, and with the memory used at the end."""
        init_worker()
        load = ClipLoader(FolderSource(self.folder), 16000, LimitSettings(max_seconds=MAX_SECONDS), 10.0)
        for number in range(first, last):
            ending, content = self.mutant(number)
            name = f"mutant.{ending}"
            (self.folder / name).write_bytes(content)
            try:
                answers.send(outcome(load(Request(number, Utterance("mutant", name, "text")))))
            except Exception as error:  # a bug: it is counted and shown, and the next mutant tried
                answers.send(f"ERROR {type(error).__name__}: {error}")
        answers.send(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


def outcome(found: Clip | Rejection) -> str:
    """Name what came back."""
    if isinstance(found, Rejection):
        return str(found.reason) if found.detail else "ERROR a rejection without detail"
    waveform = found.waveform.numpy()
    sound = waveform.dtype == np.float32 and waveform.ndim == 1 and bool(np.all(np.abs(waveform) <= BOUND))
    return "clip" if sound and 0 < found.duration <= MAX_SECONDS else "ERROR a clip out of bounds"


def recordings() -> dict[str, bytes]:
    """Return one short recording in each form, by its ending."""
    found: dict[str, bytes] = {}
    for path in sorted(SAMPLES.rglob("*"), key=lambda path: path.stat().st_size):
        ending = path.suffix[1:]
        if ending in ENCODED:
            found.setdefault(ending, path.read_bytes())
    waveform, rate = decode(VOICE, start=0.0, end=1.0, max_seconds=MAX_SECONDS, deadline_seconds=60.0)
    for ending, (form, subtype) in WRITTEN.items():
        file = io.BytesIO()
        soundfile.write(file, waveform.numpy(), rate, format=form, subtype=subtype)
        found[ending] = file.getvalue()
    return found


def fuzz(fuzzer: Fuzzer, mutants: int) -> Iterator[tuple[int, str]]:
    """Yield each mutant's number and outcome: DIED or HUNG if its process was lost; a new one goes on."""
    first = 0
    while first < mutants:
        context = fork_server()
        answers, answer = context.Pipe(duplex=False)
        child = context.Process(target=fuzzer.work, args=(first, mutants, answer), daemon=True)
        child.start()
        answer.close()
        wait = TIMEOUT + MORE
        try:
            while first < mutants:
                if not answers.poll(wait):
                    yield first, "HUNG"
                    break
                yield first, answers.recv()
                first, wait = first + 1, TIMEOUT
            else:
                print(f"{answers.recv() / 1024:,.0f} MB at most in the decoding process")
                break
        except EOFError:
            child.join()
            yield first, f"DIED {child.exitcode}"
        finally:
            child.kill()
            child.join()
            answers.close()
        first += 1


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--mutants", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="folder for mutants that did what none may")
    arguments = parser.parse_args()
    table: dict[str, Counter[str]] = {}
    wrong: list[tuple[int, str, str]] = []
    with tempfile.TemporaryDirectory() as folder:
        fuzzer = Fuzzer(Path(folder), recordings(), arguments.seed)
        for number, found in fuzz(fuzzer, arguments.mutants):
            ending, content = fuzzer.mutant(number)
            table.setdefault(ending, Counter())[found.split()[0]] += 1
            if found.split()[0] in {"ERROR", "DIED", "HUNG"}:
                wrong.append((number, ending, found))
                if arguments.keep is not None:
                    arguments.keep.mkdir(parents=True, exist_ok=True)
                    (arguments.keep / f"{arguments.seed}-{number}.{ending}").write_bytes(content)
    columns = sorted({name for counts in table.values() for name in counts})
    print(f"{'':10}" + "".join(f"{name:>15}" for name in columns))
    for ending, counts in sorted(table.items()):
        print(f"{ending:10}" + "".join(f"{counts[name]:15,}" for name in columns))
    print(f"{arguments.mutants:,} mutants of seed {arguments.seed}, {len(wrong)} did what none may")
    for number, ending, found in wrong:
        print(f"  {number} {ending}: {found}")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
