"""Turn a checkpoint file of openai-whisper into a folder for transformers, and one for faster-whisper.

    python tools/fetch_whisper.py
    python tools/convert_whisper.py build/models/tiny.en.pt build/models/tiny.en
    python tools/convert_whisper.py build/models/tiny.en.pt build/models/tiny.en --faster build/models/faster

Then `--asr build/models/tiny.en`, or `--asr faster-whisper:build/models/faster`. Without a network: what
the tokenizer takes comes with the package openai-whisper.
"""

import argparse
import json
import warnings
from pathlib import Path
from typing import Any

import torch
import whisper
from transformers import (
    GenerationConfig,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
    WhisperProcessor,
    WhisperTokenizer,
)
from transformers.convert_slow_tokenizer import TikTokenConverter
from whisper.tokenizer import LANGUAGES, get_tokenizer

RENAMED = {  # parts of a parameter's name, there and here, in the order in which they are replaced
    "blocks": "layers",
    "mlp.0": "fc1",
    "mlp.2": "fc2",
    "mlp_ln": "final_layer_norm",
    ".cross_attn_ln": ".encoder_attn_layer_norm",
    ".cross_attn": ".encoder_attn",
    ".attn_ln": ".self_attn_layer_norm",
    ".attn": ".self_attn",
    "_attn.query": "_attn.q_proj",
    "_attn.key": "_attn.k_proj",
    "_attn.value": "_attn.v_proj",
    "_attn.out": "_attn.out_proj",
    "decoder.ln.": "decoder.layer_norm.",
    "encoder.ln_post.": "encoder.layer_norm.",
    "token_embedding": "embed_tokens",
    "encoder.positional_embedding": "encoder.embed_positions.weight",
    "decoder.positional_embedding": "decoder.embed_positions.weight",
}


def renamed(name: str) -> str:
    """What transformers calls a parameter."""
    for there, here in RENAMED.items():
        name = name.replace(there, here)
    return f"model.{name}"


def convert(checkpoint: Path, folder: Path) -> None:
    """Write the folder that transformers loads."""
    openai = whisper.load_model(str(checkpoint), device="cpu")
    with warnings.catch_warnings():  # the package leaves its vocabulary's file to the collector
        warnings.simplefilter("ignore", ResourceWarning)
        words = get_tokenizer(openai.is_multilingual, num_languages=openai.num_languages)
    end, start = words.eot, words.sot
    dims = openai.dims
    config = WhisperConfig(
        vocab_size=dims.n_vocab,
        num_mel_bins=dims.n_mels,
        d_model=dims.n_audio_state,
        encoder_layers=dims.n_audio_layer,
        encoder_attention_heads=dims.n_audio_head,
        encoder_ffn_dim=4 * dims.n_audio_state,
        decoder_layers=dims.n_text_layer,
        decoder_attention_heads=dims.n_text_head,
        decoder_ffn_dim=4 * dims.n_text_state,
        max_source_positions=dims.n_audio_ctx,
        max_target_positions=dims.n_text_ctx,
        decoder_start_token_id=start,
        bos_token_id=end,
        eos_token_id=end,
        pad_token_id=end,
    )
    model = WhisperForConditionalGeneration(config)
    state = {renamed(name): value.float() for name, value in openai.state_dict().items()}
    model.load_state_dict(state, strict=False)  # the output layer is the embedding
    model.tie_weights()
    model.generation_config = generation(openai, words)
    model.save_pretrained(folder)
    WhisperProcessor(WhisperFeatureExtractor(feature_size=dims.n_mels), tokenizer(openai)).save_pretrained(
        folder
    )


def generation(openai: Any, words: Any) -> GenerationConfig:
    """What transformers must know of the special tokens."""
    told: dict[str, Any] = {
        "decoder_start_token_id": words.sot,
        "bos_token_id": words.eot,
        "eos_token_id": words.eot,
        "pad_token_id": words.eot,
        "no_timestamps_token_id": words.no_timestamps,
        "max_length": openai.dims.n_text_ctx,
        "is_multilingual": openai.is_multilingual,
        "begin_suppress_tokens": [*words.encode(" "), words.eot],
        "suppress_tokens": list(words.non_speech_tokens),
        "alignment_heads": openai.alignment_heads.indices().T.tolist(),
    }
    if openai.is_multilingual:
        languages = zip(words.all_language_codes, words.all_language_tokens, strict=True)
        told["lang_to_id"] = {f"<|{code}|>": token for code, token in languages}
        told["task_to_id"] = {"transcribe": words.transcribe, "translate": words.translate}
    return GenerationConfig(**told)


def tokenizer(openai: Any) -> WhisperTokenizer:
    """The tokenizer, from the vocabulary that comes with openai-whisper."""
    name = "multilingual" if openai.is_multilingual else "gpt2"
    special = ["<|endoftext|>", "<|startoftranscript|>"]
    special += [f"<|{code}|>" for code in list(LANGUAGES)[: openai.num_languages]]
    tasks = ("translate", "transcribe", "startoflm", "startofprev", "nospeech", "notimestamps")
    special += [f"<|{each}|>" for each in tasks]
    vocabulary = Path(whisper.__file__).parent / "assets" / f"{name}.tiktoken"
    converter: Any = TikTokenConverter(vocab_file=str(vocabulary), extra_special_tokens=special)
    bpe = json.loads(converter.converted().to_str())["model"]
    made = WhisperTokenizer(vocab=bpe["vocab"], merges=[tuple(pair) for pair in bpe["merges"]])
    made.add_special_tokens({"additional_special_tokens": special})
    return made


def convert_faster(folder: Path, target: Path) -> None:
    """Write the folder that faster-whisper loads, from transformers'."""
    from ctranslate2.converters import TransformersConverter

    files = ["tokenizer.json", "preprocessor_config.json"]
    present = [name for name in files if (folder / name).exists()]
    TransformersConverter(str(folder), copy_files=present).convert(str(target), force=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="Convert a Whisper .pt to a folder of transformers.")
    parser.add_argument("checkpoint", type=Path, metavar="FILE.pt")
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--faster", type=Path, metavar="FOLDER2", help="write one for faster-whisper as well")
    arguments = parser.parse_args()
    torch.set_grad_enabled(False)
    convert(arguments.checkpoint, arguments.folder)
    print(arguments.folder)
    if arguments.faster is not None:
        convert_faster(arguments.folder, arguments.faster)
        print(arguments.faster)


if __name__ == "__main__":
    main()
