"""llama.cpp in this process, by xllamacpp.

Its server loop runs on threads of its own and is talked to through its loopback door, which is asynchronous, cancels a
generation when its reader leaves, and reports errors; the in-process calls block, and swallow cancellation. The door
asks for a key that only this process knows.
"""

import asyncio
import json
import logging
import secrets
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import httpx

from touchstone_inference import errors
from touchstone_inference.engine.adapters import llamacpp_wire
from touchstone_inference.engine.core import chat
from touchstone_inference.engine.core.arguments import Arguments
from touchstone_inference.engine.core.generation import (
    Capability,
    Description,
    Generation,
    Piece,
    Sampling,
    Score,
    Turn,
)

ENGINE_TYPE = "LlamaCpp"
CAPABILITIES = frozenset({Capability.JSON_SCHEMA, Capability.LOGPROBS, Capability.PREFIX_CACHE})
"""No SCORE: the server takes requests for the log-probabilities of a prompt and silently leaves them out."""
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
            logger.exception("llama.cpp's door does not answer")
            raise errors.EngineBroke("llama.cpp does not answer. Try another replica.") from error

    def render(self, turns: Sequence[Turn]) -> str:
        """Render a conversation as ChatML."""
        return chat.render(turns)

    async def count_tokens(self, prompt: str) -> int:
        """Count the tokens of a prompt, markers as one token each."""
        body = {"content": prompt, "parse_special": True, "add_special": True}
        answer = await self._door.post("/tokenize", json=body)
        return len(answer.json()["tokens"])

    async def embed(self, inputs: Sequence[str]) -> tuple[list[list[float]], int]:
        """Refuse: a model that is loaded to generate has no pooled embeddings."""
        raise errors.EngineCannot(ENGINE_TYPE, "Embed")

    async def score(self, prompt: str, continuations: Sequence[str]) -> list[Score]:
        """Refuse: the server cannot score a given text."""
        raise errors.EngineCannot(ENGINE_TYPE, "Score")

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
