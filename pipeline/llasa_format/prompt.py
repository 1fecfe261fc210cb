"""The conversation that LLASA models are trained on and prompted with: shared by training data and inference.

Knows words, not token ids, models or codecs.
"""

from __future__ import annotations

INSTRUCTION = "Convert the text to speech:"  # how the user's turn begins, before the text between its markers
DATE = "02 Oct 2025"  # given to templates that date their prompts, which must say the same every day


def neutralise(text: str) -> str:
    """`text` without anything that a tokenizer takes for a control token: `<|s_12|>` becomes `< |s_12|>`.

    Every marker and code of the LLASA layout begins with `<|`, so a text without that holds none.
    """
    return text.replace("<|", "< |")
