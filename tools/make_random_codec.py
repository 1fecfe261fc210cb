"""Make data/sample/codec-random: a small XCodec2 model with random weights, for tests and for trying the
pipeline.

    python tools/make_random_codec.py [FOLDER]

It is a real `Xcodec2Model` in every part, only small and untrained: its codes follow the audio but mean
nothing, and what it decodes is noise. The same seed gives the same file on the same versions.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import (
    NeuCodecConfig,
    NeuCodecFeatureExtractor,
    NeuCodecModel,
    PreTrainedModel,
    Wav2Vec2BertConfig,
    Xcodec2Config,
    Xcodec2FeatureExtractor,
    Xcodec2Model,
)

SEED = 20_240
SEMANTIC = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 128}
SIZES = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "head_dim": 16,
    "encoder_hidden_size": 4,
    "quantization_dim": 128,
}
RESIDUALS = tuple(f"res_unit{unit}.conv2.weight" for unit in (1, 2, 3))  # added to what came in
RESIDUAL_GAIN = 0.3  # or fifteen additions in a row would make values and rounding errors ever larger
MODELS = {
    "xcodec2": (Xcodec2Config, Xcodec2Model, Xcodec2FeatureExtractor),
    "neucodec": (NeuCodecConfig, NeuCodecModel, NeuCodecFeatureExtractor),
}
README = """---
license: apache-2.0
---
# Random codec: not trained

A small `{model}` with random weights, made by `python tools/make_random_codec.py`. It has every part of
the real codec, the full codebook of 65,536 entries and 50 codes a second, so that the whole pipeline can be
run and tested without a download. Its codes carry no meaning, and what it decodes is noise: never train on
them.
"""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", nargs="?", type=Path, default=Path("data/sample/codec-random"))
    parser.add_argument("--family", choices=MODELS, default="xcodec2")
    arguments = parser.parse_args()
    write(arguments.folder, arguments.family)


def write(folder: Path, family: str = "xcodec2") -> None:
    """Make the model and save it with its feature extractor and a README."""
    config_class, model_class, extractor_class = MODELS[family]
    config = config_class(**SIZES, semantic_model_config=Wav2Vec2BertConfig(**SEMANTIC))
    model, extractor = random_model(model_class, config), extractor_class()
    spread_codes(model, extractor)
    model.save_pretrained(folder)
    extractor.save_pretrained(folder)
    (folder / "README.md").write_text(README.format(model=model_class.__name__), encoding="utf-8")


def random_model(
    model_class: type[PreTrainedModel], config: Xcodec2Config | NeuCodecConfig
) -> PreTrainedModel:
    """A model whose layers keep the size of what passes through them, as trained ones do."""
    torch.manual_seed(SEED)
    model = model_class(config).eval()
    for name, parameter in model.named_parameters():
        if name.endswith(("alpha", "beta")):
            nn.init.normal_(parameter, std=0.3)
        elif parameter.dim() > 1:
            gain = RESIDUAL_GAIN if name.endswith(RESIDUALS) else 1.0
            nn.init.normal_(parameter, std=gain * parameter[0].numel() ** -0.5)
        elif name.endswith("bias"):
            nn.init.normal_(parameter, std=0.1)
    return model


@torch.inference_mode()
def spread_codes(
    model: PreTrainedModel, extractor: Xcodec2FeatureExtractor | NeuCodecFeatureExtractor
) -> None:
    """Let `project_in` give the directions in which speech-like sound varies most, mean 0, deviation 1.

    Turned at random, so that each of the eight digits of a code carries as much as the others.
    """
    seen: list[Tensor] = []
    projection = model.quantizer.project_in
    hook = projection.register_forward_pre_hook(lambda module, given: seen.append(given[0].flatten(0, 1)))
    for seed in range(4):
        sound = speechlike(5.0, seed).numpy()
        model.encode(**extractor(audio=sound, sampling_rate=extractor.sampling_rate, return_tensors="pt"))
    hook.remove()
    values = torch.cat(seen).double()
    variances, directions = torch.linalg.eigh(torch.cov(values.T))
    digits = len(projection.bias)
    turn, _ = torch.linalg.qr(torch.randn(digits, digits, dtype=torch.float64))
    weight = turn @ (directions[:, -digits:] / variances[-digits:].sqrt()).T
    projection.weight.copy_(weight.float())
    projection.bias.copy_((-weight @ values.mean(0)).float())


def speechlike(seconds: float, seed: int, rate: int = 16_000) -> Tensor:
    """Float32 (samples,): a gliding buzz and noise, filtered and switched on and off a few times a second."""
    generator = torch.Generator().manual_seed(seed)
    steps = int(seconds * 5) + 2
    size = (int(seconds * rate),)

    def wander(low: float, high: float) -> Tensor:
        points = low + (high - low) * torch.rand(1, 1, steps, generator=generator)
        return nn.functional.interpolate(points, size=size, mode="linear", align_corners=True)[0, 0]

    phase = torch.cumsum(wander(90, 260) / rate, 0)
    buzz = sum(torch.sin(2 * torch.pi * phase * k) / k for k in range(1, 20))
    noise = torch.randn(size, generator=generator)
    voiced, level = wander(-1, 2).clamp(0, 1), wander(-0.5, 1).clamp(0, 1)
    return (level * (0.2 * voiced * buzz + 0.1 * (1 - voiced) * noise) + 1e-3 * noise).float()


if __name__ == "__main__":
    main()
