"""One server of llama.cpp in this process, by xllamacpp: a model with its adapters, and the door to it.

What it has loaded never changes: its library has no way to add an adapter to a server that runs. Another set of
adapters is another server, and this one is retired: it answers what it has begun, then its memory is given back.

Its loop runs on threads of its own and is talked to through its loopback door, which is asynchronous, cancels a
generation when its reader leaves, and reports errors; the in-process calls block, and swallow cancellation. The door
asks for a key that only this process knows.
"""

import asyncio
import json
import logging
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from touchstone_inference import errors
from touchstone_inference.engine.adapters import llamacpp_wire

CONNECT_SECONDS = 5.0
QUIET = 1
"""llama.cpp's verbosity: errors only."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Loading:
    """What a server is to load, and how it is to run."""

    path: Path
    """The GGUF of the model."""
    slots: int
    context_tokens: int
    """Of each slot."""
    batch_size: int
    """Tokens."""
    threads: int
    adapters: Mapping[str, Path] = field(default_factory=dict)
    """GGUFs of LoRA adapters by their names."""


class Server:
    """A server that runs, until it is retired and its last request has been answered."""

    def __init__(self, native: Any, key: str, adapters: Mapping[str, Path]) -> None:
        """Take xllamacpp's server, the key of its door, and the adapters in the order in which it has loaded them."""
        self._native = native
        self._names = list(adapters)
        """By their numbers; empty for what was dropped."""
        self._requests = 0
        self._is_retired = False
        self._door = httpx.AsyncClient(
            base_url=native.listening_address,
            headers={"Authorization": f"Bearer {key}", "Connection": "close"},
            timeout=httpx.Timeout(None, connect=CONNECT_SECONDS),
            # A connection a request: the server closes idle ones when it likes, and a request that meets that is lost.
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=0),
            trust_env=False,
        )

    @classmethod
    async def start(cls, loading: Loading) -> "Server":
        """Load a model with its adapters.

        Raises:
            EngineLibraryMissing: xllamacpp is not installed here.
            EngineBroke: llama.cpp cannot load the model, or one of the adapters: its log says which.
        """
        key = secrets.token_hex(32)
        try:
            native = await asyncio.to_thread(_load, loading, key)
        except RuntimeError as error:
            raise errors.EngineBroke(
                f"llama.cpp cannot load {loading.path.name}: is it a GGUF model? ({error})"
            ) from error
        return cls(native, key, loading.adapters)

    def chosen(self, adapter: str) -> llamacpp_wire.Lora:
        """Write how strongly each adapter takes part in a request, for its `lora`: one wholly, the others not at all.

        All of them are named. What is in a slot is dropped only for a request that names any: one that names none
        would go on from what another adapter has computed (seen with xllamacpp 2026.10.11549).

        Raises:
            AdapterNotLoaded: There is none of this name; empty means the model without any.
        """
        if adapter and adapter not in self._names:
            raise errors.AdapterNotLoaded(adapter, sorted(filter(None, self._names)))
        return [
            {"id": number, "scale": float(bool(name) and name == adapter)} for number, name in enumerate(self._names)
        ]

    def forget(self, adapter: str) -> None:
        """Take no more requests for an adapter; its memory goes with the server."""
        self._names = ["" if name == adapter else name for name in self._names]

    @asynccontextmanager
    async def held(self) -> AsyncIterator["Server"]:
        """Hold the server while a request is answered."""
        self._requests += 1
        try:
            yield self
        finally:
            self._requests -= 1
            await self._end_if_done()

    async def retire(self) -> None:
        """Take no more requests, and end with the last of those that are held."""
        self._is_retired = True
        await self._end_if_done()

    async def _end_if_done(self) -> None:
        if self._is_retired and not self._requests:
            await self.close()

    async def close(self) -> None:
        """Close the door and let the model go, whatever is asked of it."""
        await self._door.aclose()
        self._native = None

    async def stream(self, path: str, body: Mapping[str, Any]) -> AsyncGenerator[Any, None]:
        """Ask for an answer in events; closing the iterator closes the connection, which frees the slot."""
        try:
            async with self._door.stream("POST", path, json=body) as answer:
                if answer.status_code != httpx.codes.OK:
                    raise llamacpp_wire.failure(json.loads(await answer.aread())["error"])
                async for line in answer.aiter_lines():
                    kind, _, value = line.partition(":")
                    if kind in ("data", "error") and value.strip() not in ("", "[DONE]"):
                        event = json.loads(value)
                        yield {"error": event} if kind == "error" else event
        except httpx.HTTPError as error:
            raise _silent() from error

    async def ask(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Ask for one answer; without a body, by GET."""
        try:
            answer = await (self._door.get(path) if body is None else self._door.post(path, json=body))
        except httpx.HTTPError as error:
            raise _silent() from error
        if answer.status_code != httpx.codes.OK:
            raise llamacpp_wire.failure(answer.json()["error"])
        return answer.json()


def _load(loading: Loading, key: str) -> Any:
    try:
        import xllamacpp  # noqa: PLC0415 - its OpenMP reads the environment when it is loaded
    except ImportError as error:
        raise errors.EngineLibraryMissing("xllamacpp", str(error)) from error

    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(loading.path)
    parameters.n_parallel = loading.slots
    parameters.n_ctx = loading.context_tokens * loading.slots
    parameters.n_batch = loading.batch_size
    parameters.cpuparams.n_threads = loading.threads
    parameters.cpuparams_batch.n_threads = loading.threads
    parameters.n_threads_http = loading.slots + 4
    parameters.hostnames = ["127.0.0.1"]
    parameters.port = 0
    parameters.api_keys = [key]
    parameters.ui = False
    parameters.warmup = False
    parameters.verbosity = QUIET
    if loading.adapters:
        parameters.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(str(p), 0.0) for p in loading.adapters.values()]
        # The cache of prompts that have left their slots looks at tokens only: it would hand what one adapter has
        # computed to another (seen with 2026.10.11549).
        parameters.cache_ram_mib = 0
    return xllamacpp.Server(parameters)


def _silent() -> errors.EngineBroke:
    logger.exception("llama.cpp's door does not answer")
    return errors.EngineBroke("llama.cpp does not answer. Try another replica.")
