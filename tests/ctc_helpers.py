"""A CTC model that knows letters by their tones, trained in the test, and speech of such letters."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from transformers import (
    Wav2Vec2Config,
    Wav2Vec2CTCTokenizer,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2ForCTC,
    Wav2Vec2Processor,
)

RATE = 16_000
LETTERS = "abdehilnorstw"
TONE, GAP = RATE * 3 // 25, RATE * 3 // 50  # samples of a letter, and of the silence after it


def spoken(text: str) -> np.ndarray:
    """A text as tones, a letter each; a space is a longer silence."""
    parts = []
    for letter in text:
        if letter == " ":
            parts.append(np.zeros(TONE // 2, np.float32))
            continue
        pitch = 300 * 1.22 ** LETTERS.index(letter)
        tone = 0.3 * np.sin(2 * np.pi * pitch * np.arange(TONE) / RATE)
        parts += [tone.astype(np.float32), np.zeros(GAP, np.float32)]
    noise = np.random.default_rng(0).normal(0, 1e-3, sum(map(len, parts)))
    return (np.concatenate(parts) + noise).astype(np.float32)


def write_tone_model(folder: Path) -> Path:
    """Write a tiny Wav2Vec2ForCTC whose head is fitted to the features that its random layers make."""
    vocabulary = {"<pad>": 0, "<s>": 1, "</s>": 2, "<unk>": 3, "|": 4}
    vocabulary |= {letter.upper(): 5 + place for place, letter in enumerate(LETTERS)}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    torch.manual_seed(0)
    config = Wav2Vec2Config(
        vocab_size=len(vocabulary),
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        conv_dim=(64,) * 7,
        num_conv_pos_embeddings=16,
        num_conv_pos_embedding_groups=2,
    )
    model = Wav2Vec2ForCTC(config).eval()
    extractor = Wav2Vec2FeatureExtractor()
    random = np.random.default_rng(1)
    text = "".join(random.choice(list(LETTERS + " "), 300))
    with torch.inference_mode():
        values = extractor(spoken(text), sampling_rate=RATE, return_tensors="pt").input_values
        features = model.wav2vec2(values).last_hidden_state[0]
    model.lm_head.weight.data, model.lm_head.bias.data = _fitted(features, _frames(text, len(features)))
    model.save_pretrained(folder)
    tokenizer = Wav2Vec2CTCTokenizer(str(folder / "vocab.json"))
    Wav2Vec2Processor(extractor, tokenizer).save_pretrained(folder)
    return folder


def _frames(text: str, number: int) -> torch.Tensor:
    """The token of each frame of 20 ms: a letter's in the middle of its tone, elsewhere the blank."""
    tokens, at = torch.zeros(number, dtype=torch.int64), 0
    for letter in text:
        if letter != " ":
            tokens[(at + TONE // 3) // 320 : (at + TONE * 2 // 3) // 320] = 5 + LETTERS.index(letter)
        at += TONE // 2 if letter == " " else TONE + GAP
    return tokens


def _fitted(features: torch.Tensor, tokens: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    head = torch.nn.Linear(features.shape[1], 5 + len(LETTERS))
    features = features.clone()  # out of inference mode
    optimiser = torch.optim.LBFGS(head.parameters(), max_iter=400, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimiser.zero_grad()
        found = torch.nn.functional.cross_entropy(head(features), tokens)
        found = found + 1e-5 * head.weight.square().sum()  # as sure as a real model, and no more
        found.backward()
        return found

    optimiser.step(loss)
    return head.weight.detach(), head.bias.detach()
