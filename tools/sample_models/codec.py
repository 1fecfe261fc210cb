"""A small Xcodec2Model that can be trained: its shape, its start, and a forward pass with gradients.

Knows: the submodules of transformers' Xcodec2Model, and what keeps finite scalar quantisation alive.
Does not know: data, losses, optimisers.

The library's own `encode` runs the semantic encoder without gradient, and a fresh `Xcodec2Model` has all
codes equal, hence `initialise` and `reconstruct`.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import Wav2Vec2BertConfig, Xcodec2Config, Xcodec2FeatureExtractor, Xcodec2Model

HOP = 320  # samples a code: 50 codes a second at 16 kHz
LEVELS = (4,) * 6  # 4,096 codes: 12 bits a code, 600 bit/s
HIDDEN = 256
SEMANTIC = 128


def codebook_size() -> int:
    """How many codes there are."""
    return math.prod(LEVELS)


def configuration() -> Xcodec2Config:
    """About 6 M parameters, most of them at 50 Hz.

    The acoustic encoder strides early and stays narrow: its activations at 16 kHz would otherwise take most
    of the time. The log-mel features of the semantic encoder carry what 600 bit/s can hold.
    """
    semantic = Wav2Vec2BertConfig(
        hidden_size=SEMANTIC,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=4 * SEMANTIC,
        hidden_act="swish",
        layerdrop=0.0,
        apply_spec_augment=False,
        vocab_size=None,
    )
    return Xcodec2Config(
        hidden_size=HIDDEN,
        intermediate_size=3 * HIDDEN,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=4,
        head_dim=HIDDEN // 4,
        encoder_hidden_size=2,
        downsampling_ratios=[8, 8, 5],
        semantic_model_config=semantic,
        quantization_dim=HIDDEN + SEMANTIC,  # the library needs it to be the two hidden sizes added
        quantization_levels=list(LEVELS),
        activation_dropout=0.0,
    )


def feature_extractor() -> Xcodec2FeatureExtractor:
    """The extractor that belongs to the model: 80-bin Kaldi log-mel features, hop 320."""
    return Xcodec2FeatureExtractor(feature_size=80, sampling_rate=16_000, padding_value=1.0, hop_length=HOP)


@dataclass(frozen=True, slots=True)
class Reconstruction:
    """What one training pass gives. `latents`: (clips, frames, dimensions), unrounded, in level units."""

    audio: Tensor  # (clips, samples)
    latents: Tensor
    log_magnitude: Tensor  # (clips, frames, n_fft / 2 + 1), natural logarithm, before the inverse STFT


class TrainableCodec(nn.Module):
    """An `Xcodec2Model` with a forward pass through which every weight gets its gradient."""

    def __init__(self) -> None:
        super().__init__()
        self.model = Xcodec2Model(configuration())
        initialise(self.model)

    def acoustic_channels(self, waveforms: Tensor) -> Tensor:
        """The acoustic encoder up to its last convolution: (clips, samples) to (clips, frames, channels)."""
        encoder = self.model.acoustic_encoder
        hidden = encoder.conv1(waveforms[:, None])
        for block in encoder.block:
            hidden = block(hidden)
        return encoder.snake1(hidden).transpose(1, 2)

    def encode(self, channels: Tensor, features: Tensor) -> Tensor:
        """Unrounded latents (clips, frames, dimensions), each between the lowest and the highest level.

        `channels`: as `acoustic_channels` gives them; `features`: (clips, frames, 160), normalised log-mel.
        """
        model = self.model
        semantic = model.semantic_encoder(features).last_hidden_state.transpose(1, 2)
        acoustic = model.acoustic_encoder.conv2(channels.transpose(1, 2))
        joined = torch.cat([model.semantic_adapter(semantic), acoustic], dim=1)
        quantizer = model.quantizer
        projected = quantizer.project_in(model.fc_encoder(joined.transpose(1, 2))).float()
        return quantizer.quantizer.bound(quantizer.quantizer.bound(projected))  # twice: as the library does

    def decode(self, levels: Tensor) -> tuple[Tensor, Tensor]:
        """Audio (clips, samples) and log-magnitudes of rounded latents in level units."""
        model = self.model
        caught: list[Tensor] = []
        hook = model.acoustic_decoder.head.linear.register_forward_hook(lambda *call: caught.append(call[2]))
        audio = model.acoustic_decoder(model.quantizer.project_out(levels / (LEVELS[0] // 2)))[:, 0]
        hook.remove()
        return audio, caught[0].float().chunk(2, dim=-1)[0]

    def forward(self, channels: Tensor, features: Tensor, noisy: int) -> Reconstruction:
        """Encode, quantise and decode; the first `noisy` clips get uniform noise in place of rounding.

        Noise of the width of a rounding error has the right gradient where the straight-through one is only
        a guess; the other clips keep the decoder used to what it will meet.
        """
        latents = self.encode(channels, features)
        rounded = latents + (latents.round() - latents).detach()
        shaken = latents + torch.rand_like(latents) - 0.5
        levels = torch.cat([shaken[:noisy], rounded[noisy:]])
        audio, log_magnitude = self.decode(levels)
        return Reconstruction(audio, latents, log_magnitude)


@torch.no_grad()
def stream_channels(codec: TrainableCodec, waveform: Tensor, piece: int = 100, margin: int = 10) -> Tensor:
    """`acoustic_channels` (frames, channels) of one long waveform (frames * 320,), in batches of 4 pieces.

    Pieces overlap by `margin` codes, more than the encoder sees to either side. One long row would be many
    times slower: depthwise convolutions run over rows in parallel, not along one.
    """
    frames = len(waveform) // HOP
    pieces = -(-frames // piece)
    padded = F.pad(waveform, (margin * HOP, (pieces * piece - frames + margin) * HOP))
    rows = padded.unfold(0, (piece + 2 * margin) * HOP, piece * HOP)
    parts = [codec.acoustic_channels(batch)[:, margin:-margin] for batch in rows.split(4)]
    return torch.cat(parts).flatten(0, 1)[:frames]


def initialise(model: Xcodec2Model) -> None:
    """Weights of variance 1 / fan-in and biases of 0, so that signals keep their size through every layer.

    The library's start (standard deviation 0.02) shrinks them until all codes are equal and the output is 0.
    """
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Conv1d):
            nn.init.normal_(module.weight, std=math.sqrt(1 / module.weight[0].numel()))
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    with torch.no_grad():
        model.acoustic_decoder.head.linear.weight.mul_(0.5)
        for layer in model.acoustic_decoder.layers:  # residual branches start small
            layer.self_attn.o_proj.weight.mul_(0.5)
            layer.mlp.fc2.weight.mul_(0.5)


@torch.no_grad()
def calibrate(codec: TrainableCodec, waveforms: Tensor, features: Tensor) -> None:
    """Fit the scales to data: `project_in` to unit variance, the head's bias to the mean log-magnitudes."""
    model = codec.model
    outputs: list[Tensor] = []
    hook = model.quantizer.project_in.register_forward_hook(lambda *call: outputs.append(call[2]))
    codec.encode(codec.acoustic_channels(waveforms), features)
    hook.remove()
    project_in = model.quantizer.project_in
    spread, centre = outputs[0].std(dim=(0, 1)), outputs[0].mean(dim=(0, 1))
    project_in.weight.div_(spread[:, None])
    project_in.bias.copy_((project_in.bias - centre) / spread)
    bins = model.config.n_fft // 2 + 1
    target = log_magnitudes(waveforms, model.acoustic_decoder.head.window)
    model.acoustic_decoder.head.linear.bias[:bins] = target.mean(dim=(0, 1))


def log_magnitudes(waveforms: Tensor, window: Tensor) -> Tensor:
    """Log-magnitudes (clips, frames, n_fft / 2 + 1) at the frames that the decoder's inverse STFT adds up."""
    padding = (len(window) - HOP) // 2
    frames = F.pad(waveforms, (padding, padding)).unfold(-1, len(window), HOP)
    return torch.fft.rfft(frames * window).abs().clamp(min=1e-3).log()
