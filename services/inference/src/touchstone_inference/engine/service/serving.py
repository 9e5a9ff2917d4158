"""The engine's use cases: admission to slots, counting, timing. Knows neither gRPC nor which engine runs."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass

from touchstone_runtime import telemetry
from touchstone_runtime.telemetry import names

from touchstone_inference import errors
from touchstone_inference.engine.core import validation
from touchstone_inference.engine.core.generation import (
    Capability,
    Description,
    End,
    Generation,
    Piece,
    Prefilled,
    Score,
    Scoring,
    Transfers,
    Turn,
    Usage,
)
from touchstone_inference.engine.ports import Model, Splittable
from touchstone_inference.engine.service.splitting import SplitCounters, Splitting


@dataclass(slots=True)
class Counters:
    """What happened since the start, and what happens now."""

    active: int = 0
    queued: int = 0
    requests: int = 0
    cancelled: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_input_tokens: int = 0

    def add(self, usage: Usage) -> None:
        """Count the tokens of a request."""
        self.input_tokens += usage.input_tokens
        self.output_tokens += usage.output_tokens
        self.cached_input_tokens += usage.cached_input_tokens


class EngineService:
    """One model and the requests that wait for it."""

    def __init__(
        self,
        model: Model,
        *,
        max_queued_requests: int,
        splitting: Splitting | None = None,
        attributes: Mapping[str, str] | None = None,
    ) -> None:
        """Take a model, how many requests may wait, where prompts are computed if not here, and metrics' attributes."""
        self._model = model
        self._splitting = splitting
        self._max_queued = max_queued_requests
        self._slots = asyncio.Semaphore(model.description.slots)
        self.counters = Counters()
        self._attributes = dict(attributes or {})
        meter = telemetry.meter(__name__)
        self._first_token = meter.create_histogram(names.GEN_AI_SERVER_TIME_TO_FIRST_TOKEN, unit="s")
        self._per_token = meter.create_histogram(names.GEN_AI_SERVER_TIME_PER_OUTPUT_TOKEN, unit="s")
        self._queue = meter.create_histogram(names.QUEUE_DURATION, unit="s")

    @property
    def description(self) -> Description:
        """What the model is and can do."""
        return self._model.description

    def render(self, turns: Sequence[Turn]) -> str:
        """Render a conversation with the model's chat template.

        Raises:
            Invalid: The conversation is out of bounds.
        """
        validation.refuse(validation.check_turns(turns))
        return self._model.render(turns)

    async def generate(self, request: Generation) -> AsyncIterator[Piece]:
        """Continue a prompt as soon as a slot is free.

        Raises:
            Invalid: The request is out of bounds.
            QueueFull: Too many requests wait.
        """
        validation.refuse(validation.check_generation(request))
        if request.json_schema:
            self._need(Capability.JSON_SCHEMA, "json_schema")
        if request.logprobs is not None:
            self._need(Capability.LOGPROBS, "logprobs")
        arrived = time.perf_counter()
        async with self._slot():
            waited = time.perf_counter() - arrived
            self._queue.record(waited, self._attributes)
            if self._splitting is not None:
                request = await self._splitting.prepared(request, await self._model.count_tokens(request.prompt))
            is_first = True
            async with aclosing(self._model.generate(request)) as pieces:  # type: ignore[type-var] # adapters are generators
                async for piece in pieces:
                    if is_first and piece.text:
                        self._first_token.record(time.perf_counter() - arrived, self._attributes)
                        is_first = False
                    yield self._ended(piece, piece.end, waited) if piece.end else piece

    def _ended(self, piece: Piece, end: End, waited: float) -> Piece:
        end = end._replace(timings=end.timings._replace(queue_seconds=waited))
        self.counters.add(end.usage)
        if end.usage.output_tokens > 1:
            self._per_token.record(end.timings.decode_seconds / (end.usage.output_tokens - 1), self._attributes)
        return piece._replace(end=end)

    async def prefill(self, request: Generation) -> Prefilled:
        """Compute a prompt for another engine, as soon as a slot is free.

        Raises:
            Invalid: The request is out of bounds.
            QueueFull: Too many requests wait.
            EngineCannot: This engine computes no prompts for others.
        """
        validation.refuse(validation.check_generation(request))
        if not isinstance(self._model, Splittable):
            raise errors.EngineCannot(self.description.engine_type, "Prefill")
        async with self._slot():
            return await self._model.prefill(request)

    async def transfers(self) -> tuple[Transfers, SplitCounters]:
        """Read what the connector has counted, and what this engine sent to others."""
        counted = await self._model.transfers() if isinstance(self._model, Splittable) else Transfers()
        return counted, self._splitting.counters if self._splitting else SplitCounters()

    async def count_tokens(self, prompt: str) -> int:
        """Count the tokens of a prompt."""
        return await self._model.count_tokens(prompt)

    async def embed(self, inputs: Sequence[str]) -> tuple[list[list[float]], int]:
        """Return unit vectors of inputs, and the number of their tokens.

        Raises:
            Invalid: There are too few or too many inputs.
            EngineCannot: This model cannot.
        """
        validation.refuse(validation.check_count("inputs", len(inputs), validation.MAX_INPUTS))
        self._need(Capability.EMBED, "Embed")
        async with self._slot():
            return await self._model.embed(inputs)

    async def score(self, request: Scoring) -> list[Score]:
        """Return log-probabilities of continuations.

        Raises:
            Invalid: There are too few or too many continuations.
            EngineCannot: This engine cannot.
        """
        most = validation.MAX_CONTINUATIONS
        validation.refuse(validation.check_count("continuations", len(request.continuations), most))
        self._need(Capability.SCORE, "Score")
        async with self._slot():
            return await self._model.score(request)

    def _need(self, capability: Capability, what: str) -> None:
        if capability not in self.description.capabilities:
            raise errors.EngineCannot(self.description.engine_type, what)

    @asynccontextmanager
    async def _slot(self) -> AsyncIterator[None]:
        """Hold a slot; a request that is cancelled, waiting or running, gives its place back."""
        if self._slots.locked() and self.counters.queued >= self._max_queued:
            raise errors.QueueFull(self._max_queued)
        self.counters.queued += 1
        try:
            await self._slots.acquire()
        except asyncio.CancelledError:
            self.counters.requests += 1
            self.counters.cancelled += 1
            raise
        finally:
            self.counters.queued -= 1
        self.counters.active += 1
        try:
            yield
        except (asyncio.CancelledError, GeneratorExit):
            self.counters.cancelled += 1
            raise
        finally:
            self.counters.active -= 1
            self.counters.requests += 1
            self._slots.release()
