"""Writing the trained models and the held-out clips as they are shipped, each with a card.

Knows file formats and licences. Does not know training.
"""

import json
from pathlib import Path

import numpy as np
import soundfile
import torch
from transformers import (
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    Xcodec2FeatureExtractor,
    Xcodec2Model,
)

from pipeline.llasa import tiny
from sample_models.prompts import SAMPLE_RATE, Prompt

SHARPNESS = 2.0  # the last norm's scale: the companion's temperature of 0.8 then acts as 0.4
LARGEST = 12_000_000  # bytes of a model's weights

ATTRIBUTION = """Trained on the English prompts of the Debian packages `asterisk-core-sounds-en-g722`
and `asterisk-core-sounds-en`: recorded by Allison Smith (<http://www.theivrvoice.com>), financial
contributions by Digium, Inc. (<http://www.digium.com>), distributed with Asterisk under CC-BY-SA-3.0
(<https://creativecommons.org/licenses/by-sa/3.0/>). The weights are derived from them: the same licence.
"""

CODEC_CARD = f"""---
license: cc-by-sa-3.0
library_name: transformers
---
# A demonstration codec of one voice, not for use

A small `Xcodec2Model` (transformers): 16 kHz mono in, 50 codes a second out, 4,096 codes (finite scalar
quantisation, six dimensions of four levels), 600 bit/s. It knows one speaker's telephone prompts and makes
everything sound like them; it is here so that the pipeline gives audible results without a download.

{ATTRIBUTION}
How it was trained and how well it is understood: `../README.md`. Made by `tools/train_sample_models.py`.
"""

LLASA_CARD = f"""---
license: cc-by-sa-3.0
library_name: transformers
---
# A demonstration LLASA of one voice, not for use

A small Llama in the LLASA layout that speaks the codes of `../codec`. It knows the 500-odd telephone prompts
it was trained on by heart and little else; it is here so that the companion speaks without a download.

{ATTRIBUTION}
How it was trained and how well it is understood: `../README.md`. Made by `tools/train_sample_models.py`.
"""


def save_codec(model: Xcodec2Model, extractor: Xcodec2FeatureExtractor, folder: Path) -> None:
    """Weights in float16 (safetensors), configuration, feature extractor and card."""
    model.to(torch.float16).save_pretrained(folder)
    extractor.save_pretrained(folder)
    _finish(folder, CODEC_CARD)


def save_llasa(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Weights in float16 (safetensors), configuration, tokenizer and card. The model given is sharpened.

    So small a model gives unlikely codes too much: at the usual temperature it stumbles.
    """
    with torch.no_grad():
        model.model.norm.weight.mul_(SHARPNESS)
    tiny.save(model, tokenizer, folder)
    _finish(folder, LLASA_CARD)


def load_llasa(folder: Path) -> LlamaForCausalLM:
    """The stored model in float32, as it was before it was sharpened: to train it further."""
    model = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32)
    with torch.no_grad():
        model.model.norm.weight.div_(SHARPNESS)
    return model


def save_held_out(held_out: list[Prompt], folder: Path) -> None:
    """The clips as FLAC (lossless, 16 bit) and their texts as `id:text` lines."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for prompt in held_out:
        name = prompt.name.replace("/", "-")
        samples = np.round(prompt.waveform * 2**15).astype(np.int16)
        soundfile.write(folder / f"{name}.flac", samples, SAMPLE_RATE)
        lines.append(f"{name}:{prompt.text}\n")
    (folder / "transcripts.txt").write_text("".join(lines), encoding="utf-8")


def _finish(folder: Path, card: str) -> None:
    weights = folder / "model.safetensors"
    weights.chmod(0o644)
    if weights.stat().st_size > LARGEST:
        raise SystemExit(f"{weights} is larger than the {LARGEST} bytes that a sample model may have")
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config.pop("_name_or_path", None)
    (folder / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    (folder / "README.md").write_text(card, encoding="utf-8")
