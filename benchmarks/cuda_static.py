"""What the activation's kernel compiles to for each generation of GPU, read from its machine code.

    .venv/bin/python -m benchmarks.cuda_static

No GPU is needed: Triton carries NVIDIA's assembler and disassembler. An output's instructions are those of
the straight code that every thread runs away from a clip's ends, divided by the outputs of a thread. That is
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
OPERATION = re.compile(r"^\s+/\*[0-9a-f]+\*/\s+(?:@!?U?P\w+\s+)?([A-Z][A-Z0-9_.]*)", re.MULTILINE)
SIZES = {"THREADS": kernel.THREADS, "OUTPUTS": kernel.OUTPUTS}


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
    types = {"given": dtype, "made": dtype, "lengths": "i64", "channels": "i32", "width": "i32"}
    names = ("given", "made", "lengths", "alphas", "scales", "up", "down")
    whole = {name: f"*{types.get(name, 'fp32')}" for name in names} | {"channels": "i32", "width": "i32"}
    hardware = {"HARDWARE": dtype != "fp32"}
    registers, spilled, _ = _assemble(kernel._snake, whole, SIZES | hardware, generation)
    inner = {name: whole[name] for name in ("given", "made")}
    inner |= {"first": "i32", "last": "i32", "width": "i32", "up": "*fp32", "down": "*fp32"}
    inner |= {"alpha": "fp32", "scale": "fp32"}
    _, _, code = _assemble(kernel._segments, inner, SIZES | hardware | {"INSIDE": True}, generation)
    counted = Counter(operation.split(".")[0] for operation in OPERATION.findall(code))
    del counted["NOP"]  # padding behind the end
    return Compiled(
        generation=generation,
        dtype=dtype,
        registers=registers,
        spilled=spilled,
        instructions=round(counted.total() / kernel.OUTPUTS, 1),
        widest_load=_widest(code, "LDG"),
        widest_store=_widest(code, "STG"),
        most_frequent={name: round(n / kernel.OUTPUTS, 1) for name, n in counted.most_common(6)},
    )


def _assemble(
    function: Any, signature: dict[str, str], constants: dict[str, Any], generation: int
) -> tuple[int, int, str]:
    """Return registers, spilled bytes and the listing. Pointers and widths are multiples of 16, as in use."""
    names = [*signature, *constants]
    aligned = [
        i for i, name in enumerate(signature) if signature[name][0] == "*" or name in ("width", "first")
    ]
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


def _widest(code: str, operation: str) -> int:
    """Return the bits of the widest load or store. A bare LDG moves 32."""
    found = re.findall(rf"{operation}\.([A-Z0-9_.]+)", code)
    sizes = [int(part) for modifiers in found for part in modifiers.split(".") if part.isdigit()]
    return max(sizes, default=32)


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
