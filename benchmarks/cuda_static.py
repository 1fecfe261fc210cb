"""What the activation's kernel compiles to for each generation of GPU, read from its machine code.

    .venv/bin/python -m benchmarks.cuda_static

No GPU is needed: Triton carries NVIDIA's assembler and disassembler. An output's instructions are those that
a thread runs away from a clip's ends, its loop as often as it turns, divided by the thread's outputs. That is
no measurement of time: it says what bounds it.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import triton
from triton.backends import nvidia
from triton.backends.compiler import GPUTarget

from benchmarks.common import save
from pipeline.codec.activation import triton as kernel

GENERATIONS = (80, 89, 90, 100)  # Ampere, Ada, Hopper, Blackwell
TYPES = ("bf16", "fp16", "fp32")
TOOLS = Path(nvidia.__file__).parent / "bin"
OPERATION = re.compile(r"^\s+/\*([0-9a-f]+)\*/\s+(?:@!?U?P\w+\s+)?([A-Z][A-Z0-9_.]*)(.*)", re.MULTILINE)


@dataclass(frozen=True)
class Compiled:
    """The kernel for one generation and type."""

    generation: int
    dtype: str
    registers: int  # a thread
    spilled: int  # bytes of local memory and stack a thread
    instructions: float  # an output
    widest_load: int  # bits
    widest_store: int
    most_frequent: dict[str, float]  # operation: instructions an output


def compiled(generation: int, dtype: str) -> Compiled:
    """Compile the kernel for `sm_{generation}` and count."""
    types = {"given": dtype, "made": dtype, "lengths": "i64"}
    pointers = ("given", "made", "lengths", "alphas", "scales", "up", "down")
    signature = {name: f"*{types.get(name, 'fp32')}" for name in pointers} | {
        "channels": "i32",
        "width": "i32",
    }
    together = kernel.BYTES // (4 if dtype == "fp32" else 2)
    sizes = {"CHANNELS": kernel.CHANNELS, "SEGMENTS": together // kernel.CHANNELS, "OUTPUTS": kernel.OUTPUTS}
    registers, spilled, code = _assemble(
        kernel._snake, signature, sizes | {"HARDWARE": dtype != "fp32"}, generation
    )
    outputs = kernel.OUTPUTS * together // 32  # of a thread
    runs = _inside(code)
    counted = Counter[str]()
    for operation, times in runs:
        counted[operation.split(".")[0]] += times
    return Compiled(
        generation=generation,
        dtype=dtype,
        registers=registers,
        spilled=spilled,
        instructions=round(counted.total() / outputs, 1),
        widest_load=_widest(runs, "LDG"),
        widest_store=_widest(runs, "STG"),
        most_frequent={name: round(n / outputs, 1) for name, n in counted.most_common(6)},
    )


def _inside(code: str) -> list[tuple[str, int]]:
    """Return each operation of a program that touches no end, and how often a thread runs it.

    The kernel is what all programs run, then two ways with a loop each: inside, and at the ends, which is the
    longer one. Every thread's last operation is EXIT; what follows the second one pads the code.
    """
    listed = [(int(place, 16), name, rest) for place, name, rest in OPERATION.findall(code)]
    exits = [i for i, (_, name, _) in enumerate(listed) if name == "EXIT"]
    split = next(i for i, (_, name, _) in enumerate(listed) if name == "BRA")
    ways = [listed[split + 1 : exits[0] + 1], listed[exits[0] + 1 : exits[1] + 1]]
    runs = [(name, 1) for _, name, _ in listed[: split + 1]]
    way = min(ways, key=len)
    (back,) = [
        (at, int(rest.split("0x")[1].split()[0], 16)) for at, name, rest in way if name.startswith("BRA")
    ]
    turns = kernel.OUTPUTS // kernel.STEPS.value
    return runs + [(name, turns if back[1] <= at <= back[0] else 1) for at, name, _ in way]


def _assemble(
    function: Any, signature: dict[str, str], constants: dict[str, Any], generation: int
) -> tuple[int, int, str]:
    """Return registers, spilled bytes and the code. Pointers and channels are multiples of 16, as in use."""
    names = [*signature, *constants]
    aligned = [i for i, name in enumerate(signature) if signature[name][0] == "*" or name == "channels"]
    source = triton.compiler.ASTSource(
        fn=function,
        signature=signature | dict.fromkeys(constants, "constexpr"),
        constexprs={(names.index(name),): value for name, value in constants.items()},
        attrs={(i,): [["tt.divisibility", 16]] for i in aligned},
    )
    target = GPUTarget("cuda", generation, 32)
    with tempfile.NamedTemporaryFile(suffix=".cubin") as cubin:
        cubin.write(triton.compile(source, target=target, options={"num_warps": 1}).asm["cubin"])
        cubin.flush()
        usage, code = (_listing(option, cubin.name) for option in ("-res-usage", "-sass"))
    used = {name: int(n) for name, n in re.findall(r"(REG|STACK|LOCAL):(\d+)", usage)}
    return used["REG"], used["STACK"] + used["LOCAL"], code


def _listing(option: str, cubin: str) -> str:
    command = [TOOLS / "cuobjdump", option, cubin]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def _widest(runs: list[tuple[str, int]], operation: str) -> int:
    """Return the bits of the widest load or store in the loop. A bare LDG moves 32."""
    looped = [name.split(".") for name, times in runs if times > 1 and name.split(".")[0] == operation]
    return max(int(next((part for part in parts[1:] if part.isdigit()), 32)) for parts in looped)


def main() -> None:
    found = [compiled(generation, dtype) for generation in GENERATIONS for dtype in TYPES]
    print("sm   type  registers  spilled  instructions an output  load, store  most frequent, an output")
    for one in found:
        frequent = ", ".join(f"{name} {n:g}" for name, n in one.most_frequent.items())
        print(
            f"{one.generation:<4} {one.dtype}  {one.registers:9}  {one.spilled:7}  {one.instructions:22}"
            f"  {one.widest_load:>4}, {one.widest_store:<5}  {frequent}"
        )
    save("cuda_static", {"kernel": [asdict(one) for one in found]})


if __name__ == "__main__":
    main()
