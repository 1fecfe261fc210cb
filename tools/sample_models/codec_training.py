"""Train the codec by reconstruction: spectra at several resolutions, straight-through rounding.

Knows: the schedule, the optimiser, checkpoints. Does not know: where the data comes from, how it is scored.
"""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from sample_models import losses
from sample_models.codec import LEVELS, TrainableCodec, calibrate, log_magnitudes, stream_channels
from sample_models.crops import Crops, Stream, cut


@dataclass(frozen=True, slots=True)
class CodecRun:
    """What is needed to repeat a run."""

    steps: int
    seed: int = 0
    clips: int = 4  # crops a step
    frames: int = 100  # length of a crop in codes: 2 s
    rate: float = 1e-3  # highest learning rate
    warmup: int = 200  # steps
    acoustic_steps: int = 250  # after these the acoustic encoder stays as it is: half of the cost of a step
    save_every: int = 250  # steps


def learning_rate(step: int, run: CodecRun) -> float:
    """Linear warm-up, then a cosine down to a hundredth."""
    if step < run.warmup:
        return run.rate * (step + 1) / run.warmup
    share = (step - run.warmup) / max(1, run.steps - run.warmup)
    return run.rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * share)))


def loss_of(codec: TrainableCodec, batch: Crops, progress: float) -> dict[str, Tensor]:
    """The terms of the loss, each already weighted; `progress` runs from 0 to 1.

    Early on the magnitudes before the inverse STFT are also compared directly: they learn the words before
    the phases have settled. Noise replaces rounding in half the clips, and in none of them at the end.
    """
    noisy = len(batch.waveforms) // 2 if progress < 0.7 else 0
    with torch.autocast(batch.waveforms.device.type, dtype=torch.bfloat16):
        channels = batch.channels if batch.channels is not None else codec.acoustic_channels(batch.waveforms)
        made = codec(channels, batch.features, noisy)
    target = log_magnitudes(batch.waveforms, codec.model.acoustic_decoder.head.window)
    return {
        "spectra": losses.spectral_distance(made.audio.float(), batch.waveforms),
        "direct": 0.5 * max(0.1, 1 - 2 * progress) * F.l1_loss(made.log_magnitude, target),
        "levels": 0.2 * losses.level_imbalance(made.latents, LEVELS[0]),
    }


class Trainer:
    """A codec in training, with all that a checkpoint has to hold."""

    def __init__(self, source: Stream, run: CodecRun, folder: Path, device: str) -> None:
        torch.manual_seed(run.seed)
        self.source, self.run, self.device = source, run, device
        self.state = folder / "state.pt"
        self.codec = TrainableCodec().to(device).train()
        self.generator = torch.Generator().manual_seed(run.seed)
        self.optimiser = torch.optim.AdamW(
            self.codec.parameters(), lr=run.rate, betas=(0.8, 0.99), weight_decay=0.01
        )
        self.step = 0
        if self.state.exists():
            self.load()
        else:
            batch = cut(source, 16, run.frames, self.generator, device)
            calibrate(self.codec, batch.waveforms, batch.features)
            self.mean = {name: value.clone() for name, value in self.codec.model.state_dict().items()}

    def load(self) -> None:
        """Go on from the last checkpoint."""
        saved = torch.load(self.state, map_location=self.device)
        self.codec.load_state_dict(saved["codec"])
        self.optimiser.load_state_dict(saved["optimiser"])
        self.generator.set_state(saved["generator"].cpu())
        self.mean, self.step = saved["mean"], saved["step"]

    def save(self) -> None:
        """Write a checkpoint, whole or not at all."""
        saved = {
            "codec": self.codec.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "generator": self.generator.get_state(),
            "mean": self.mean,
            "step": self.step,
        }
        save_whole(saved, self.state)

    def freeze(self) -> None:
        """Keep the acoustic encoder, all but its last convolution, and compute its output once."""
        for name, parameter in self.codec.model.acoustic_encoder.named_parameters():
            if not name.startswith("conv2"):
                parameter.requires_grad_(False)
                parameter.grad = None  # or the optimiser would go on with the last one
                self.mean[f"acoustic_encoder.{name}"].copy_(parameter)
        channels = stream_channels(self.codec, self.source.waveform.to(self.device))
        self.source = replace(self.source, channels=channels)

    def average(self) -> None:
        """Exponential moving average of the weights, over a tenth of the steps so far and at most 500."""
        share = 1 / min(500, 1 + self.step / 10)
        for name, value in self.codec.model.state_dict().items():
            if value.is_floating_point():
                self.mean[name].lerp_(value, share)

    def advance(self) -> dict[str, Tensor]:
        """One step of training; the terms of its loss."""
        if self.step >= self.run.acoustic_steps and self.source.channels is None:
            self.freeze()
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(self.step, self.run)
        batch = cut(self.source, self.run.clips, self.run.frames, self.generator, self.device)
        terms = loss_of(self.codec, batch, self.step / self.run.steps)
        self.optimiser.zero_grad(set_to_none=True)
        torch.stack(list(terms.values())).sum().backward()
        torch.nn.utils.clip_grad_norm_(self.codec.parameters(), 5.0)
        self.optimiser.step()
        self.average()
        self.step += 1
        return terms


class Steps(Protocol):
    """A training under way: what `take_steps` needs of it."""

    run: CodecRun
    step: int

    def advance(self) -> Mapping[str, Tensor | float]:
        """One step; the terms of its loss."""
        ...

    def save(self) -> None:
        """Write a checkpoint, whole or not at all."""
        ...


def take_steps(trainer: Steps) -> None:
    """Take the steps that are left, print the losses now and then, and keep checkpoints."""
    began, first = time.perf_counter(), trainer.step
    while trainer.step < trainer.run.steps:
        terms = trainer.advance()
        if trainer.step % 50 == 0:
            pace = (time.perf_counter() - began) / (trainer.step - first)
            shown = " ".join(f"{name} {float(value):.3f}" for name, value in terms.items())
            print(f"step {trainer.step}, {pace:.2f} s a step: {shown}", flush=True)
        if trainer.step % trainer.run.save_every == 0 or trainer.step == trainer.run.steps:
            trainer.save()


def save_whole(saved: dict[str, Any], path: Path) -> None:
    """Write a checkpoint, whole or not at all."""
    torch.save(saved, path.with_suffix(".new"))
    path.with_suffix(".new").replace(path)


def train(source: Stream, run: CodecRun, folder: Path, device: str) -> TrainableCodec:
    """Train, or go on from `folder`/state.pt; returns the codec with averaged weights."""
    trainer = Trainer(source, run, folder, device)
    take_steps(trainer)
    trainer.codec.model.load_state_dict(trainer.mean)
    return trainer.codec.eval()
