"""Say texts with a LLASA model and write sound files.

python -m pipeline speak "Hello." -o hello.wav
python -m pipeline speak --file lines.txt -o spoken/ --model ./lora_checkpoints --bf16 --compile
python -m pipeline speak "Hello again." -o again.wav --reference me.wav --reference-text "What I say in it."
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import UsageError

if TYPE_CHECKING:
    from pipeline.llasa.loading import ModelSettings
    from pipeline.llasa.sampling import Sampling
    from pipeline.llasa.speaking import Progress, Speaker


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the texts, the model, the voice and the sampling."""
    parser.add_argument("texts", metavar="TEXT", nargs="*", help="what to say")
    parser.add_argument("--file", type=Path, help="more texts, one a line (UTF-8)")
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path("speech.wav"),
        help="sound file, or folder for several (%(default)s)",
    )
    voice = parser.add_argument_group("voice")
    voice.add_argument("--reference", type=Path, help="clip of the voice to speak with, up to 20 s")
    voice.add_argument("--reference-text", help="what is said in it; by default read from REFERENCE.txt")
    voice.add_argument(
        "--dataset", type=Path, help="a dataset whose row --row is the voice (its codec must be --codec)"
    )
    voice.add_argument("--row", help="id of that row")
    add_model_arguments(parser)
    add_sampling_arguments(parser)


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the model, the codec and how they run; the web page shares these."""
    from pipeline.config import CodecSettings

    group = parser.add_argument_group("model")
    if not any(action.dest == "model" for action in parser._actions):
        group.add_argument(
            "--model",
            metavar="NAME_OR_PATH",
            help="LoRA folder, model folder or Hugging Face id (the sample model)",
        )
    codec = CodecSettings.model_fields["name"].default
    group.add_argument(
        "--codec", default=codec, metavar="NAME_OR_PATH", help=f"the codec it was trained for ({codec})"
    )
    group.add_argument("--device", default="auto", metavar="DEVICE", help="auto, cpu, cuda or cuda:N")
    group.add_argument("--bf16", action="store_true", help="bf16; fp16 or float32 where the device lacks it")
    group.add_argument("--attn", default="auto", help="auto, sdpa, flash, or flex with --compile")
    group.add_argument(
        "--quantize", metavar="int8|int4", help="smaller weights: less memory, slightly other speech"
    )
    group.add_argument(
        "--compile", action="store_true", help="torch.compile the decode step: slow start, fast run"
    )
    group.add_argument("--batch", type=int, default=8, help="requests at once; memory grows with it (8)")
    group.add_argument(
        "--server", metavar="URL", help="generate at an OpenAI-compatible completions endpoint"
    )
    group.add_argument("--server-model", help="name of the model there (the first that it lists)")


def add_sampling_arguments(parser: argparse.ArgumentParser) -> None:
    """Add how the next code is chosen."""
    from pipeline.llasa.sampling import Sampling

    usual = Sampling()
    group = parser.add_argument_group("sampling")
    group.add_argument(
        "--temperature", type=float, default=usual.temperature, help="0 is greedy (%(default)s)"
    )
    group.add_argument("--top-p", type=float, default=usual.top_p, help="(%(default)s)")
    group.add_argument("--top-k", type=int, default=usual.top_k, help="0 is off (%(default)s)")
    group.add_argument(
        "--repetition-penalty", type=float, default=usual.repetition_penalty, help="1 is off (%(default)s)"
    )
    group.add_argument(
        "--max-codes",
        type=int,
        default=usual.max_codes,
        help="longest sentence, 50 codes a second (%(default)s)",
    )
    group.add_argument(
        "--seed", type=int, metavar="N", help="the same seed gives the same speech (drawn, and printed)"
    )
    group.add_argument("--normalise", default="auto", help="auto (Japanese text), ja or off")


def run(arguments: argparse.Namespace) -> int:
    """Write a sound file for each text and print what was made."""
    texts = _texts(arguments)
    from pipeline.llasa.speak import sound_files, speak
    from pipeline.progress import plural

    paths = sound_files(arguments.output, len(texts))
    sampling, reference = sampling_of(arguments), _reference(arguments)
    with _progress() as progress:
        spoken = speak(
            texts,
            model=model_of(arguments),
            codec=arguments.codec,
            output=arguments.output,
            sampling=sampling,
            reference=reference,
            row=None if arguments.dataset is None else (arguments.dataset, arguments.row),
            normalise=arguments.normalise,
            server=arguments.server,
            server_model=arguments.server_model,
            progress=progress,
        )
    for path, one in zip(paths, spoken, strict=True):
        note = "" if one.ended else " (cut at --max-codes)"
        print(f"{path}: {one.seconds:.2f} s{note}  {one.text[:60]}")
    timings = spoken[0].timings
    seconds = sum(one.seconds for one in spoken)
    codes = sum(len(one.codes) for one in spoken)
    print(
        f"{seconds:.2f} s of speech in {timings.total:.2f} s: {plural(codes, 'code')}, "
        f"{codes / max(timings.generating, 1e-9):.0f} codes/s, seed {spoken[0].seed}"
    )
    return 0


def sampling_of(arguments: argparse.Namespace) -> Sampling:
    """Return the sampling settings of a command line."""
    from pipeline.llasa.sampling import Sampling

    names = ("temperature", "top_p", "top_k", "repetition_penalty", "max_codes", "seed")
    return Sampling(**{name: getattr(arguments, name) for name in names})


def model_of(arguments: argparse.Namespace) -> ModelSettings:
    """Return which model a command line names, and how it is to run."""
    from pipeline.llasa.loading import ModelSettings

    names = ("device", "bf16", "attn", "quantize", "compile", "batch")
    usual = ModelSettings()
    return ModelSettings(
        name=arguments.model or usual.name, **{name: getattr(arguments, name) for name in names}
    )


def open_from(arguments: argparse.Namespace) -> Speaker:
    """Open the speaker that a command line names."""
    from pipeline.codec import load_codec
    from pipeline.config import CodecSettings
    from pipeline.llasa.speaking import open_speaker

    settings = model_of(arguments)
    codec = load_codec(CodecSettings(name=arguments.codec, device=arguments.device))
    return open_speaker(settings, codec, server=arguments.server, server_model=arguments.server_model)


def _texts(arguments: argparse.Namespace) -> list[str]:
    texts = list(arguments.texts)
    if arguments.file is not None:
        try:
            lines = arguments.file.read_text(encoding="utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"cannot read the texts of {arguments.file}: {error}") from error
        texts += [line.strip() for line in lines if line.strip()]
    if not texts:
        raise UsageError("nothing to say: give a text, or --file with one a line")
    return texts


def _reference(arguments: argparse.Namespace) -> tuple[Path, str] | None:
    clip: Path | None = arguments.reference
    if clip is None:
        return None
    if not clip.is_file():
        raise UsageError(f"there is no reference clip {clip}")
    if arguments.reference_text is not None:
        return clip, str(arguments.reference_text)
    sidecar = clip.with_suffix(".txt")
    if not sidecar.is_file():
        raise UsageError(f"what is said in {clip}? Give --reference-text, or write {sidecar}")
    return clip, sidecar.read_text(encoding="utf-8-sig").strip()


@contextmanager
def _progress() -> Iterator[Progress]:
    from tqdm import tqdm

    with tqdm(unit=" codes", desc="speaking", disable=not sys.stderr.isatty()) as bar:

        def count(done: int, codes: int) -> bool:
            bar.update(codes - bar.n)
            return True

        yield count
