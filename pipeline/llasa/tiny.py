"""Small models in the LLASA layout, of the real classes: for the sample model, for tests, and to train on.

Their weights are random, from a seed.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.llasa_format.layout import MARKERS, code_token

if TYPE_CHECKING:
    from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

BEGIN, END, HEADER_START, HEADER_END, TURN_END = (
    "<|begin_of_text|>",
    "<|end_of_text|>",
    "<|start_header_id|>",
    "<|end_header_id|>",
    "<|eot_id|>",
)
SPECIALS = (BEGIN, END, HEADER_START, HEADER_END, TURN_END)
CODE_PATTERN = r"<\|s_[0-9]+\|>"
MAX_POSITIONS = 2048  # tokens, as LLASA was trained

# A conversation as Llama 3 spells it: a dated system turn, then the turns given. The date is an argument,
# for a prompt must not change overnight.
CHAT_TEMPLATE = (
    "{%- if date_string is not defined %}{%- set date_string = '26 Jul 2024' %}{%- endif %}"
    "{{- bos_token }}"
    "{{- '<|start_header_id|>system<|end_header_id|>\\n\\nToday Date: ' + date_string + '\\n\\n<|eot_id|>' }}"
    "{%- for message in messages %}"
    "{{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n' + message['content'] | trim }}"
    "{{- '<|eot_id|>' }}"
    "{%- endfor %}"
    "{%- if add_generation_prompt %}"
    "{{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}"
    "{%- endif %}"
)


def build_tokenizer(
    codebook_size: int, *, text_vocabulary: int = 256, corpus: Sequence[str] = ()
) -> PreTrainedTokenizerFast:
    """Build a byte-level BPE tokenizer: text, Llama's special tokens, the eight markers, then the codes.

    `text_vocabulary` past the 256 bytes is learned from `corpus`; without one, a byte is a token. The
    codes are words of the vocabulary, not added tokens: 65,536 of those would make a file of 7 MB that is
    slow to load, and text is split the same way.
    """
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    splitter = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(CODE_PATTERN), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    words = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    learned = Tokenizer(models.BPE())
    learned.pre_tokenizer = words
    learned.train_from_iterator(
        corpus,
        trainers.BpeTrainer(
            vocab_size=text_vocabulary,
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
            show_progress=False,
        ),
    )
    text = sorted(learned.get_vocab(), key=learned.get_vocab().__getitem__)
    vocabulary = {token: index for index, token in enumerate([*text, *SPECIALS, *MARKERS])}
    vocabulary |= {code_token(code): len(vocabulary) + code for code in range(codebook_size)}
    merges = [tuple(pair) for pair in json.loads(learned.to_str())["model"]["merges"]]
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges, ignore_merges=True))
    tokenizer.pre_tokenizer = splitter
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in (*SPECIALS, *MARKERS)])
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer,
        bos_token=BEGIN,
        eos_token=TURN_END,
        pad_token=END,
        chat_template=CHAT_TEMPLATE,
        model_max_length=MAX_POSITIONS,
        clean_up_tokenization_spaces=False,
    )


def build_model(
    tokenizer: PreTrainedTokenizerFast,
    *,
    hidden: int = 16,
    layers: int = 2,
    heads: int = 2,
    kv_heads: int = 1,
    intermediate: int = 64,
    tied: bool = True,
    seed: int = 0,
) -> LlamaForCausalLM:
    """Build a random Llama over the tokenizer's vocabulary, the same for the same seed, in float32.

    The embeddings are drawn wide enough that the model's logits spread and its speech varies with the
    text.
    """
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=kv_heads,
        intermediate_size=intermediate,
        max_position_embeddings=MAX_POSITIONS,
        rope_parameters={"rope_type": "default", "rope_theta": 500_000.0},
        tie_word_embeddings=tied,
        initializer_range=hidden**-0.5,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = LlamaForCausalLM(config)
    model.train(mode=False)
    return model


def save(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Save both as a folder that `from_pretrained` loads. The model given becomes float16."""
    model.half().save_pretrained(folder)  # type: ignore[no-untyped-call]
    tokenizer.save_pretrained(folder)
    (folder / "model.safetensors").chmod(0o644)
