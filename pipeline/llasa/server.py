"""Generates over an OpenAI-compatible endpoint: vLLM, SGLang, TensorRT-LLM, llama.cpp, `transformers serve`.

The model is elsewhere. The tokenizer is needed here, to write prompts and to cut them as the server will.
"""

from __future__ import annotations

import http.client
import json
import re
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from pipeline.errors import UsageError
from pipeline.llasa.generation import FIRST_PIECE, NEXT_PIECES, Request, Spoken, Watch
from pipeline.llasa_format.layout import SPEECH_END

CODE = re.compile(r"<\|s_(\d+)\|>")
CONNECTIONS = 64  # requests under way at once; the server batches them
TIMEOUT = 600.0  # seconds without a byte
# Fields beyond OpenAI's own, as vLLM and SGLang name them; servers that refuse them get the request without.
EXTENSIONS = ("top_k", "repetition_penalty", "skip_special_tokens", "stop_token_ids")


class ServerGenerator:
    """See `generation.Generator`; the server's own settings decide how it batches, quantises and compiles."""

    def __init__(
        self,
        url: str,
        tokenizer: Any,
        *,
        codebook_size: int,
        model: str | None = None,
        max_tokens: int = 2048,
    ) -> None:
        """Connect to `url`, up to and with `/v1`, or the host alone.

        Raises UsageError if no such server answers there.
        """
        self.url = url.rstrip("/").removesuffix("/completions").removesuffix("/v1") + "/v1"
        self.max_tokens = max_tokens
        self._tokenizer, self._codebook_size = tokenizer, codebook_size
        self._stop_id = tokenizer.convert_tokens_to_ids(SPEECH_END)
        self._takes_extensions = True
        self.model = model or self._first_model()

    def generate(self, requests: Sequence[Request], watch: Watch | None = None) -> list[Spoken]:
        """See `Generator.generate`. All requests are sent at once; stopped, each keeps what it has said."""
        said = [0] * len(requests)
        going = True

        def one(row: int) -> Spoken:
            request = requests[row]
            seed = request.sampling.seeded().seed or 0
            pieces = []
            ended = True
            for piece in self._pieces(request, seed):
                pieces.append(piece)
                said[row] += len(piece)
                if not going:
                    ended = False
                    break
            codes = np.concatenate([np.empty(0, np.uint16), *pieces])[: request.sampling.max_codes]
            return Spoken(codes, ended and len(codes) < request.sampling.max_codes, seed)

        with ThreadPoolExecutor(min(CONNECTIONS, max(1, len(requests)))) as pool:
            futures = [pool.submit(one, row) for row in range(len(requests))]
            for future in futures:
                while going and watch is not None and not _done(future):
                    going = watch(sum(said))
            return [future.result() for future in futures]

    def stream(self, request: Request, watch: Watch | None = None) -> Iterator[np.ndarray]:
        """See `Generator.stream`."""
        held: list[np.ndarray] = []
        heard, wanted = 0, FIRST_PIECE
        for piece in self._pieces(request, request.sampling.seeded().seed or 0):
            held.append(piece)
            size = sum(map(len, held))
            if size >= wanted:
                yield np.concatenate(held)
                held, heard, wanted = [], heard + size, NEXT_PIECES
            if watch is not None and not watch(heard + sum(map(len, held))):
                break
        if held:
            yield np.concatenate(held)

    def warm_up(self, request: Request) -> None:
        """Do nothing: warming up is the server's business."""

    def _pieces(self, request: Request, seed: int) -> Iterator[np.ndarray]:
        """Yield codes as the server sends them; a token's text may come in parts."""
        rest = ""
        for text in self._texts(self._body(request, seed)):
            rest += text
            ended = SPEECH_END in rest
            rest = rest.split(SPEECH_END)[0]
            found = list(CODE.finditer(rest))
            if found:
                codes = np.array([int(match[1]) for match in found], dtype=np.int64)
                yield codes[codes < self._codebook_size].astype(np.uint16)
                rest = rest[found[-1].end() :]
            if ended:
                return

    def _body(self, request: Request, seed: int) -> dict[str, Any]:
        sampling = request.sampling
        room = self.max_tokens - len(request.prompt)
        if room < 1:
            raise UsageError(
                f"text and reference take {len(request.prompt)} tokens and the model reads "
                f"{self.max_tokens}: shorten them"
            )
        body = {
            "model": self.model,
            "prompt": self._spelled(request.prompt),
            "max_tokens": min(sampling.max_codes, room),
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "seed": seed,
            "stop": [SPEECH_END],
            "stream": True,
        }
        extensions = {
            "top_k": sampling.top_k or -1,
            "repetition_penalty": sampling.repetition_penalty,
            "skip_special_tokens": False,
            "stop_token_ids": [self._stop_id],
        }
        return body | (extensions if self._takes_extensions else {})

    def _spelled(self, ids: list[int]) -> str | list[int]:
        """Return the prompt as text if the server would tokenise it alike, else as tokens."""
        text = self._tokenizer.decode(ids)
        begin = self._tokenizer.bos_token or ""
        for candidate in (text.removeprefix(begin), text):
            if self._tokenizer.encode(candidate) == ids:
                return str(candidate)
        return ids

    def _texts(self, body: dict[str, Any]) -> Iterator[str]:
        try:
            yield from _events(self._post(body))
        except urllib.error.HTTPError as error:
            if error.code not in (400, 422) or not any(name in body for name in EXTENSIONS):
                raise self._refused(error) from error
            self._takes_extensions = False
            yield from self._texts({key: value for key, value in body.items() if key not in EXTENSIONS})
        except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
            raise self._unreachable(error) from error

    def _post(self, body: dict[str, Any]) -> http.client.HTTPResponse:
        request = urllib.request.Request(
            f"{self.url}/completions",
            data=json.dumps(body).encode(),
            headers={"Content-Type": "application/json", "Accept": "text/event-stream"},
        )
        return urllib.request.urlopen(request, timeout=TIMEOUT)  # type: ignore[no-any-return]

    def _first_model(self) -> str:
        try:
            with urllib.request.urlopen(f"{self.url}/models", timeout=30) as response:
                return str(json.load(response)["data"][0]["id"])
        except (OSError, http.client.HTTPException, ValueError, LookupError) as error:
            raise self._unreachable(error) from error

    def _unreachable(self, error: Exception) -> UsageError:
        return UsageError(
            f"no completions endpoint answers at {self.url} ({error}): start the server, or mend --server"
        )

    def _refused(self, error: urllib.error.HTTPError) -> UsageError:
        said = " ".join(error.read(300).decode(errors="replace").split())
        return UsageError(f"the server at {self.url} refused the request ({error.code}): {said}")


def _events(response: http.client.HTTPResponse) -> Iterator[str]:
    """Yield the texts of a stream of server-sent events."""
    with response:
        for line in _lines(response):
            if not line.startswith("data:"):
                continue
            data = line[5:].strip()
            if data == "[DONE]":
                return
            event = json.loads(data)
            if "error" in event:
                raise UsageError(f"the server stopped with an error: {event['error']}")
            yield "".join(choice.get("text") or "" for choice in event.get("choices", []))


def _lines(response: Iterable[bytes]) -> Iterator[str]:
    for line in response:
        yield line.decode("utf-8", errors="replace")


def _done(future: Any) -> bool:
    from concurrent.futures import TimeoutError as NotYet

    try:
        future.exception(timeout=0.1)
    except NotYet:
        return False
    return True
