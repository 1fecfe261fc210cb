"""Write the random LLASA of data/sample/llasa-random, byte for byte the same each time.

.venv/bin/python tools/make_random_llasa.py
.venv/bin/python tools/make_random_llasa.py --codebook 4096 -o build/llasa-random
"""

from __future__ import annotations

import argparse
from pathlib import Path

from pipeline.llasa import tiny

CARD = """# A random LLASA

Llama layers of {hidden} values over the LLASA layout: byte-level text, Llama 3's special tokens, the eight
markers and {codebook} speech codes. Its weights are random (`tools/make_random_llasa.py`): it speaks noise,
and is here so that every command starts without a download. Apache-2.0.
"""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("-o", "--output", type=Path, default=Path("data/sample/llasa-random"))
    parser.add_argument("--codebook", type=int, default=65_536, help="codes of the codec (65536)")
    parser.add_argument("--hidden", type=int, default=16, help="width of the model (16)")
    arguments = parser.parse_args()
    tokenizer = tiny.build_tokenizer(arguments.codebook)
    tiny.save(tiny.build_model(tokenizer, hidden=arguments.hidden), tokenizer, arguments.output)
    card = CARD.format(hidden=arguments.hidden, codebook=arguments.codebook)
    (arguments.output / "README.md").write_text(card, encoding="utf-8")


if __name__ == "__main__":
    main()
