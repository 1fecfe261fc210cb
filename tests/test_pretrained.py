"""Folders that strangers made: whatever is wrong with them is one sentence, and nothing of theirs runs."""

from __future__ import annotations

import json
import pickle
import resource
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from codec_helpers import SAMPLE as CODEC
from llasa_helpers import CODEBOOK, tokenizer
from safetensors.torch import load_file, save_file

from pipeline.__main__ import main
from pipeline.codec import load_codec
from pipeline.config import CodecSettings
from pipeline.errors import UsageError
from pipeline.llasa import tiny
from pipeline.llasa.loading import ModelSettings, load
from pipeline.llasa_format.chat_template import render_ids
from pipeline.llasa_format.prompt import read_prompt_format
from pipeline.llasa_format.tokenizer import load_tokenizer
from pipeline.pretrained.torch_files import check_whisper_file
from pipeline.recognise.loading import open_recogniser

Damage = Callable[[Path], object]
SMALL = 400 * 2**20  # bytes that refusing a folder may take at most; loading torch's parts included


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    tiny.save(tiny.build_model(tokenizer(), hidden=32, heads=4, kv_heads=2), tokenizer(), folder)
    return folder


@pytest.fixture
def model(whole: Path, tmp_path: Path) -> Path:
    return shutil.copytree(whole, tmp_path / "model")


@pytest.fixture
def codec(tmp_path: Path) -> Path:
    return shutil.copytree(CODEC, tmp_path / "codec")


def written(name: str, content: str | bytes) -> Damage:
    data = content.encode() if isinstance(content, str) else content
    return lambda folder: (folder / name).write_bytes(data)


def with_values(name: str, **values: Any) -> Damage:
    def change(folder: Path) -> None:
        path = folder / name
        path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | values), encoding="utf-8")

    return change


def cut(name: str, share: float) -> Damage:
    def change(folder: Path) -> None:
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: int(len(content) * share)])

    return change


def without(key: str) -> Damage:
    def change(folder: Path) -> None:
        tensors = load_file(folder / "model.safetensors")
        del tensors[next(name for name in tensors if key in name)]
        save_file(tensors, folder / "model.safetensors", {"format": "pt"})

    return change


def no_tensors(folder: Path) -> None:
    save_file({}, folder / "model.safetensors", {"format": "pt"})


EITHER: dict[str, Damage] = {
    "config no JSON": written("config.json", "{no json"),
    "config a list": written("config.json", "[1, 2]"),
    "config a number": written("config.json", "7"),
    "config empty": written("config.json", ""),
    "config not UTF-8": written("config.json", b"\xff\xfe\x00{"),
    "config nested deep": written("config.json", "[" * 100_000),
    "config with a number of 5,000 digits": written("config.json", '{"hidden_size": ' + "9" * 5_000 + "}"),
    "config of an unknown kind": with_values("config.json", model_type="no_such_model"),
    "config of a kind that is no text": with_values("config.json", model_type=["llama"]),
    "weights empty": written("model.safetensors", b""),
    "weights cut short": cut("model.safetensors", 0.6),
    "weights cut in the header": cut("model.safetensors", 0.0005),
    "weights with a header of 2**63 bytes": written("model.safetensors", b"\xff" * 7 + b"\x7f{}"),
    "weights no safetensors": written("model.safetensors", b"\x00" * 4096),
    "no weights": lambda folder: (folder / "model.safetensors").unlink(),
    "weights without tensors": no_tensors,
    "an index that is a list": written("model.safetensors.index.json", "[]"),
    "an index into another folder": written(
        "model.safetensors.index.json", '{"weight_map": {"x": "../../secret.safetensors"}}'
    ),
    "an index of files that are not there": written(
        "model.safetensors.index.json", '{"weight_map": {"x": "a.safetensors"}}'
    ),
}

LLASA: dict[str, Damage] = {
    "10**9 layers": with_values("config.json", num_hidden_layers=10**9),
    "10**400 layers": with_values("config.json", num_hidden_layers=10**400),
    "-1 layers": with_values("config.json", num_hidden_layers=-1),
    "layers in words": with_values("config.json", num_hidden_layers="many"),
    "half a layer": with_values("config.json", num_hidden_layers=1.5),
    "900 layers": with_values("config.json", num_hidden_layers=900),
    "absurd width": with_values("config.json", hidden_size=2**31),
    "wide layers": with_values("config.json", intermediate_size=2**30),
    "absurd vocabulary": with_values("config.json", vocab_size=2**38),
    "no heads": with_values("config.json", num_attention_heads=0),
    "no key heads": with_values("config.json", num_key_value_heads=0),
    "10**9 heads": with_values("config.json", num_attention_heads=10**9),
    "unknown rope": with_values("config.json", rope_parameters={"rope_type": "knot", "rope_theta": "x"}),
    "unknown activation": with_values("config.json", hidden_act="no_such_act"),
    "code of its own": with_values(
        "config.json", model_type="own", auto_map={"AutoModelForCausalLM": "own.Own", "AutoConfig": "own.C"}
    ),
    "no Llama": with_values("config.json", model_type="gpt2", architectures=["GPT2LMHeadModel"]),
    "a lost layer": without("layers.1.mlp"),
    "tokenizer no JSON": written("tokenizer.json", "{"),
    "tokenizer a list": written("tokenizer.json", "[]"),
    "tokenizer without a model": written("tokenizer.json", "{}"),
    "tokenizer of code of its own": with_values(
        "tokenizer_config.json", tokenizer_class="Own", auto_map={"AutoTokenizer": ["own.Own", None]}
    ),
    "no tokenizer": lambda folder: [path.unlink() for path in folder.glob("tokenizer*")],
    "generation settings a list": written("generation_config.json", "[]"),
    "an adapter without a base": written("adapter_config.json", '{"base_model_name_or_path": 7}'),
    "an adapter of itself": written("adapter_config.json", '{"base_model_name_or_path": "."}'),
}

CODECS: dict[str, Damage] = {
    "10**9 layers": with_values("config.json", num_hidden_layers=10**9),
    "absurd width": with_values("config.json", hidden_size=2**31),
    "sizes in words": with_values("config.json", hidden_size="wide"),
    "an extractor that is a list": written("preprocessor_config.json", "[]"),
    "an extractor with absurd sizes": with_values("preprocessor_config.json", feature_size=2**41),
    "a lost key": without("semantic"),
    "the authors' layout with odd shapes": lambda folder: save_file(
        {
            "semantic_model.encoder.layers.0.self_attn.distance_embedding.weight": torch.zeros(2),
            "CodecEnc.x": torch.zeros(()),
        },
        folder / "model.safetensors",
    ),
}


@pytest.fixture(autouse=True)
def _asks_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("the user was asked something"))


def refuses(load_it: Callable[[], object]) -> str:
    """The one sentence with which something is refused, in little memory and time."""
    before, started = peak(), time.monotonic()
    with pytest.raises(UsageError) as caught:
        load_it()
    assert peak() - before < SMALL
    assert time.monotonic() - started < 60
    assert "\n" not in str(caught.value)
    return str(caught.value)


def peak() -> int:
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


@pytest.mark.parametrize("damage", [*EITHER.values(), *LLASA.values()], ids=[*EITHER, *LLASA])
def test_a_llasa_folder_that_is_damaged_or_hostile_is_one_sentence(model: Path, damage: Damage) -> None:
    damage(model)
    said = refuses(lambda: load(ModelSettings(name=str(model), device="cpu"), CODEBOOK))
    assert str(model) in said or "model" in said


@pytest.mark.parametrize("damage", [*EITHER.values(), *CODECS.values()], ids=[*EITHER, *CODECS])
def test_a_codec_folder_that_is_damaged_or_hostile_is_one_sentence(codec: Path, damage: Damage) -> None:
    damage(codec)
    refuses(lambda: load_codec(CodecSettings(name=str(codec), device="cpu")))


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}", "too much time"),
        ("{{ 'a' * 10 ** 11 }}", "MemoryError"),
        ("{{ 'a' * 10 ** 7 }}", "10,000,000 characters"),
        ("{{ raise_exception('no') }}", r"fails \(TemplateError: no\)"),
        ("{{ ''.__class__.__mro__[1].__subclasses__() }}", "fails"),
        ("{{ cycler.__init__.__globals__.os.system('touch owned') }}", "fails"),
        ("hello", "does not keep the markers"),
        ("", None),
    ],
)
def test_a_hostile_chat_template_is_one_sentence_and_runs_apart(
    model: Path, template: str, words: str | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    (model / "chat_template.jinja").write_text(template, encoding="utf-8")
    found = load_tokenizer(str(model))
    if words is None:  # no template: a model of bare rows
        assert read_prompt_format(found, CODEBOOK, "it").opening == ()
        return
    with pytest.raises(UsageError, match=words):
        read_prompt_format(found, CODEBOOK, "it")
    assert not (tmp_path / "owned").exists()


def test_a_template_rendered_apart_gives_what_transformers_gives() -> None:
    turns = [{"role": "user", "content": "Hi <|s_1|>"}, {"role": "assistant", "content": "é"}]
    expected = tokenizer().apply_chat_template(turns, return_dict=False, date_string="1 May 2025")
    assert render_ids(tokenizer(), turns, "tiny", date_string="1 May 2025") == expected


def adapter(base: Path, folder: Path) -> Path:
    peft = pytest.importorskip("peft")
    from transformers import AutoModelForCausalLM

    config = peft.LoraConfig(r=4, target_modules=["q_proj"])
    peft.get_peft_model(AutoModelForCausalLM.from_pretrained(base), config).save_pretrained(folder)
    return folder


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")
@pytest.mark.parametrize(
    "damage",
    [
        with_values("adapter_config.json", r=10**9),
        with_values("adapter_config.json", r="all"),
        with_values("adapter_config.json", rank_pattern={"q_proj": 10**6}),
        with_values("adapter_config.json", peft_type="NO_SUCH"),
        with_values("adapter_config.json", target_modules=["no_such_proj"]),
        with_values("adapter_config.json", base_model_name_or_path="./nowhere"),
        cut("adapter_model.safetensors", 0.5),
        lambda folder: (folder / "adapter_model.safetensors").unlink(),
    ],
)
def test_an_adapter_that_is_damaged_or_hostile_is_one_sentence(
    whole: Path, tmp_path: Path, damage: Damage
) -> None:
    folder = adapter(whole, tmp_path / "adapter")
    damage(folder)
    refuses(lambda: load(ModelSettings(name=str(folder), device="cpu"), CODEBOOK))


class Runs:
    """A pickle of this writes a file when it is read by a careless reader."""

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("owned"),)


def whisper_file(path: Path, content: object) -> Path:
    torch.save(content, path)
    return path


DIMS = {"n_mels": 80, "n_audio_ctx": 8, "n_audio_state": 8, "n_audio_head": 1, "n_audio_layer": 1} | {
    "n_vocab": 100, "n_text_ctx": 8, "n_text_state": 8, "n_text_head": 1, "n_text_layer": 1
}  # fmt: skip


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no torch file",
        pickle.dumps(Runs()),
        [1, 2],
        {"dims": 7, "model_state_dict": {}},
        {"dims": DIMS},
        {"dims": DIMS | {"n_text_layer": 10**9}, "model_state_dict": {}},
        {"dims": DIMS | {"n_audio_state": 2**31}, "model_state_dict": {}},
        {"dims": DIMS | {"n_vocab": "all"}, "model_state_dict": {}},
        Runs(),
    ],
    ids=lambda content: type(content).__name__,
)
def test_a_recogniser_that_is_none_is_one_sentence_and_does_not_run(
    tmp_path: Path, content: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "asr.pt"
    path.write_bytes(content) if isinstance(content, bytes) else whisper_file(path, content)
    said = refuses(lambda: open_recogniser(str(path), "cpu"))
    assert "asr.pt" in said
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize(
    "content",
    ["[]", '{"model_type": "whisper", "encoder_layers": 1000000000}', '{"model_type": ["whisper"]}'],
)
def test_a_folder_of_a_recogniser_that_is_none_is_one_sentence(tmp_path: Path, content: str) -> None:
    (tmp_path / "config.json").write_text(content, encoding="utf-8")
    refuses(lambda: open_recogniser(str(tmp_path), "cpu"))


def test_a_recogniser_that_is_one_passes(tmp_path: Path) -> None:
    check_whisper_file(whisper_file(tmp_path / "asr.pt", {"dims": DIMS, "model_state_dict": {}}))


def test_a_hostile_model_ends_the_command_with_one_line_and_status_2(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    LLASA["code of its own"](model)
    (model / "own.py").write_text(f"open({str(tmp_path / 'owned')!r}, 'w')", encoding="utf-8")
    out = str(tmp_path / "x.wav")
    assert main(["speak", "Hi", "-o", out, "--model", str(model), "--codec", "fake:", "--device", "cpu"]) == 2
    said = capsys.readouterr()
    assert len(said.err.strip().splitlines()) == 1
    assert "run the custom code" not in said.out + said.err
    assert not (tmp_path / "owned").exists()
