"""Open the web page of a LLASA model: speak, hear the codec, browse a dataset.

python -m pipeline ui                                     the sample model
python -m pipeline ui ./lora_checkpoints --compile --bf16
python -m pipeline ui --server http://127.0.0.1:8000 HKUSTAudio/Llasa-1B
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.cli.speak import add_model_arguments, open_from

if TYPE_CHECKING:
    from pipeline.llasa.speaking import Speaker


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the model, the dataset to browse and where to serve."""
    parser.add_argument(
        "model", nargs="?", help="LoRA folder, model folder or Hugging Face id (the sample model)"
    )
    add_model_arguments(parser)
    parser.add_argument("--normalise", default="auto", help="auto (Japanese text), ja or off")
    parser.add_argument("--dataset", type=Path, help="a finished dataset to browse")
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen on (%(default)s: this machine only)"
    )
    parser.add_argument("--port", type=int, help="port (the first free one from 7860)")
    parser.add_argument("--share", action="store_true", help="a public address, by gradio's tunnel")


def open_warm(arguments: argparse.Namespace) -> Speaker:
    """Open the speaker, compiled if asked for, so that nobody on the page waits for the compiler."""
    speaker = open_from(arguments)
    if arguments.compile:
        speaker.warm_up()
    return speaker


def run(arguments: argparse.Namespace) -> int:
    """Serve the page until interrupted."""
    from pipeline.errors import MissingPackage
    from pipeline.ui.private_files import private_files

    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    with private_files():
        try:
            import gradio  # noqa: F401
        except ImportError as error:
            raise MissingPackage("gradio", "tts", "the web page") from error
        from pipeline.ui import page
        from pipeline.ui.studio import Studio

        studio = Studio(lambda: open_warm(arguments), arguments.model or "sample")
        built = page.build(studio, dataset=arguments.dataset, mode=arguments.normalise)
        page.serve(built, host=arguments.host, port=arguments.port, share=arguments.share)
    return 0
