"""The small models in the LLASA layout: real classes, deterministic, laid out as the published ones are."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import UsageError
from pipeline.llasa import tiny
from pipeline.llasa_format import layout
from pipeline.llasa_format.prompt import INSTRUCTION


def digests(folder: Path) -> dict[str, str]:
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in folder.iterdir()}


def test_the_same_seed_builds_the_same_files(tmp_path: Path) -> None:
    for name in ("one", "two"):
        tokenizer = tiny.build_tokenizer(64)
        tiny.save(tiny.build_model(tokenizer), tokenizer, tmp_path / name)
    assert digests(tmp_path / "one") == digests(tmp_path / "two")


def test_the_committed_sample_is_what_its_tool_makes(tmp_path: Path) -> None:
    sample = Path(__file__).parents[1] / "data/sample/llasa-random"
    tokenizer = tiny.build_tokenizer(65_536)
    tiny.save(tiny.build_model(tokenizer), tokenizer, tmp_path)
    for name in ("model.safetensors", "tokenizer.json", "chat_template.jinja"):
        assert digests(tmp_path)[name] == digests(sample)[name]


def test_markers_and_codes_follow_the_text_vocabulary_in_the_published_order() -> None:
    tokenizer = tiny.build_tokenizer(64)
    first = tokenizer.convert_tokens_to_ids(layout.MARKERS[0])
    published = [*layout.MARKERS, *map(layout.code_token, range(64))]
    assert tokenizer.convert_tokens_to_ids(published) == list(range(first, first + 72))
    assert len(tokenizer) == first + 72


def test_code_tokens_in_a_string_are_one_token_each() -> None:
    tokenizer = tiny.build_tokenizer(64)
    ids = tokenizer.encode("é<|s_3|><|s_63|>", add_special_tokens=False)
    assert ids[-2:] == tokenizer.convert_tokens_to_ids(["<|s_3|>", "<|s_63|>"])
    assert tokenizer.decode(ids) == "é<|s_3|><|s_63|>"


def test_a_learned_text_vocabulary_makes_prompts_shorter() -> None:
    plain = tiny.build_tokenizer(8)
    learned = tiny.build_tokenizer(8, text_vocabulary=300, corpus=[INSTRUCTION] * 10)
    assert len(learned.encode(INSTRUCTION)) < len(plain.encode(INSTRUCTION)) / 2
    assert learned.decode(learned.encode("日本 text")) == "日本 text"


def test_layout_is_read_from_the_tokenizer() -> None:
    tokenizer = tiny.build_tokenizer(64)
    found = layout.read_layout(tokenizer, 64, "tiny")
    assert tokenizer.convert_ids_to_tokens(found.speech_end) == layout.SPEECH_END
    codes = np.array([0, 63], dtype=np.uint16)
    assert tokenizer.convert_ids_to_tokens(found.tokens_of(codes)) == ["<|s_0|>", "<|s_63|>"]


def test_a_vocabulary_without_the_codecs_codes_is_refused_in_one_sentence() -> None:
    with pytest.raises(UsageError, match=r"tiny has no token <\|s_64\|>.*--codec"):
        layout.read_layout(tiny.build_tokenizer(64), 65, "tiny")
