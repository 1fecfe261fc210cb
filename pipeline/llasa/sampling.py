"""From the scores of the legal next tokens to the one that is spoken: penalty, temperature, top-k, top-p.

Pure tensor functions with a row a request, each row by its own settings, so that they compile into the
decode step and a request gets what it would get alone. Randomness comes in as one uniform number a row and
step, drawn from the request's own seed: in float32 on a CPU, the same seed gives the same speech in any
batch. In half precision, and on a GPU, a batch of another size is added up in another order, and where two
codes are nearly as likely the other one may be spoken.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pipeline.errors import UsageError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

FEWEST_CANDIDATES = 64
MOST_CANDIDATES = 4096  # past that, sorting everything is as fast
SEEDS = 2**32


@dataclass(frozen=True)
class Sampling:
    """How the next code is chosen.

    `temperature` 0 takes the most likely one (greedy). `top_k` 0 and `top_p` 1 keep all. `repetition_penalty`
    divides the scores of codes already generated; those of the prompt are left alone, or it would punish the
    reference voice. `max_codes` bounds the speech: 50 codes a second. Without a `seed`, one is drawn.
    """

    temperature: float = 0.8
    top_p: float = 1.0
    top_k: int = 50
    repetition_penalty: float = 1.1
    max_codes: int = 1000
    seed: int | None = None

    def __post_init__(self) -> None:
        bounds = {
            "temperature": (self.temperature, 0, 5),
            "top_p": (self.top_p, 0.01, 1),
            "top_k": (self.top_k, 0, 65_536),
            "repetition_penalty": (self.repetition_penalty, 0.5, 5),
            "max_codes": (self.max_codes, 1, 65_536),
            "seed": (self.seed or 0, 0, SEEDS - 1),
        }
        for name, (value, least, most) in bounds.items():
            if not least <= value <= most:
                raise UsageError(f"{name} is {value}; it must be from {least} to {most}")

    @property
    def greedy(self) -> bool:
        """Whether the most likely code is always taken."""
        return self.temperature == 0

    def seeded(self) -> Sampling:
        """Return the same with a seed drawn, if there was none."""
        return self if self.seed is not None else replace(self, seed=secrets.randbelow(SEEDS))


def candidates_needed(settings: Sequence[Sampling], rows: int) -> int:
    """Return how many of the `rows` scores must be sorted for all settings: 1 if all are greedy."""
    if all(one.greedy for one in settings):
        return 1
    largest = max(one.top_k or rows for one in settings if not one.greedy)
    if largest > MOST_CANDIDATES:
        return rows
    return min(rows, max(FEWEST_CANDIDATES, 1 << (largest - 1).bit_length()))


def uniforms(seed: int, steps: int) -> Tensor:
    """Return the random numbers of one request: float32 (steps,), in [0, 1).

    The first ones do not depend on `steps`.
    """
    import torch

    generator = torch.Generator().manual_seed(seed)
    return torch.rand(steps, generator=generator)


@dataclass
class Controls:
    """The settings of a batch as tensors of shape (rows, 1), kept in place between batches."""

    temperature: Tensor
    top_p: Tensor
    top_k: Tensor
    penalty: Tensor

    @classmethod
    def empty(cls, rows: int, device: torch.device) -> Controls:
        """Allocate settings for `rows` requests, to be set."""
        import torch

        return cls(*(torch.ones(rows, 1, device=device) for _ in range(4)))

    def tensors(self) -> tuple[Tensor, ...]:
        """Return all of them."""
        return self.temperature, self.top_p, self.top_k, self.penalty

    def set(self, settings: Sequence[Sampling], vocabulary: int) -> None:
        """Copy in the settings of each row; rows past them stay as they are."""
        import torch

        table = [
            (one.temperature, one.top_p, one.top_k or vocabulary, one.repetition_penalty) for one in settings
        ]
        columns = torch.tensor(table, dtype=torch.float32).T
        for tensor, column in zip(self.tensors(), columns, strict=True):
            tensor[: len(table), 0] = column


def choose(scores: Tensor, seen: Tensor, uniform: Tensor, controls: Controls, candidates: int) -> Tensor:
    """Choose the next token of each row, int64 (rows,), as an index into its scores.

    `scores`: float32 (rows, tokens). `seen`: bool, the same shape, true if a token was generated before.
    `uniform`: float32 (rows, 1). `candidates`: see `candidates_needed`.
    """
    import torch

    penalised = torch.where(scores > 0, scores / controls.penalty, scores * controls.penalty)
    scores = torch.where(seen, penalised, scores)
    if candidates == 1:
        return scores.argmax(-1)
    top, index = scores.topk(candidates, dim=-1)
    rank = torch.arange(candidates, device=scores.device)
    top = top.masked_fill(rank >= controls.top_k, -torch.inf)
    shares = torch.softmax((top - top[:, :1]) / controls.temperature.clamp(min=1e-4), -1)
    before = shares.cumsum(-1) - shares
    # the smallest set of tokens whose probability reaches top_p, so the first one is always in it
    shares = torch.where((before < controls.top_p) | (rank == 0), shares, 0.0)
    total = shares.cumsum(-1)
    drawn = (total <= uniform * total[:, -1:]).sum(-1, keepdim=True).clamp(max=candidates - 1)
    # rounding in the sums can point past the last kept token; a greedy row takes the first
    kept = (shares.gather(-1, drawn) > 0) & (controls.temperature > 0)
    return index.gather(-1, torch.where(kept, drawn, 0)).squeeze(-1)
