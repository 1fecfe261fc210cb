"""Prompts to speech codes, whoever computes them: what a generator is, and the one that runs here."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Protocol

import numpy as np

from pipeline.errors import UsageError
from pipeline.llasa.sampling import Sampling

if TYPE_CHECKING:
    from pipeline.llasa.loading import Loaded

FIRST_PIECE = 25  # codes (0.5 s) until a stream is first heard
NEXT_PIECES = 50  # codes (1 s) between later pieces

Watch = Callable[[int], bool]  # told the codes so far of all requests, at intervals; False stops generating


@dataclass(frozen=True)
class Request:
    """Token ids to continue, and how."""

    prompt: list[int]
    sampling: Sampling


@dataclass(frozen=True)
class Spoken:
    """A request's codes, uint16 (n,), whether the model ended by itself, and the seed that repeats it."""

    codes: np.ndarray
    ended: bool
    seed: int


class Generator(Protocol):
    """Continues prompts with speech codes."""

    max_tokens: int  # of prompt and speech together

    def generate(self, requests: Sequence[Request], watch: Watch | None = None) -> list[Spoken]:
        """Return the speech of each request, in their order."""
        ...

    def stream(self, request: Request, watch: Watch | None = None) -> Iterator[np.ndarray]:
        """Yield the codes of one request, in pieces, as they come."""
        ...

    def warm_up(self, request: Request) -> None:
        """Compile before the first request."""
        ...


class LocalGenerator:
    """Generates on this machine, one batch at a time."""

    def __init__(self, loaded: Loaded, *, batch: int, max_tokens: int, compile: bool) -> None:
        """Allocate the cache once, for `batch` requests of `max_tokens`; `loaded`: see loading.load."""
        from pipeline.llasa import compiling
        from pipeline.llasa.decoder import STEPS_BETWEEN_CHECKS, Decoder

        self.max_tokens: int = min(max_tokens, loaded.model.config.max_position_embeddings)
        places = set(getattr(loaded.model, "hf_device_map", {}).values())
        if compile and len(places) > 1:
            raise UsageError(
                "--compile needs the model on one device and this one is spread over several: leave "
                "--compile out, or make it smaller with --bf16 or --quantize"
            )
        compiler = partial(compiling.compiled, device=loaded.device) if compile else compiling.as_it_is
        self.decoder = Decoder(
            loaded.model, loaded.prompts.layout, slots=batch, length=self.max_tokens, compiler=compiler
        )
        self._check_every = 1 if loaded.device.type == "cpu" else STEPS_BETWEEN_CHECKS
        self._lock = threading.Lock()

    def generate(self, requests: Sequence[Request], watch: Watch | None = None) -> list[Spoken]:
        """See `Generator`; requests of similar length share a batch."""
        order = sorted(range(len(requests)), key=lambda i: (len(requests[i].prompt), i))
        slots = self.decoder.slots
        spoken: dict[int, Spoken] = {}
        said = 0
        for start in range(0, len(order), slots):
            chosen = order[start : start + slots]
            before = said
            told = None if watch is None else lambda codes, before=before: watch(before + codes)
            batch = self._batch([requests[i] for i in chosen], told)
            spoken.update(zip(chosen, batch, strict=True))
            said += sum(len(one.codes) for one in batch)
            if watch is not None and not watch(said):
                break
        nothing = Spoken(np.empty(0, np.uint16), False, 0)
        return [spoken.get(i, nothing) for i in range(len(requests))]

    def stream(self, request: Request, watch: Watch | None = None) -> Iterator[np.ndarray]:
        """See `Generator`."""
        with self._lock:
            session = self.decoder.start([request.prompt], [request.sampling])
            heard, done, piece = 0, False, FIRST_PIECE
            while not done:
                done = session.advance(piece)
                codes = session.codes()[0]
                if len(codes) > heard:
                    yield codes[heard:]
                heard, piece = len(codes), NEXT_PIECES
                done = done or (watch is not None and not watch(heard))

    def warm_up(self, request: Request) -> None:
        """See `Generator`: compiles the decode step, if it is to be compiled."""
        with self._lock:
            self.decoder.warm_up(request.prompt, request.sampling)

    def _batch(self, requests: Sequence[Request], watch: Watch | None) -> list[Spoken]:
        with self._lock:
            session = self.decoder.start([one.prompt for one in requests], [one.sampling for one in requests])
            while not session.advance(self._check_every):
                if watch is not None and not watch(session.steps * len(requests)):
                    break
            codes = session.codes()
        return [
            Spoken(one, len(one) < min(session.steps, limit), seed)
            for one, limit, seed in zip(codes, session.limits, session.seeds, strict=True)
        ]
