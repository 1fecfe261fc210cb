"""Generation over an OpenAI-compatible endpoint: `transformers serve`, and a server of another make."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from llasa_helpers import CODEBOOK, Ramp, layout, prompts, tokenizer
from ui_helpers import free_port

from pipeline.errors import UsageError
from pipeline.llasa import tiny
from pipeline.llasa.generation import Request
from pipeline.llasa.loading import ModelSettings
from pipeline.llasa.sampling import Sampling
from pipeline.llasa.server import ServerGenerator
from pipeline.llasa.speaking import open_speaker
from pipeline.llasa_format.layout import SPEECH_END, code_token

GREEDY = Sampling(temperature=0, max_codes=20, seed=0)


def generator(url: str, **others: Any) -> ServerGenerator:
    return ServerGenerator(url, tokenizer(), codebook_size=CODEBOOK, max_tokens=512, **others)


@pytest.fixture(scope="module")
def transformers_serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    for package in ("openai", "fastapi", "uvicorn"):
        pytest.importorskip(package)
    folder = tmp_path_factory.mktemp("served") / "tiny"
    model = tiny.build_model(tokenizer(), hidden=32, heads=4, kv_heads=2)
    with torch.no_grad():  # words are not likely, so that it speaks, as a trained one does
        model.model.embed_tokens.weight[: layout().code_ids[0]] *= 0.1
    tiny.save(model, tokenizer(), folder)
    port = free_port()
    command = [Path(sys.executable).parent / "transformers", "serve", folder, "--port", str(port)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    server = subprocess.Popen(
        [*command, "--dtype", "float32", "--device", "cpu"],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    address = f"http://127.0.0.1:{port}"
    wait_for(f"{address}/health", server)
    yield address, folder
    server.kill()
    server.wait()


def wait_for(url: str, server: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 120
    while time.monotonic() < end and server.poll() is None:
        try:
            with urllib.request.urlopen(url):
                return
        except OSError:
            threading.Event().wait(0.3)
    raise AssertionError(f"nothing answers at {url}")


def test_a_real_server_says_what_its_model_says(transformers_serve: tuple[str, Path]) -> None:
    from transformers import AutoModelForCausalLM

    address, folder = transformers_serve
    remote = generator(address, model=str(folder))
    prompt = prompts().tokens("Hello there.")
    spoken = remote.generate([Request(prompt, GREEDY), Request(prompts().tokens("You too."), GREEDY)])
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    ids = model.generate(torch.tensor([prompt]), max_new_tokens=20, do_sample=False)[0, len(prompt) :]
    text = tokenizer().decode(ids).split(SPEECH_END)[0]
    expected = [int(code) for code in re.findall(r"<\|s_(\d+)\|>", text)]
    assert expected
    assert spoken[0].codes.tolist() == expected
    assert len(spoken) == 2
    streamed = list(remote.stream(Request(prompt, GREEDY)))
    np.testing.assert_array_equal(np.concatenate([np.empty(0, np.uint16), *streamed]), spoken[0].codes)


class Endpoint(BaseHTTPRequestHandler):
    """Speaks the codes that its server is given, a few characters an event, and notes what it is asked."""

    server: Any

    def do_GET(self) -> None:
        self._answer(200, json.dumps({"data": [{"id": "llasa"}]}).encode())

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append(body)
        if self.server.strict and "top_k" in body:
            self._answer(422, b'{"error": "unknown field top_k"}')
            return
        if self.server.broken:
            self._answer(500, b"out of memory")
            return
        text = self.server.text
        pieces = [text[start : start + 5] for start in range(0, len(text), 5)]
        events = [f"data: {json.dumps({'choices': [{'text': piece}]})}\n\n" for piece in pieces]
        self._answer(200, "".join([*events, "data: [DONE]\n\n"]).encode())

    def _answer(self, status: int, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def endpoint() -> Iterator[Any]:
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)
    server.asked, server.strict, server.broken = [], False, False
    server.text = "".join(map(code_token, (1, 2, 63, 4))) + SPEECH_END + code_token(9)
    server.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_codes_are_read_across_events_and_cut_at_end(endpoint: Any) -> None:
    spoken = generator(endpoint.address).generate([Request(prompts().tokens("Hi"), GREEDY)])[0]
    assert spoken.codes.tolist() == [1, 2, 63, 4]
    assert spoken.ended


def test_the_server_is_told_all_settings_and_a_prompt_that_it_cuts_into_the_same_tokens(
    endpoint: Any,
) -> None:
    ids = prompts().tokens("Hi")
    sampling = Sampling(0.7, 0.9, 30, 1.2, 50, seed=5)
    generator(f"{endpoint.address}/v1/").generate([Request(ids, sampling)])
    asked = endpoint.asked[0]
    assert tokenizer().encode(asked.pop("prompt")) == ids
    stop = tokenizer().convert_tokens_to_ids(SPEECH_END)
    assert asked == {
        "model": "llasa",
        "max_tokens": 50,
        "temperature": 0.7,
        "top_p": 0.9,
        "seed": 5,
        "stop": [SPEECH_END],
        "stream": True,
        "top_k": 30,
        "repetition_penalty": 1.2,
        "skip_special_tokens": False,
        "stop_token_ids": [stop],
    }


def test_a_speaker_speaks_through_a_server_with_the_tokenizer_that_is_here(
    endpoint: Any, tmp_path: Path
) -> None:
    tokenizer().save_pretrained(tmp_path)  # no weights: those are the server's
    speaker = open_speaker(ModelSettings(name=str(tmp_path)), Ramp(), server=endpoint.address)
    speech = speaker.speak(["Hi."], sampling=GREEDY)[0]
    assert speech.codes.tolist() == [1, 2, 63, 4]
    assert len(speech.waveform) == 4 * Ramp.hop


def test_a_server_that_knows_openais_fields_only_is_asked_with_those(endpoint: Any) -> None:
    endpoint.strict = True
    remote = generator(endpoint.address)
    for _ in range(2):
        assert len(remote.generate([Request(prompts().tokens("Hi"), GREEDY)])[0].codes) == 4
    assert ["top_k" in asked for asked in endpoint.asked] == [True, False, False]


def test_many_requests_are_under_way_at_once_and_answered_in_order(endpoint: Any) -> None:
    told: list[int] = []
    requests = [Request(prompts().tokens(f"Line {n}"), GREEDY) for n in range(20)]
    spoken = generator(endpoint.address).generate(requests, lambda codes: told.append(codes) or True)
    assert [len(one.codes) for one in spoken] == [4] * 20


def test_a_server_that_refuses_is_quoted_in_one_sentence(endpoint: Any) -> None:
    endpoint.broken = True
    with pytest.raises(UsageError, match=r"refused the request \(500\): out of memory"):
        generator(endpoint.address).generate([Request(prompts().tokens("Hi"), GREEDY)])


def test_no_server_is_one_sentence() -> None:
    with pytest.raises(UsageError, match=r"no completions endpoint answers at http://127\.0\.0\.1:\d+/v1"):
        generator(f"http://127.0.0.1:{free_port()}")
