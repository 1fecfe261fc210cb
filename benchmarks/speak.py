"""How fast a LLASA speaks: this project's generation against `transformers`' own, in one run.

    .venv/bin/python -m benchmarks.speak                       # the sample model on this machine's CPU
    .venv/bin/python -m benchmarks.speak --shape 1b --shape 3b # random models of those shapes, on CUDA
    .venv/bin/python -m benchmarks.speak --no-compile --codes 200
    .venv/bin/python -m benchmarks.speak --server       # also against `transformers serve`, where installed

Prints a table and writes benchmarks/results/speak-{cpu,cuda}.json. What was not measured is null there.
The plain way is the one that this project grew from: `model.generate` with sampling over the whole
vocabulary, in the same dtype, one request at a time (it batches none), with transformers' own cache.
`static` is the same with `cache_implementation="static"`, which transformers compiles on CUDA; where that is
not at least 1.3 times slower than this project's decoder, it should replace it. `server` is `transformers
serve`, compiled on CUDA, with one request at a time, and with eight that it batches continuously. All ways
continue the same prompt by the same number of tokens, with the same sampling, in the same dtype, after a run
to warm up; the server is asked over HTTP, as it is used. Each way of attention that the machine
has is measured.
On a CPU the ratio is of CPU seconds, which other work on the machine lengthens less than wall time; both are
written.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.transformers_serve import race_server
from pipeline.errors import UsageError
from pipeline.llasa import attention, loading, tiny
from pipeline.llasa.compiling import as_it_is, compiled
from pipeline.llasa.decoder import Decoder
from pipeline.llasa.sampling import Sampling
from pipeline.llasa_format.layout import Layout, read_layout
from pipeline.llasa_format.prompt import read_prompt_format
from pipeline.llasa_format.tokenizer import load_tokenizer
from pipeline.runtime import pick_device

RESULTS = Path(__file__).parent / "results"
SAMPLE = "data/sample/llasa-random"
TEXT = "The quick brown fox jumps over the lazy dog, and then it sits down to think about it."
SHAPES = {  # Llama 3.2's
    "1b": {"hidden": 2048, "layers": 16, "heads": 32, "kv_heads": 8, "intermediate": 8192},
    "3b": {"hidden": 3072, "layers": 28, "heads": 24, "kv_heads": 8, "intermediate": 8192},
}
BATCHES = (1, 8, 64)
FIRST = 25  # codes until a stream is first heard
REPEATS = 8  # the best counts: other work on the machine only ever slows


def main() -> None:
    global REPEATS
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--shape", action="append", choices=[*SHAPES, "sample"], help="models (by the device)"
    )
    parser.add_argument("--codes", type=int, default=250, help="codes a request (250: 5 s)")
    parser.add_argument("--no-compile", action="store_true")
    parser.add_argument("--server", action="store_true", help="race `transformers serve` too")
    parser.add_argument("--repeats", type=int, default=REPEATS, help="runs, of which the best counts (8)")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    REPEATS = arguments.repeats
    device = pick_device("auto")
    shapes = arguments.shape or (["sample"] if device.type == "cpu" else ["1b", "3b"])
    ceiling = copy_rate(device)
    report = {
        "machine": machine(device),
        "codes": arguments.codes,
        "compiled": not arguments.no_compile,
        "copy_bytes_per_second": ceiling,
        "models": {
            shape: measure(
                shape, device, arguments.codes, ceiling, not arguments.no_compile, arguments.server
            )
            for shape in shapes
        },
        "not_measured": [shape for shape in (*SHAPES, "sample") if shape not in shapes],
    }
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"speak-{device.type}.json"
    path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(f"not measured here: {', '.join(report['not_measured'])}; written to results/{path.name}")


def measure(
    shape: str, device: torch.device, codes: int, ceiling: float, compile: bool, server: bool
) -> dict[str, Any]:
    """All figures of one model."""
    model, tokenizer, layout = load(shape, device)
    prompt = read_prompt_format(tokenizer, layout.codebook_size, SAMPLE).tokens(TEXT)
    fair = time.process_time if device.type == "cpu" else time.perf_counter
    plain = codes / best(lambda: generate_plainly(model, prompt, codes))
    plain_fair = codes / best(lambda: generate_plainly(model, prompt, codes), fair)
    static = codes / best(lambda: generate_plainly(model, prompt, codes, cache_implementation="static"))
    served = (
        {rows: race_server(model, tokenizer, prompt, plain_sampling(codes), rows, best) for rows in (1, 8)}
        if server
        else None
    )
    compiler = partial(compiled, device=device) if compile else as_it_is
    attention.use(model, attention.SDPA)
    decoder = Decoder(model, layout, slots=max(BATCHES), length=2048, compiler=compiler)
    never_end(decoder)
    started = time.perf_counter()
    run(decoder, [prompt], codes)
    figures: dict[str, Any] = {"dtype": str(model.dtype), "first_run_seconds": time.perf_counter() - started}
    figures["seconds_to_first_codes"] = best(lambda: run(decoder, [prompt], FIRST))
    figures["plain_codes_per_second"] = plain
    figures["static_codes_per_second"] = static
    figures["server_codes_per_second"] = served
    figures["plain_codes_per_cpu_second"] = plain_fair if device.type == "cpu" else None
    print(f"{shape}, {model.dtype}: plain generate {plain:,.0f} codes/s, with a static cache {static:,.0f}")
    for rows, rate in (served or {}).items():
        print(f"  transformers serve, {rows} at once: {rate:,.0f} codes/s")
    for rows in BATCHES:
        work = partial(run, decoder, [prompt] * rows, codes)
        rate = rows * codes / best(work)
        times = rows * codes / best(work, fair) / plain_fair
        figures[f"batch_{rows}"] = {
            "codes_per_second": rate,
            "times_plain": times,
            "times_static": rate / static,
            "times_real_time": rate / 50,
            "share_of_bandwidth": rate / rows * weight_bytes(decoder) / ceiling,
        }
        share = figures[f"batch_{rows}"]["share_of_bandwidth"]
        print(
            f"  batch {rows:2}: {rate:8,.0f} codes/s, {times:5.1f} times plain, "
            f"{rate / static:5.1f} times static, {rate / 50:6.1f} times real time, "
            f"{share:.0%} of the memory's rate"
        )
    figures["attention_codes_per_second"] = attentions(model, layout, prompt, codes, compiler, compile)
    print(f"  by attention: {figures['attention_codes_per_second']}")
    print(f"  first {FIRST} codes after {figures['seconds_to_first_codes']:.3f} s")
    figures["greedy_agreement"] = {kind: agreement(shape, device, prompt, kind) for kind in ("int8", "int4")}
    print(f"  greedy agreement with the unquantised model: {figures['greedy_agreement']}")
    return figures


def load(shape: str, device: torch.device) -> tuple[Any, Any, Layout]:
    """The sample model in float32, or a random one of a shape, in bf16 on CUDA."""
    tokenizer = load_tokenizer(SAMPLE)
    layout = read_layout(tokenizer, 65_536, shape)
    if shape == "sample":
        settings = loading.ModelSettings(name=SAMPLE, device=str(device))
        return loading.load(settings, 65_536).model, tokenizer, layout
    with torch.device(device):
        model = tiny.build_model(tokenizer, tied=True, **SHAPES[shape])
    return model.to(device, loading.pick_dtype(True, device)), tokenizer, layout


def attentions(
    model: Any, layout: Layout, prompt: list[int], codes: int, compiler: Any, compile: bool
) -> dict[str, float]:
    """Codes a second of one request with each way of attending that this machine has."""
    ways = [attention.SDPA]
    if compile:
        ways.append(attention.FLEX)
    if model.device.type == "cuda" and attention.flash_is_installed():
        ways.append(attention.FLASH)
    rates = {}
    for way in ways:
        attention.use(model, way)
        decoder = Decoder(model, layout, slots=1, length=2048, compiler=compiler)
        never_end(decoder)
        rates[way] = round(codes / best(partial(run, decoder, [prompt], codes)), 1)
    return rates


def generate_plainly(model: Any, prompt: Sequence[int], codes: int, **options: Any) -> None:
    """`model.generate`, sampling, as the program before ran it."""
    ids = torch.tensor([prompt], device=model.device)
    model.set_attn_implementation("sdpa")
    model.generate(ids, attention_mask=torch.ones_like(ids), **plain_sampling(codes), **options)


def plain_sampling(codes: int) -> dict[str, Any]:
    """The sampling of every way but this project's, which has the same in `run`; none may end early."""
    return {
        "max_new_tokens": codes,
        "min_new_tokens": codes,
        "do_sample": True,
        "temperature": 0.8,
        "top_p": 0.95,
        "top_k": 50,
        "repetition_penalty": 1.1,
    }


def run(decoder: Decoder, prompts: list[list[int]], codes: int) -> list[np.ndarray]:
    """The same with this project's decoder."""
    session = decoder.start(prompts, [Sampling(0.8, 0.95, 50, 1.1, codes, seed=1)] * len(prompts))
    while not session.advance(16):
        pass
    return session.codes()


def agreement(shape: str, device: torch.device, prompt: list[int], kind: str) -> float | None:
    """Share of greedy codes that quantised weights leave as they were, before the first that differs."""
    said = []
    for quantized in (None, kind):
        model, _, layout = load(shape, device)
        try:
            if quantized is not None:
                loading.quantize(model, quantized)
        except UsageError as error:
            print(f"  {kind}: {error}")
            return None
        attention.use(model, attention.SDPA)
        decoder = Decoder(model, layout, slots=1, length=1024, compiler=as_it_is)
        never_end(decoder)
        session = decoder.start([prompt], [Sampling(temperature=0, max_codes=200)])
        while not session.advance(16):
            pass
        said.append(session.codes()[0])
    same = said[0] == said[1]
    return float(same.argmin() if not same.all() else len(same)) / len(same)


def never_end(decoder: Decoder) -> None:
    """A random model may end at once: take the END token's row out of the race."""
    decoder.bias = torch.zeros(decoder.end + 1, device=decoder.device, dtype=decoder.legal.dtype)
    decoder.bias[decoder.end] = -1e4


def best(work: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    """Seconds of the fastest of REPEATS runs, after one to warm up."""
    times = []
    for _ in range(REPEATS + 1):
        started = clock()
        work()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        times.append(clock() - started)
    return min(times[1:])


def weight_bytes(decoder: Decoder) -> int:
    """What a step must read: the layers' weights and the legal rows of the output layer."""
    layers = sum(one.numel() * one.element_size() for one in decoder.model.model.layers.parameters())
    return layers + decoder.legal.numel() * decoder.legal.element_size()


def copy_rate(device: torch.device) -> float:
    """Bytes a second that the device's memory copies, read and written counted."""
    source = torch.ones(64 * 2**20 if device.type == "cpu" else 2**30, dtype=torch.float32, device=device)
    target = torch.empty_like(source)
    return 2 * source.numel() * 4 / best(lambda: target.copy_(source))


def machine(device: torch.device) -> dict[str, Any]:
    """What was measured on."""
    names = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line]
    return {
        "device": torch.cuda.get_device_name(device)
        if device.type == "cuda"
        else names[0].split(":")[1].strip(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
    }


if __name__ == "__main__":
    main()
