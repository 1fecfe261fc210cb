"""Write a codec's decoder for ONNX Runtime: on a CPU, on CUDA, or through TensorRT.

python -m pipeline export-onnx -o decoder.onnx --codec HKUSTAudio/xcodec2-hf
"""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the codec and the output file."""
    from pipeline.config import CodecSettings

    codec = CodecSettings.model_fields["name"].default
    parser.add_argument("-o", "--output", type=Path, required=True, help="the file to write, .onnx")
    parser.add_argument(
        "--codec", default=codec, metavar="NAME_OR_PATH", help=f"Hugging Face id or folder ({codec})"
    )


def run(arguments: argparse.Namespace) -> int:
    """Write the decoder, compare it with PyTorch and print how far they are apart."""
    from pipeline.codec import load_codec
    from pipeline.codec.onnx_export import export
    from pipeline.config import CodecSettings

    codec = load_codec(CodecSettings(name=arguments.codec, device="cpu"))
    apart = export(codec, arguments.output)
    print(
        f"{arguments.output}: {arguments.output.stat().st_size / 1e6:.1f} MB, within {apart:.1e} of PyTorch"
    )
    return 0
