"""Texts to speech from end to end: sentences, voices, streams, batches, stopping."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from llasa_helpers import CODEBOOK, Ramp, decoder, end_bias, model, prompts

from pipeline.errors import UsageError
from pipeline.llasa.generation import LocalGenerator, Request
from pipeline.llasa.loading import Loaded
from pipeline.llasa.sampling import Sampling
from pipeline.llasa.speaking import Speaker
from pipeline.llasa.voices import Voice

GREEDY = Sampling(temperature=0, max_codes=30)
LONG = "The first sentence is here. The second one follows it. And this is the third one."


class Codec(Ramp):
    """Ramp, with an encoder that gives each hop's loudness."""

    codebook_size = CODEBOOK

    def encode(self, waveforms: torch.Tensor, lengths: torch.Tensor) -> list[np.ndarray]:
        hops = [
            w[:n].unfold(0, self.hop, self.hop).abs().mean(-1)
            for w, n in zip(waveforms, lengths, strict=True)
        ]
        return [(one * CODEBOOK).clamp(max=CODEBOOK - 1).numpy().astype(np.uint16) for one in hops]


def speaker(max_tokens: int = 1024, batch: int = 4, talkative: bool = True) -> Speaker:
    loaded = Loaded(model(), prompts(), torch.device("cpu"))
    generator = LocalGenerator(loaded, batch=batch, max_tokens=max_tokens, compile=False)
    end_bias(generator.decoder, -100.0 if talkative else 0.0)
    return Speaker(generator, prompts(), Codec())


def test_long_text_is_spoken_sentence_by_sentence_each_after_the_one_before() -> None:
    made = speaker()
    seen: list[list[int]] = []
    start = made.generator.decoder.start
    made.generator.decoder.start = lambda prompts, settings: (seen.extend(prompts), start(prompts, settings))[
        1
    ]
    speech = made.speak([LONG], sampling=GREEDY)[0]
    assert len(seen) == 3
    assert len(speech.codes) == 90
    assert len(speech.waveform) == 90 * Ramp.hop
    second = Voice("The first sentence is here.", speech.codes[:30])
    assert seen[1] == second.prompt(prompts(), "The second one follows it.")
    third = Voice("The second one follows it.", speech.codes[30:60])
    assert seen[2] == third.prompt(prompts(), "And this is the third one.")


def test_texts_spoken_together_are_what_they_are_alone() -> None:
    made = speaker(batch=2)
    texts = [LONG, "Short.", "Another text. With two sentences in it."]
    together = made.speak(texts, sampling=GREEDY)
    for text, one in zip(texts, together, strict=True):
        np.testing.assert_array_equal(one.codes, made.speak([text], sampling=GREEDY)[0].codes)


def test_the_seed_that_was_drawn_gives_the_same_speech_again() -> None:
    made = speaker()
    drawn = made.speak([LONG], sampling=Sampling(max_codes=30))[0]
    again = made.speak([LONG], sampling=Sampling(max_codes=30, seed=drawn.seed))[0]
    np.testing.assert_array_equal(drawn.codes, again.codes)


def test_streamed_speech_is_the_speech_and_its_first_sound_comes_before_its_last_code() -> None:
    made = speaker()
    pieces = list(made.stream(LONG, sampling=Sampling(max_codes=100, seed=1)))
    whole = made.speak([LONG], sampling=Sampling(max_codes=100, seed=1))[0]
    np.testing.assert_array_equal(np.concatenate([one.codes for one in pieces]), whole.codes)
    np.testing.assert_allclose(np.concatenate([one.waveform for one in pieces]), whole.waveform, atol=1e-6)
    assert 0 < len(pieces[0].waveform) < len(whole.waveform) / 10


def test_a_reference_clip_is_encoded_spoken_after_and_not_heard(tmp_path: Path) -> None:
    made = speaker()
    path = tmp_path / "voice.wav"
    soundfile.write(path, np.sin(np.arange(22_050) / 20).astype(np.float32), 22_050)
    voice = made.voice_of_clip(path, "What is said.")
    assert len(voice.codes) == 50
    speech = made.speak(["Said in that voice."], sampling=GREEDY, voice=voice)[0]
    assert len(speech.waveform) == 30 * Ramp.hop
    request = Request(voice.prompt(prompts(), "Said in that voice."), GREEDY)
    np.testing.assert_array_equal(made.generator.generate([request])[0].codes, speech.codes)


def test_references_that_cannot_be_used_are_refused_in_one_sentence(tmp_path: Path) -> None:
    made = speaker()
    path = tmp_path / "long.wav"
    soundfile.write(path, np.full(16_000 * 21, 0.1, np.float32), 16_000)
    with pytest.raises(UsageError, match=r"the recording long.wav cannot be used: it lasts 21"):
        made.voice_of_clip(path, "Words")
    with pytest.raises(UsageError, match="needs its transcript"):
        made.voice_of(torch.zeros(16_000), " ")


def test_a_context_that_leaves_no_room_is_left_out() -> None:
    made = speaker(max_tokens=300)
    speech = made.speak([LONG], sampling=Sampling(temperature=0, max_codes=100))[0]
    assert len(speech.codes) == 300


def test_stopping_keeps_what_was_said_so_far() -> None:
    made = speaker()
    speech = made.speak([LONG], sampling=GREEDY, progress=lambda done, codes: codes < 40)[0]
    assert 40 <= len(speech.codes) < 60
    assert not speech.ended


def test_progress_counts_sentences_and_codes() -> None:
    told: list[tuple[int, int]] = []
    speaker().speak([LONG, "One."], sampling=GREEDY, progress=lambda *now: told.append(now) or True)
    assert told[-1] == (4, 120)
    assert [codes for _, codes in told] == sorted(codes for _, codes in told)


def test_whether_the_model_ended_by_itself_is_told() -> None:
    made = speaker()
    assert not made.speak(["Hi there."], sampling=GREEDY)[0].ended
    end_bias(made.generator.decoder, 100.0)
    silent = made.speak(["Hi there."], sampling=GREEDY)[0]
    assert silent.ended
    assert silent.seconds == 0


def test_nothing_to_say_is_refused_in_one_sentence() -> None:
    with pytest.raises(UsageError, match="there is nothing to say: the text is empty once normalised"):
        speaker().speak(["①②"], mode="ja")


def test_more_requests_than_slots_are_all_answered_in_order() -> None:
    made = decoder(slots=2)
    loaded = Loaded(made.model, prompts(), torch.device("cpu"))
    generator = LocalGenerator(loaded, batch=2, max_tokens=512, compile=False)
    requests = [Request(prompts().tokens("x" * n), GREEDY) for n in (30, 1, 20, 5, 9)]
    spoken = generator.generate(requests)
    for request, one in zip(requests, spoken, strict=True):
        np.testing.assert_array_equal(one.codes, generator.generate([request])[0].codes)
