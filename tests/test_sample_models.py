"""The trained models of data/sample: what its README claims, measured again on what is shipped."""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile
from safetensors import safe_open

from pipeline.codec import load_codec
from pipeline.codec.protocol import Codec
from pipeline.config import CodecSettings
from pipeline.llasa.loading import ModelSettings
from pipeline.llasa.sampling import Sampling
from pipeline.llasa.speaking import Speech, open_speaker

ROOT = Path(__file__).resolve().parents[1]
SAMPLE = ROOT / "data" / "sample"
sys.path.insert(0, str(ROOT / "tools"))

import fetch_whisper  # noqa: E402
from sample_models import prompts, scores, scoring, spoken_texts  # noqa: E402

CLAIMS = json.loads((SAMPLE / "scores.json").read_text(encoding="utf-8"))


@dataclass(frozen=True)
class HeldOut:
    texts: list[str]
    sources: list[np.ndarray]
    made: list[np.ndarray]


@pytest.fixture(scope="module")
def codec() -> Codec:
    return load_codec(CodecSettings(name=str(SAMPLE / "codec"), device="cpu"))


@pytest.fixture(scope="module")
def judge() -> scores.Judge:
    if not fetch_whisper.DEFAULT.exists():
        pytest.skip("needs Whisper tiny.en: run python tools/fetch_whisper.py")
    return scores.Judge(fetch_whisper.DEFAULT)


@pytest.fixture(scope="module")
def held_out(codec: Codec) -> HeldOut:
    lines = (SAMPLE / "heldout" / "transcripts.txt").read_text(encoding="utf-8").splitlines()
    names, texts = zip(*(line.split(":", 1) for line in lines), strict=True)
    clips = [soundfile.read(SAMPLE / "heldout" / f"{name}.flac", dtype="float32")[0] for name in names]
    return HeldOut(list(texts), clips, scoring.round_trip(codec, clips))


@pytest.fixture(scope="module")
def speeches(codec: Codec) -> list[Speech]:
    speaker = open_speaker(ModelSettings(name=str(SAMPLE / "llasa"), max_tokens=1024, device="cpu"), codec)
    texts = [spoken["text"] for spoken in CLAIMS["llasa, trained texts"]["transcripts"][:8]]
    return speaker.speak(texts, sampling=Sampling(seed=scoring.SEED, max_codes=500))


@pytest.mark.parametrize("model", ["codec", "llasa"])
def test_the_weights_are_float16_and_at_most_12_megabytes(model: str) -> None:
    weights = SAMPLE / model / "model.safetensors"
    assert weights.stat().st_size <= 12_000_000
    with safe_open(weights, framework="pt") as tensors:
        assert {tensors.get_slice(name).get_dtype() for name in tensors.keys()} == {"F16"}  # noqa: SIM118


@pytest.mark.parametrize("model", ["codec", "llasa"])
def test_the_card_says_that_it_is_a_demonstration_and_under_what_licence(model: str) -> None:
    card = (SAMPLE / model / "README.md").read_text(encoding="utf-8")
    assert "demonstration" in card
    assert "not for use" in card
    assert "license: cc-by-sa-3.0" in card
    assert "Allison Smith" in card


def test_held_out_prompts_keep_their_shape_through_the_codec(held_out: HeldOut) -> None:
    pairs = zip(held_out.sources, held_out.made, strict=True)
    assert np.mean([scores.intelligibility(source, made) for source, made in pairs]) >= 0.80


def test_held_out_prompts_are_understood_after_the_codec(held_out: HeldOut, judge: scores.Judge) -> None:
    source = scores.wer(judge.hear(held_out.sources), held_out.texts)
    made = scores.wer(judge.hear(held_out.made), held_out.texts)
    assert made <= source + 0.10


def test_the_llasa_says_its_training_prompts(speeches: Sequence[Speech], judge: scores.Judge) -> None:
    heard = judge.hear([speech.waveform for speech in speeches])
    assert scores.wer(heard, [speech.text for speech in speeches]) <= 0.25


def test_the_llasa_ends_by_itself(speeches: Sequence[Speech]) -> None:
    assert all(speech.ended for speech in speeches)


def test_the_readme_gives_the_scores_that_were_measured() -> None:
    readme = (SAMPLE / "README.md").read_text(encoding="utf-8")
    for claimed in CLAIMS.values():
        assert f"{claimed['wer']:.3f}" in readme
        assert f"{claimed['distill_mos']:.2f}" in readme
    assert f"{CLAIMS['codec']['stoi']:.3f}" in readme
    assert f"{CLAIMS['codec']['source_wer']:.3f}" in readme


def prompt(name: str, text: str, seconds: float = 3.0) -> prompts.Prompt:
    return prompts.Prompt(name, text, np.zeros(round(seconds * prompts.SAMPLE_RATE), np.float32))


def test_no_held_out_text_is_also_trained_on() -> None:
    repeated = [prompt("a", "Press one to go back."), prompt("b", "press one, to go back")]
    rest = [prompt(f"c{number}", f"This is sentence number {number}.") for number in range(30)]
    training, held_out = prompts.split([*repeated, *rest])
    assert len(held_out) == prompts.HELD_OUT
    assert not {p.name for p in held_out} & {p.name for p in training}
    assert not {"a", "b"} & {p.name for p in held_out}


def test_what_is_held_out_does_not_depend_on_the_order_of_the_prompts() -> None:
    listed = [prompt(f"c{number}", f"This is sentence number {number}.") for number in range(30)]
    assert {p.name for p in prompts.split(listed)[1]} == {p.name for p in prompts.split(listed[::-1])[1]}


def test_recombined_sentences_are_not_training_prompts() -> None:
    spoken = {text.lower() for text in spoken_texts.RECOMBINED}
    assert len(spoken) == len(CLAIMS["llasa, recombined texts"]["transcripts"])
    lines = (SAMPLE / "transcripts.txt").read_text(encoding="utf-8").lower().splitlines()
    assert not spoken & {line.split(":", 1)[1].strip() for line in lines}
