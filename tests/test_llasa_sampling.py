"""Choosing the next code: what temperature, top-k, top-p and the penalty each let through."""

from __future__ import annotations

import pytest
import torch
from transformers import TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

from pipeline.errors import UsageError
from pipeline.llasa.sampling import Controls, Sampling, candidates_needed, choose, uniforms

TOKENS = 200
DRAWS = 4000


def drawn(scores: torch.Tensor, setting: Sampling, seen: torch.Tensor | None = None) -> torch.Tensor:
    """How often each token is chosen, a share, over evenly spaced random numbers."""
    controls = Controls.empty(DRAWS, torch.device("cpu"))
    controls.set([setting] * DRAWS, TOKENS)
    uniform = ((torch.arange(DRAWS) + 0.5) / DRAWS)[:, None]
    seen = torch.zeros(TOKENS, dtype=torch.bool) if seen is None else seen
    candidates = candidates_needed([setting], TOKENS)
    chosen = choose(scores.expand(DRAWS, -1), seen.expand(DRAWS, -1), uniform, controls, candidates)
    return torch.bincount(chosen, minlength=TOKENS) / DRAWS


@pytest.mark.parametrize(
    ("temperature", "top_k", "top_p"), [(1.0, 0, 1.0), (0.7, 10, 1.0), (1.3, 0, 0.6), (0.8, 50, 0.9)]
)
def test_tokens_are_drawn_as_transformers_would_draw_them(
    temperature: float, top_k: int, top_p: float
) -> None:
    scores = torch.randn(1, TOKENS, generator=torch.Generator().manual_seed(0)) * 2
    expected = TemperatureLogitsWarper(temperature)(None, scores)
    expected = TopKLogitsWarper(top_k)(None, expected) if top_k else expected
    expected = TopPLogitsWarper(top_p)(None, expected) if top_p < 1 else expected
    shares = drawn(scores, Sampling(temperature, top_p, top_k, 1.0))
    torch.testing.assert_close(shares, expected.softmax(-1)[0], atol=2 / DRAWS, rtol=0)


def test_the_penalty_falls_on_what_was_said_before_and_on_nothing_else() -> None:
    scores = torch.zeros(1, TOKENS)
    scores[0, :3] = torch.tensor([2.0, 1.9, -1.0])
    seen = torch.zeros(TOKENS, dtype=torch.bool)
    greedy = Sampling(temperature=0, repetition_penalty=1.2)
    assert drawn(scores, greedy).argmax() == 0
    seen[0] = True
    assert drawn(scores, greedy, seen).argmax() == 1


def test_rows_with_other_settings_share_a_batch() -> None:
    settings = [Sampling(temperature=0), Sampling(temperature=5.0, top_k=3)]
    controls = Controls.empty(2, torch.device("cpu"))
    controls.set(settings, TOKENS)
    scores = torch.arange(TOKENS).float().expand(2, -1)
    seen = torch.zeros(2, TOKENS, dtype=torch.bool)
    chosen = choose(scores, seen, torch.full((2, 1), 0.999), controls, candidates_needed(settings, TOKENS))
    assert chosen.tolist() == [TOKENS - 1, TOKENS - 3]


def test_a_longer_limit_does_not_change_the_random_numbers() -> None:
    torch.testing.assert_close(uniforms(3, 2000)[:100], uniforms(3, 100))
    assert not torch.equal(uniforms(4, 100), uniforms(3, 100))


def test_no_more_is_sorted_than_the_settings_need() -> None:
    assert candidates_needed([Sampling(temperature=0)], 65_537) == 1
    assert candidates_needed([Sampling(top_k=50)], 65_537) == 64
    assert candidates_needed([Sampling(top_k=0)], 65_537) == 65_537


@pytest.mark.parametrize(
    "wrong", [{"temperature": -1}, {"top_p": 0}, {"top_k": -5}, {"max_codes": 0}, {"seed": -1}]
)
def test_settings_out_of_bounds_are_refused_in_one_sentence(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="it must be from"):
        Sampling(**wrong)  # type: ignore[arg-type]
