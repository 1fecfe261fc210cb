"""Train the decoder of a finished codec against an adversary: the codes stay what they are.

Knows: the schedule, both optimisers, checkpoints. Does not know: how the codec was trained before.
Reconstruction alone leaves the phases rough; the encoder is not touched, so datasets and the LLASA that was
trained on them keep their codes, and only sound better.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from transformers import Xcodec2FeatureExtractor

from sample_models import adversary, losses
from sample_models.codec import HOP, TrainableCodec
from sample_models.codec_training import CodecRun, learning_rate, save_whole, take_steps
from sample_models.crops import VARIANTS, prepare, varied
from sample_models.prompts import Prompt


@dataclass(frozen=True, slots=True)
class DecoderRun(CodecRun):
    """What is needed to repeat a run."""

    rate: float = 5e-4
    warmup: int = 100  # steps
    judged: int = 40  # codes of each crop that the adversary sees: 0.8 s
    adversary_rate: float = 4e-4
    alone: int = 50  # steps in which only the adversary learns
    spectra: float = 8.0  # weight of the distance of spectra
    alike: float = 2.0  # weight of the distance of what the judges see


@dataclass(frozen=True, slots=True)
class Coded:
    """Clips end to end. `waveform`: (frames * 320,); `levels`: (frames, dimensions), whole numbers."""

    waveform: Tensor
    levels: Tensor


@torch.no_grad()
def encoded(codec: TrainableCodec, prompts: list[Prompt], extractor: Xcodec2FeatureExtractor) -> Coded:
    """Every variant of every prompt, each encoded whole."""
    waveforms, levels = [], []
    for speed, shift in VARIANTS:
        for prompt in prompts:
            padded, features = prepare(varied(prompt.waveform, speed, shift), extractor)
            latents = codec.encode(codec.acoustic_channels(padded[None]), features[None])
            waveforms.append(padded)
            levels.append(latents[0].round())
    return Coded(torch.cat(waveforms), torch.cat(levels))


class Trainer:
    """A decoder and its adversary in training, with all that a checkpoint has to hold."""

    def __init__(self, codec: TrainableCodec, source: Coded, run: DecoderRun, folder: Path) -> None:
        torch.manual_seed(run.seed)
        self.codec, self.source, self.run = codec, source, run
        self.state = folder / "decoder.pt"
        self.judges = adversary.Adversary()
        self.weights = [
            *codec.model.acoustic_decoder.parameters(),
            *codec.model.quantizer.project_out.parameters(),
        ]
        self.optimisers = [
            torch.optim.AdamW(weights, lr=rate, betas=(0.8, 0.95), weight_decay=0.001)
            for weights, rate in (
                (self.weights, run.rate),
                (list(self.judges.parameters()), run.adversary_rate),
            )
        ]
        self.generator = torch.Generator().manual_seed(run.seed)
        self.mean = [weight.detach().clone() for weight in self.weights]
        self.step = 0
        if self.state.exists():
            self.load()

    def load(self) -> None:
        """Go on from the last checkpoint."""
        saved = torch.load(self.state)
        for weight, value in zip(self.weights, saved["weights"], strict=True):
            weight.data.copy_(value)
        self.judges.load_state_dict(saved["judges"])
        for optimiser, state in zip(self.optimisers, saved["optimisers"], strict=True):
            optimiser.load_state_dict(state)
        self.generator.set_state(saved["generator"])
        self.mean, self.step = saved["mean"], saved["step"]

    def save(self) -> None:
        """Write a checkpoint, whole or not at all."""
        saved = {
            "weights": [weight.detach() for weight in self.weights],
            "judges": self.judges.state_dict(),
            "optimisers": [optimiser.state_dict() for optimiser in self.optimisers],
            "generator": self.generator.get_state(),
            "mean": self.mean,
            "step": self.step,
        }
        save_whole(saved, self.state)

    def crops(self) -> tuple[Tensor, Tensor]:
        """Random crops: audio (clips, frames * 320) and levels (clips, frames, dimensions)."""
        frames, count = self.run.frames, len(self.source.levels)
        starts = torch.randint(count - frames, (self.run.clips,), generator=self.generator).tolist()
        audio = [self.source.waveform[start * HOP : (start + frames) * HOP] for start in starts]
        return torch.stack(audio), torch.stack([self.source.levels[s : s + frames] for s in starts])

    def advance(self) -> dict[str, float]:
        """One step of both; the terms of their losses."""
        run, (for_decoder, for_judges) = self.run, self.optimisers
        audio, levels = self.crops()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            made = self.codec.decode(levels)[0]
        made = made.float()
        first = int(torch.randint(run.frames - run.judged + 1, (), generator=self.generator)) * HOP
        part = slice(first, first + run.judged * HOP)
        terms = {"judges": self._teach_judges(audio[:, part], made[:, part].detach(), for_judges)}
        if self.step >= run.alone:
            for_decoder.param_groups[0]["lr"] = learning_rate(self.step - run.alone, run)
            terms |= self._teach_decoder(audio, made, part, for_decoder)
        share = 1 / min(300, 1 + self.step / 10)
        for mean, weight in zip(self.mean, self.weights, strict=True):
            mean.lerp_(weight.detach(), share)
        self.step += 1
        return terms

    def _teach_judges(self, audio: Tensor, made: Tensor, optimiser: torch.optim.Optimizer) -> float:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = adversary.telling_apart(self.judges(audio), self.judges(made))
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.judges.parameters(), 10.0)
        optimiser.step()
        return loss.item()

    def _teach_decoder(
        self, audio: Tensor, made: Tensor, part: slice, optimiser: torch.optim.Optimizer
    ) -> dict[str, float]:
        self.judges.requires_grad_(False)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            with torch.no_grad():
                real = self.judges(audio[:, part])
            seen = self.judges(made[:, part])
            terms = {
                "deceiving": adversary.deceiving(seen),
                "alike": self.run.alike * adversary.seen_alike(real, seen),
            }
        terms["spectra"] = self.run.spectra * losses.spectral_distance(made, audio)
        optimiser.zero_grad(set_to_none=True)
        torch.stack(list(terms.values())).sum().backward()
        torch.nn.utils.clip_grad_norm_(self.weights, 5.0)
        optimiser.step()
        self.judges.requires_grad_(True)
        return {name: term.item() for name, term in terms.items()}


def train(codec: TrainableCodec, source: Coded, run: DecoderRun, folder: Path) -> TrainableCodec:
    """Train, or go on from `folder`/decoder.pt; returns the codec with the averaged decoder."""
    trainer = Trainer(codec.train(), source, run, folder)
    take_steps(trainer)
    with torch.no_grad():
        for weight, mean in zip(trainer.weights, trainer.mean, strict=True):
            weight.copy_(mean)
    return codec.eval()
