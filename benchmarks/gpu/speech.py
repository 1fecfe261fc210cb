"""The language model's lines: variants from new threads, prompts of new lengths, codes a second."""

from __future__ import annotations

import gc
import threading
import time
from typing import Any

import torch

from benchmarks import speak
from benchmarks.gpu.line import Bench, Verdict
from pipeline.llasa.generation import LocalGenerator, Request
from pipeline.llasa.loading import Loaded
from pipeline.llasa.sampling import Sampling
from pipeline.llasa_format.prompt import read_prompt_format

PREFILL_SECONDS = 0.05
BATCHES = (1, 8, 64)
VARIANTS = {  # what the page can ask for beside its defaults
    "greedy": (1, Sampling(temperature=0.0, max_codes=20)),
    "more candidates": (1, Sampling(top_k=200, max_codes=20)),
    "several lines": (3, Sampling(max_codes=20)),
}


def threads(bench: Bench) -> Verdict:
    """Every variant that the page offers works from a new thread"""
    generator, prompt = _generator(bench, "3b", batch=4, compiled=not bench.dry)
    generator.warm_up(Request(prompt, Sampling(max_codes=20)))
    failed: dict[str, str] = {}

    def say(name: str, lines: int, sampling: Sampling) -> None:
        try:
            generator.generate([Request(prompt, sampling)] * lines)
        except Exception as error:
            failed[name] = f"{type(error).__name__}: {error}".splitlines()[0]

    for name, (lines, sampling) in VARIANTS.items():
        thread = threading.Thread(target=say, args=(name, lines, sampling))
        thread.start()
        thread.join()
    return Verdict(not failed, str(failed) if failed else f"{len(VARIANTS)} variants", failed)


def prefill(bench: Bench) -> Verdict:
    """Prompts of five new lengths are read in less than 50 ms"""
    generator, prompt = _generator(bench, "3b", batch=1, compiled=False)
    once = Sampling(max_codes=1)
    generator.generate([Request(prompt, once)])
    taken = {}
    for length in (61, 127, 230, 351, 499):
        request = Request((prompt * 99)[:length], once)
        bench.synchronise()
        started = time.perf_counter()
        generator.generate([request])
        taken[str(length)] = time.perf_counter() - started
    slowest = max(taken.values())
    return Verdict(slowest < PREFILL_SECONDS or bench.dry, f"{1e3 * slowest:.0f} ms at most", taken)


def rates(bench: Bench) -> Verdict:
    """Codes a second of models of 1B and 3B, and the share of the memory's rate"""
    ceiling = None if bench.dry else speak.copy_rate(bench.device)
    figures: dict[str, Any] = {}
    codes = 4 if bench.dry else 250
    for shape in ["sample"] if bench.dry else ["1b", "3b"]:
        generator, prompt = _generator(bench, shape, batch=max(BATCHES), compiled=not bench.dry)
        for rows in BATCHES:
            requests = [Request(prompt, Sampling(max_codes=codes, seed=1))] * rows
            generator.generate(requests)
            started = time.perf_counter()
            said = sum(len(one.codes) for one in generator.generate(requests))
            rate = said / (time.perf_counter() - started)
            read = None if ceiling is None else rate / rows * speak.weight_bytes(generator.decoder) / ceiling
            figures[f"{shape}, batch {rows}"] = {"codes_per_second": rate, "share_of_bandwidth": read}
        del generator
        gc.collect()
    words = ", ".join(f"{name}: {one['codes_per_second']:,.0f}/s" for name, one in figures.items())
    return Verdict(True, words, figures)


def _generator(bench: Bench, shape: str, *, batch: int, compiled: bool) -> tuple[LocalGenerator, list[int]]:
    """A generator of random weights that never ends by itself, and a prompt."""
    model, tokenizer, layout = speak.load("sample" if bench.dry else shape, bench.device)
    prompts = read_prompt_format(tokenizer, layout.codebook_size, shape)
    loaded = Loaded(model.requires_grad_(False).eval(), prompts, bench.device)
    speak.attention.use(model, speak.attention.SDPA)
    generator = LocalGenerator(loaded, batch=batch, max_tokens=2_048, compile=compiled)
    with torch.inference_mode():
        speak.never_end(generator.decoder)
    return generator, prompts.tokens(speak.TEXT)
