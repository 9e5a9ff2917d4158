"""llama.cpp in this process, by xllamacpp.

Its server loop runs on threads of its own and is talked to through its loopback door, which is asynchronous, cancels a
generation when its reader leaves, and reports errors; the in-process calls block, and swallow cancellation. The door
asks for a key that only this process knows.
"""

import asyncio
import json
import logging
import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx

from touchstone_inference import errors
from touchstone_inference.engine.adapters import llamacpp_wire
from touchstone_inference.engine.core import chat, scoring
from touchstone_inference.engine.core.arguments import Arguments
from touchstone_inference.engine.core.generation import (
    Capability,
    Description,
    Generation,
    Piece,
    Sampling,
    Score,
    Scoring,
    Turn,
)

ENGINE_TYPE = "LlamaCpp"
CAPABILITIES = frozenset({Capability.JSON_SCHEMA, Capability.LOGPROBS, Capability.SCORE, Capability.PREFIX_CACHE})
CONNECT_SECONDS = 5.0
QUIET = 1
"""llama.cpp's verbosity: errors only."""

logger = logging.getLogger(__name__)


class LlamaCpp:
    """A GGUF model in this process. `max_model_len` tokens for each of its slots."""

    def __init__(self, path: Path, *, digest: str, max_model_len: int, arguments: Arguments) -> None:
        self._path = path
        self._arguments = arguments
        self._description = Description(
            engine_type=ENGINE_TYPE,
            model_digest=digest,
            context_tokens=max_model_len,
            slots=arguments.number("parallel"),
            capabilities=CAPABILITIES,
        )
        self._server: Any = None
        self._client: httpx.AsyncClient | None = None
        self._begin = self._vocabulary = 0

    @property
    def description(self) -> Description:
        """What it is and can do."""
        return self._description

    async def start(self) -> None:
        """Load the model and generate a first token.

        Raises:
            EngineBroke: The file is no model that llama.cpp can load.
        """
        key = secrets.token_hex(32)
        try:
            self._server = await asyncio.to_thread(self._load, key)
        except RuntimeError as error:
            raise errors.EngineBroke(
                f"llama.cpp cannot load {self._path.name}: is it a GGUF model? ({error})"
            ) from error
        self._client = httpx.AsyncClient(
            base_url=self._server.listening_address,
            headers={"Authorization": f"Bearer {key}", "Connection": "close"},
            timeout=httpx.Timeout(None, connect=CONNECT_SECONDS),
            # A connection a request: the server closes idle ones when it likes, and a request that meets that is lost.
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=0),
            trust_env=False,
        )
        async for _ in self.generate(Generation(prompt="Hello", sampling=Sampling(max_output_tokens=1))):
            pass
        markers = (await self._door.get("/props")).json()
        begin = await self._tokens(markers["bos_token"] or markers["eos_token"], has_begin=False)
        self._begin = begin[0] if begin else 0  # a model without any marker: its first token
        self._vocabulary = int((await self._door.get("/v1/models")).json()["data"][0]["meta"]["n_vocab"])

    def _load(self, key: str) -> Any:
        try:
            import xllamacpp  # noqa: PLC0415 - its OpenMP reads the environment when it is loaded
        except ImportError as error:
            raise errors.EngineLibraryMissing("xllamacpp", str(error)) from error

        parameters = xllamacpp.CommonParams()
        parameters.model.path = str(self._path)
        parameters.n_parallel = self._description.slots
        parameters.n_ctx = self._description.context_tokens * self._description.slots
        parameters.n_batch = self._arguments.number("batch-size")
        parameters.cpuparams.n_threads = self._arguments.number("threads")
        parameters.cpuparams_batch.n_threads = self._arguments.number("threads")
        parameters.n_threads_http = self._description.slots + 4
        parameters.hostnames = ["127.0.0.1"]
        parameters.port = 0
        parameters.api_keys = [key]
        parameters.ui = False
        parameters.warmup = False
        parameters.verbosity = QUIET
        return xllamacpp.Server(parameters)

    async def generate(self, request: Generation) -> AsyncIterator[Piece]:
        """Continue a prompt; closing the iterator closes the connection, which frees the slot."""
        body = llamacpp_wire.completion_request(request, stops=chat.STOPS)
        try:
            async with self._door.stream("POST", "/completion", json=body) as answer:
                if answer.status_code != httpx.codes.OK:
                    raise llamacpp_wire.failure(json.loads(await answer.aread())["error"])
                async for line in answer.aiter_lines():
                    field, _, value = line.partition(":")
                    if field in ("data", "error") and value.strip() not in ("", "[DONE]"):
                        event = json.loads(value)
                        yield llamacpp_wire.piece({"error": event} if field == "error" else event, request)
        except httpx.HTTPError as error:
            raise _silent() from error

    def render(self, turns: Sequence[Turn]) -> str:
        """Render a conversation as ChatML."""
        return chat.render(turns)

    async def count_tokens(self, prompt: str) -> int:
        """Count the tokens of a prompt, markers as one token each."""
        return len(await self._tokens(prompt))

    async def embed(self, inputs: Sequence[str]) -> tuple[list[list[float]], int]:
        """Refuse: a model that is loaded to generate has no pooled embeddings."""
        raise errors.EngineCannot(ENGINE_TYPE, "Embed")

    async def score(self, request: Scoring) -> list[Score]:
        """Return log-probabilities of continuations, each after the prompt.

        The server tells none of a prompt. It does tell the model's own of what it generates, whatever it was made to
        generate: each continuation is generated, by a grammar of its tokens. So it takes as long as generating it.
        """
        if request.adapter:
            raise errors.AdapterNotLoaded(request.adapter, [])
        prompt = await self._tokens(request.prompt)
        return [await self._score(request, prompt, continuation) for continuation in request.continuations]

    async def _score(self, request: Scoring, prompt: list[int], continuation: str) -> Score:
        before, whole = scoring.cut(prompt, await self._tokens(request.prompt + continuation), self._begin)
        scored = whole[len(before) :]
        if not scored:
            return Score(tokens=(), is_greedy=True)
        if await self._tokens(continuation) != await self._tokens(continuation, has_markers=False):
            raise errors.RequestRefused("A continuation holds a marker of the chat template. Leave it out.")
        if len(whole) >= self._description.context_tokens:
            raise errors.PromptOverContext(len(whole), self._description.context_tokens)
        body = llamacpp_wire.scoring_request(before, scored, has_distributions=request.has_distributions)
        vocabulary = self._vocabulary if request.has_distributions else None
        answer = await self._ask("/completion", body)
        return await asyncio.to_thread(llamacpp_wire.score, answer, scored, vocabulary=vocabulary)

    async def _tokens(self, text: str, *, has_begin: bool = True, has_markers: bool = True) -> list[int]:
        body = {"content": text, "parse_special": has_markers, "add_special": has_begin}
        tokens: list[int] = (await self._ask("/tokenize", body))["tokens"]
        return tokens

    async def _ask(self, path: str, body: Mapping[str, Any]) -> Any:
        try:
            answer = await self._door.post(path, json=body)
        except httpx.HTTPError as error:
            raise _silent() from error
        if answer.status_code != httpx.codes.OK:
            raise llamacpp_wire.failure(answer.json()["error"])
        return answer.json()

    async def wait_until_broken(self) -> None:
        """Never return: it lives and dies with this process."""
        await asyncio.Event().wait()

    async def close(self) -> None:
        """Close the door and let the model go."""
        if self._client is not None:
            await self._client.aclose()
        self._server = None

    @property
    def _door(self) -> httpx.AsyncClient:
        if self._client is None:
            raise errors.EngineBroke("The model is not loaded yet. Wait until health says SERVING.")
        return self._client


def _silent() -> errors.EngineBroke:
    logger.exception("llama.cpp's door does not answer")
    return errors.EngineBroke("llama.cpp does not answer. Try another replica.")
