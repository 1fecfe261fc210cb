"""The decode loop: prompts in, speech codes out, one step a code for a whole batch of requests.

A step runs the model, scores the legal tokens only, chooses, and writes the result in place, so that it can
be compiled whole and repeated without the CPU learning what was chosen.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pipeline.errors import UsageError
from pipeline.llasa import attention
from pipeline.llasa.sampling import Controls, Sampling, candidates_needed, choose, uniforms
from pipeline.llasa_format.layout import Layout

WINDOWS = (256, 512, 1024)  # positions a step reads while all rows are within; past the last, all there are
STEPS_BETWEEN_CHECKS = (
    16  # on a device that works ahead of the CPU, looking whether all is said makes it wait
)

STEPS_TO_RECORD = 3

Step = Callable[["BatchState", int], None]


@dataclass
class BatchState:
    """The state of a batch of `rows` requests, in tensors that keep their place from batch to batch.

    Tokens are counted as rows of the legal part of the output layer: code c is c, END is the last.
    """

    rows: int
    chosen: Tensor  # int64 (rows,), the newest token
    positions: Tensor  # int64 (rows,), where it goes
    step: Tensor  # int64 (1,), how many were chosen
    written: Tensor  # int64 (rows, length), all that were chosen
    uniform: Tensor  # float32 (rows, length), random numbers to come
    seen: Tensor  # bool (rows, legal tokens)
    limits: Tensor  # int64 (rows,), how many codes each may say
    finished: Tensor  # bool (rows,)
    controls: Controls

    @classmethod
    def allocate(cls, rows: int, length: int, legal: int, device: torch.device) -> BatchState:
        """Allocate tensors for `rows` requests of up to `length` codes."""

        def zeros(*shape: int, dtype: torch.dtype = torch.int64) -> Tensor:
            tensor = torch.zeros(*shape, dtype=dtype, device=device)
            torch._dynamo.mark_static_address(tensor)
            return tensor

        controls = Controls.empty(rows, device)
        for tensor in controls.tensors():
            torch._dynamo.mark_static_address(tensor)
        return cls(
            rows,
            chosen=zeros(rows),
            positions=zeros(rows),
            step=zeros(1),
            written=zeros(rows, length),
            uniform=zeros(rows, length, dtype=torch.float32),
            seen=zeros(rows, legal, dtype=torch.bool),
            limits=zeros(rows),
            finished=zeros(rows, dtype=torch.bool),
            controls=controls,
        )


class Decoder:
    """Generates codes with a model, up to `slots` requests at once of up to `length` tokens each."""

    def __init__(
        self,
        model: Any,
        layout: Layout,
        *,
        slots: int = 8,
        length: int = 2048,
        compiler: Callable[[Step], Step],
    ) -> None:
        """Allocate the cache; `compiler` takes the decode step and returns what is run instead."""
        self.model, self.layout, self.length, self.slots = model, layout, length, slots
        head = model.get_output_embeddings()
        self.device: torch.device = head.weight.device
        self.token_ids = torch.tensor([*layout.code_ids, layout.speech_end], device=self.device)
        self.end = layout.codebook_size
        # a copy of the legal rows, so that a step reads half a gigabyte less in the published 3B model
        self.legal: Tensor = head.weight.detach()[self.token_ids].clone()
        self.bias: Tensor | None = None if head.bias is None else head.bias.detach()[self.token_ids].clone()
        for tensor in (self.token_ids, self.legal, self.bias):
            if tensor is not None:  # a CUDA graph copies every input that might move: 0.2 ms a step in 3B
                torch._dynamo.mark_static_address(tensor)
        self.cache = attention.SlotCache(model, slots, length)
        self.batches: dict[int, BatchState] = {}
        self.run_step = compiler(self._step)

    @torch.inference_mode()
    def start(self, prompts: Sequence[Sequence[int]], settings: Sequence[Sampling]) -> Session:
        """Read the prompts and choose the first code of each.

        Raises UsageError if one leaves no room for speech.
        """
        longest = max(map(len, prompts))
        if longest >= self.length:
            raise UsageError(
                f"text and reference take {longest} tokens and the model reads {self.length}: shorten them"
            )
        seeded = [one.seeded() for one in settings]
        rows = min(self.slots, 1 << (len(prompts) - 1).bit_length())
        slots = self.batches.get(rows)
        if slots is None:
            slots = BatchState.allocate(rows, self.length, self.end + 1, self.device)
            self.batches[rows] = slots
        limits = [
            min(one.max_codes, self.length - len(ids)) for one, ids in zip(seeded, prompts, strict=True)
        ]
        self._fill(slots, seeded, limits)
        candidates = candidates_needed(seeded, self.end + 1)
        self._prefill(slots, prompts, candidates)
        return Session(self, slots, limits, longest, candidates, [one.seed or 0 for one in seeded])

    @torch.inference_mode()
    def warm_up(self, prompt: Sequence[int], setting: Sampling) -> None:
        """Do all that a first request of one text would wait for, with each window.

        The first step compiles; on CUDA the second records a graph, and from the third on it is replayed.
        """
        session = self.start([prompt], [setting])
        for window in sorted({*(one for one in WINDOWS if one < self.length), self.length}):
            for _ in range(STEPS_TO_RECORD):
                session.step_within(window)

    def _fill(self, slots: BatchState, settings: Sequence[Sampling], limits: Sequence[int]) -> None:
        slots.step.zero_()
        slots.seen.zero_()
        slots.finished.fill_(True)  # rows without a request have nothing to say
        slots.finished[: len(settings)] = False
        slots.limits[: len(limits)] = torch.tensor(limits)
        slots.controls.set(settings, self.end + 1)
        longest = max(limits)
        table = torch.stack([uniforms(one.seed or 0, longest) for one in settings])
        slots.uniform[: len(settings), :longest] = table.to(self.device)

    def _prefill(self, slots: BatchState, prompts: Sequence[Sequence[int]], candidates: int) -> None:
        lengths = torch.tensor([len(ids) for ids in prompts])
        padded = torch.zeros(len(prompts), int(lengths.max()), dtype=torch.int64)
        for row, ids in enumerate(prompts):
            padded[row, : len(ids)] = torch.tensor(ids)
        lengths = lengths.to(self.device)
        hidden = self.model.model(
            input_ids=padded.to(self.device), past_key_values=self.cache, use_cache=True
        ).last_hidden_state
        slots.positions.zero_()
        slots.positions[: len(prompts)] = lengths
        last = hidden[torch.arange(len(prompts), device=hidden.device), lengths.to(hidden.device) - 1]
        unused = last.new_zeros(slots.rows - len(prompts), last.shape[1])
        self._say(slots, torch.cat([last, unused]), candidates)

    def _step(self, slots: BatchState, candidates: int) -> None:
        ahead = torch.arange(self.cache.window, device=self.device)
        hidden = self.model.model(
            input_ids=self.token_ids[slots.chosen].unsqueeze(1),
            attention_mask=(ahead <= slots.positions[:, None])[:, None, None],
            position_ids=slots.positions.unsqueeze(1),
            past_key_values=self.cache,
            use_cache=True,
            lengths=slots.positions + 1,
            newest=slots.positions,
        ).last_hidden_state[:, 0]
        # a row that has ended, or is full, stays where it is
        slots.positions.copy_((slots.positions + 1).clamp(max=self.length - 1))
        self._say(slots, hidden, candidates)

    def _say(self, slots: BatchState, hidden: Tensor, candidates: int) -> None:
        """Choose a token of each row from its last hidden state, (rows, hidden size), and note it."""
        hidden = hidden.to(self.device)
        scores = torch.nn.functional.linear(hidden, self.legal, self.bias).float()
        uniform = slots.uniform.index_select(1, slots.step)
        chosen = choose(scores, slots.seen, uniform, slots.controls, candidates)
        chosen = torch.where(slots.finished, self.end, chosen)
        slots.finished.logical_or_(chosen == self.end)
        # not scatter_, which compiled code turns into a pass over the whole vocabulary
        slots.seen[torch.arange(slots.rows, device=self.device), chosen] = True
        slots.written.index_copy_(1, slots.step, chosen.unsqueeze(1))
        slots.chosen.copy_(chosen)
        slots.step.add_(1)
        slots.finished.logical_or_(slots.step >= slots.limits)


class Session:
    """A batch under way; it holds the decoder's slots until the next `start`."""

    def __init__(
        self,
        decoder: Decoder,
        slots: BatchState,
        limits: Sequence[int],
        longest: int,
        candidates: int,
        seeds: list[int],
    ) -> None:
        self.seeds = seeds
        self.steps = 1
        self.limits = limits  # codes each request may say
        self._decoder, self._slots = decoder, slots
        self._position, self._candidates = longest, candidates

    @torch.inference_mode()
    def advance(self, steps: int) -> bool:
        """Generate up to `steps` more codes a row; True if there is nothing more to say."""
        for _ in range(min(steps, max(self.limits) - self.steps)):
            self.step_within(self._window())
        return self.steps >= max(self.limits) or bool(self._slots.finished.all())

    def step_within(self, window: int) -> None:
        """Take one step, reading the first `window` positions of the cache."""
        self._decoder.cache.set_positions(self._slots.positions, window)
        self._decoder.run_step(self._slots, self._candidates)
        self._position += 1
        self.steps += 1

    def codes(self) -> list[np.ndarray]:
        """Return each request's codes so far, uint16 (codes,), in one transfer from the device."""
        written = self._slots.written[: len(self.limits), : self.steps].cpu().numpy()
        return cut_at_end(written, self._decoder.end, self.limits)

    def _window(self) -> int:
        whole = self._decoder.length
        return min([whole, *(window for window in WINDOWS if self._position < window)])


def cut_at_end(written: np.ndarray, end: int, limits: Sequence[int]) -> list[np.ndarray]:
    """Cut rows of int64 (rows, steps) at the first `end` and at their limits, as uint16."""
    ended = written == end
    lengths = np.where(ended.any(1), ended.argmax(1), written.shape[1])
    lengths = np.minimum(lengths, np.asarray(limits))
    return [row[:length].astype(np.uint16) for row, length in zip(written, lengths, strict=True)]
