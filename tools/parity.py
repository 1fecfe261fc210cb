"""Show that the pipeline's XCodec2 is the authors' own: equal codes and equal audio from the same weights.

    python tools/parity.py [--packages build/parity]

Installs the authors' package beside the environment (a folder that only this program's child puts on its
path), builds its full-size model with random weights, saves them in the authors' layout and encodes and
decodes the same clips three ways: the package itself, `--codec-impl original`, and the native model that the
pipeline uses.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
REQUIREMENTS = ROOT / "tools" / "parity-requirements.txt"
SAMPLES = (16_000, 12_801, 9_599, 20_057)  # lengths of the clips: a multiple of 320, one more, one less, none
AUDIO_LIMIT = 1e-5
SEMANTIC = {
    "num_hidden_layers": 17,
    "intermediate_size": 512,
}  # one layer more than is read; narrow, for speed


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--packages", type=Path, default=ROOT / "build" / "parity", help="where to install them"
    )
    parser.add_argument("--compare", action="store_true", help=argparse.SUPPRESS)  # this program's child
    arguments = parser.parse_args()
    if arguments.compare:
        with tempfile.TemporaryDirectory() as folder:
            return compare(Path(folder))
    install(arguments.packages.resolve())
    path = os.pathsep.join([str(arguments.packages.resolve()), str(ROOT), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, str(Path(__file__).resolve()), "--compare"]
    return subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, check=False).returncode


def install(packages: Path) -> None:
    """Install the requirements into a folder, unless it holds just these already."""
    mark, wanted = packages / "installed.txt", REQUIREMENTS.read_text(encoding="utf-8")
    if mark.is_file() and mark.read_text(encoding="utf-8") == wanted:
        return
    pip = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--upgrade",
        "--target",
        str(packages),
    ]
    subprocess.run([*pip, "-r", str(REQUIREMENTS)], check=True)
    mark.write_text(wanted, encoding="utf-8")


def compare(folder: Path) -> int:
    """Encode and decode three ways, print a line a clip; 0 when all agree."""
    from pipeline.codec.loading import load
    from pipeline.config import CodecSettings

    theirs = package_model(folder)
    checkpoint = save(theirs, folder / "authors-layout")
    native = load(CodecSettings(name=str(checkpoint), device="cpu"))
    packaged = load(CodecSettings(name=str(checkpoint), device="cpu", impl="original"))
    clips = [sound(samples, seed) for seed, samples in enumerate(SAMPLES)]
    codes = [theirs.encode_code(clip[None])[0, 0].numpy().astype(np.uint16) for clip in clips]
    differing, furthest = 0, 0.0
    for codec, label in ((packaged, "--codec-impl original"), (native, "native")):
        made = codec.encode(*padded(clips))
        for clip, expected, got, audio in zip(clips, codes, made, codec.decode(codes), strict=True):
            different = len(expected) if len(expected) != len(got) else int((expected != got).sum())
            apart = float(np.abs(audio - decoded(theirs, expected)).max())
            print(
                f"{label}: {len(clip)} samples, {different} of {len(expected)} codes differ, "
                f"audio within {apart:.1e}"
            )
            differing, furthest = differing + different, max(furthest, apart)
    values = len(np.unique(np.concatenate(codes)))
    agree = differing == 0 and furthest <= AUDIO_LIMIT and values > 50
    print(f"{'agree' if agree else 'DO NOT AGREE'}: {sum(map(len, codes))} codes of {values} values")
    return 0 if agree else 1


def package_model(folder: Path) -> Any:
    """The package's own model with random weights, through its own constructor, codes spread over the
    codebook.
    """
    import torch
    from transformers import SeamlessM4TFeatureExtractor, Wav2Vec2BertConfig, Wav2Vec2BertModel
    from xcodec2.configuration_bigcodec import BigCodecConfig
    from xcodec2.modeling_xcodec2 import XCodec2Model

    torch.manual_seed(0)
    torch.set_grad_enabled(False)
    looked_up = folder / "facebook" / "w2v-bert-2.0"  # the constructor asks for this name; a folder answers
    Wav2Vec2BertModel(Wav2Vec2BertConfig(**SEMANTIC)).save_pretrained(looked_up)
    SeamlessM4TFeatureExtractor(feature_size=80, num_mel_bins=80, padding_value=1, stride=2).save_pretrained(
        looked_up
    )
    before = Path.cwd()
    os.chdir(folder)
    try:
        model = XCodec2Model(BigCodecConfig()).eval()
    finally:
        os.chdir(before)
    spread(model)
    return model


def spread(model: Any) -> None:
    """Give the quantiser's eight inputs mean 0 and deviation 1: fresh weights would give nearly one code
    only.
    """
    import torch

    seen: list[Any] = []
    projection = model.generator.quantizer.project_in
    hook = projection.register_forward_hook(
        lambda module, given, made: seen.append(made.reshape(-1, made.shape[-1]))
    )
    model.encode_code(sound(48_000, 99)[None])
    hook.remove()
    values = torch.cat(seen)
    projection.bias.sub_(values.mean(0)).div_(values.std(0))
    projection.weight.div_(values.std(0)[:, None])


def save(model: Any, folder: Path) -> Path:
    """The weights as the authors publish them: their names, safetensors."""
    from safetensors.torch import save_file

    folder.mkdir()
    save_file(
        {name: tensor.contiguous() for name, tensor in model.state_dict().items()},
        folder / "model.safetensors",
    )
    return folder


def decoded(model: Any, codes: np.ndarray) -> np.ndarray:
    import torch

    audio: np.ndarray = model.decode_code(torch.from_numpy(codes.astype(np.int64))[None, None])[0, 0].numpy()
    return audio


def sound(samples: int, seed: int) -> Any:
    """Float32 (samples,): noise under tones whose pitch and loudness change."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    time = torch.arange(samples) / 16_000
    tones = sum(
        torch.sin(2 * torch.pi * (110 + 40 * seed) * k * time + 3 * torch.sin(9 * time)) / k
        for k in range(1, 9)
    )
    return (0.1 * tones + 0.02 * torch.randn(samples, generator=generator)) * (1.1 + torch.sin(7 * time))


def padded(clips: list[Any]) -> tuple[Any, Any]:
    import torch

    batch = torch.nn.utils.rnn.pad_sequence(clips, batch_first=True)
    return batch, torch.tensor([len(clip) for clip in clips])


if __name__ == "__main__":
    sys.exit(main())
