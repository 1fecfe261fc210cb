"""Generates over an OpenAI-compatible endpoint: vLLM, SGLang, TensorRT-LLM, llama.cpp, `transformers serve`.

The model is elsewhere. The tokenizer is needed here, to write prompts and to cut them as the server will.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

import numpy as np

from pipeline.errors import MissingPackage, UsageError
from pipeline.llasa.generation import FIRST_PIECE, NEXT_PIECES, Request, Spoken, Watch
from pipeline.llasa_format.layout import SPEECH_END

CODE = re.compile(r"<\|s_(\d+)\|>")
CONNECTIONS = 64  # requests under way at once; the server batches them
TIMEOUT = 600.0  # seconds without a byte


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
        try:
            import openai
        except ImportError as error:
            raise MissingPackage("openai", "tts", "--server") from error
        self._openai: Any = openai
        self.url = url.rstrip("/").removesuffix("/completions").removesuffix("/v1") + "/v1"
        self.max_tokens = max_tokens
        self._tokenizer, self._codebook_size = tokenizer, codebook_size
        self._stop_id = tokenizer.convert_tokens_to_ids(SPEECH_END)
        self._takes_extensions = True
        key = os.environ.get("OPENAI_API_KEY", "none")  # servers at home ask for none, and the client for one
        self._client = openai.OpenAI(base_url=self.url, api_key=key, timeout=TIMEOUT, max_retries=0)
        self.model = model or self._first_model()

    def generate(self, requests: Sequence[Request], watch: Watch | None = None) -> list[Spoken]:
        """See `Generator.generate`. All requests are sent at once; stopped, each keeps what it has said."""
        said = [0] * len(requests)
        going = True

        def one(row: int) -> Spoken:
            sampling = requests[row].sampling.seeded()
            pieces = [np.empty(0, np.uint16)]
            for piece in self._pieces(requests[row], sampling.seed or 0):
                pieces.append(piece)
                said[row] += len(piece)
                if not going:
                    break
            codes = np.concatenate(pieces)[: sampling.max_codes]
            return Spoken(codes, going and len(codes) < sampling.max_codes, sampling.seed or 0)

        with ThreadPoolExecutor(min(CONNECTIONS, max(1, len(requests)))) as pool:
            futures = [pool.submit(one, row) for row in range(len(requests))]
            while watch is not None and going and wait(futures, timeout=0.1).not_done:
                going = watch(sum(said))
            return [future.result() for future in futures]

    def stream(self, request: Request, watch: Watch | None = None) -> Iterator[np.ndarray]:
        """See `Generator.stream`."""
        held = np.empty(0, np.uint16)
        heard, wanted = 0, FIRST_PIECE
        for piece in self._pieces(request, request.sampling.seeded().seed or 0):
            held = np.concatenate([held, piece])
            if len(held) >= wanted:
                yield held
                held, heard, wanted = held[:0], heard + len(held), NEXT_PIECES
            if watch is not None and not watch(heard + len(held)):
                break
        if len(held):
            yield held

    def warm_up(self, request: Request) -> None:
        """Do nothing: warming up is the server's business."""

    def _pieces(self, request: Request, seed: int) -> Iterator[np.ndarray]:
        """Yield codes as the server sends them; a token's text may come in parts."""
        rest = ""
        for text in self._texts(request, seed):
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

    def _texts(self, request: Request, seed: int) -> Iterator[str]:
        """Yield what the server writes, as it comes; one that knows OpenAI's fields only gets no others."""
        body = self._body(request, seed)
        try:
            with self._client.completions.create(**body) as events:
                for event in events:
                    yield "".join(choice.text or "" for choice in event.choices)
        except self._openai.APIStatusError as error:
            if error.status_code not in (400, 422) or body["extra_body"] is None:
                said = " ".join(error.response.text[:300].split())
                raise UsageError(
                    f"the server at {self.url} refused the request ({error.status_code}): {said}"
                ) from error
            self._takes_extensions = False
            yield from self._texts(request, seed)
        except self._openai.APIConnectionError as error:
            raise self._unreachable(error) from error
        except self._openai.APIError as error:
            raise UsageError(f"the server at {self.url} stopped with an error: {error}") from error

    def _body(self, request: Request, seed: int) -> dict[str, Any]:
        sampling = request.sampling
        room = self.max_tokens - len(request.prompt)
        if room < 1:
            raise UsageError(
                f"text and reference take {len(request.prompt)} tokens and the model reads "
                f"{self.max_tokens}: shorten them"
            )
        extensions = {  # as vLLM and SGLang name them
            "top_k": sampling.top_k or -1,
            "repetition_penalty": sampling.repetition_penalty,
            "skip_special_tokens": False,
            "stop_token_ids": [self._stop_id],
        }
        return {
            "model": self.model,
            "prompt": self._spelled(request.prompt),
            "max_tokens": min(sampling.max_codes, room),
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "seed": seed,
            "stop": [SPEECH_END],
            "stream": True,
            "extra_body": extensions if self._takes_extensions else None,
        }

    def _spelled(self, ids: list[int]) -> str | list[int]:
        """Return the prompt as text if the server would tokenise it alike, else as tokens."""
        text = self._tokenizer.decode(ids)
        begin = self._tokenizer.bos_token or ""
        for candidate in (text.removeprefix(begin), text):
            if self._tokenizer.encode(candidate) == ids:
                return str(candidate)
        return ids

    def _first_model(self) -> str:
        try:
            return str(self._client.with_options(timeout=30).models.list().data[0].id)
        except (self._openai.OpenAIError, LookupError, TypeError, AttributeError) as error:
            raise self._unreachable(error) from error

    def _unreachable(self, error: Exception) -> UsageError:
        reason = " ".join(str(error.__cause__ or error).split())
        return UsageError(
            f"no completions endpoint answers at {self.url} ({reason}): start the server, or mend --server"
        )
