"""Engines behind gRPC: replicas that serve EngineService. One channel a replica, made when it is first used."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc
from touchstone.engine.v1 import engine_service_pb2 as pb
from touchstone.engine.v1 import engine_service_pb2_grpc as pb_grpc
from touchstone_runtime.channels import translate
from touchstone_runtime.errors import DomainError, Unavailable

from touchstone_inference.router.core.generation import (
    ContinuationScore,
    Embeddings,
    EngineRequest,
    EngineTimings,
    Finish,
    FinishReason,
    Piece,
    Role,
    Sampling,
    Scoring,
    TokenAlternative,
    TokenDistribution,
    TokenLogprob,
    Turn,
    Usage,
)
from touchstone_inference.router.core.reports import Reached, Report, Transfer
from touchstone_inference.router.core.view import Endpoint, Revision
from touchstone_inference.router.ports import Capability

SYSTEM = "engine"

_ROLES = {Role.SYSTEM: pb.ROLE_SYSTEM, Role.USER: pb.ROLE_USER, Role.ASSISTANT: pb.ROLE_ASSISTANT}
_REASONS = {pb.FINISH_REASON_STOP: FinishReason.STOP, pb.FINISH_REASON_LENGTH: FinishReason.LENGTH}
_CAPABILITIES = {
    pb.CAPABILITY_SCORE: Capability.SCORE,
    pb.CAPABILITY_EMBED: Capability.EMBED,
    pb.CAPABILITY_JSON_SCHEMA: Capability.JSON_SCHEMA,
    pb.CAPABILITY_LOGPROBS: Capability.LOGPROBS,
}


@dataclass(frozen=True, slots=True)
class _Connection:
    channel: grpc.aio.Channel
    engine: "GrpcEngine"


class GrpcEngines:
    """The channels to all replicas."""

    def __init__(self, connect: Callable[[str], grpc.aio.Channel], *, grace_seconds: float) -> None:
        """Take what opens a channel, and how long calls on a channel that is let go may go on."""
        self._connect = connect
        self._grace_seconds = grace_seconds
        self._connections: dict[str, _Connection] = {}
        self._retired: asyncio.Queue[grpc.aio.Channel] = asyncio.Queue()

    def at(self, revision: Revision, endpoint: Endpoint) -> "GrpcEngine":
        """Give the engine at an address."""
        del revision
        connection = self._connections.get(endpoint.address)
        if connection is None:
            channel = self._connect(endpoint.address)
            connection = _Connection(channel, GrpcEngine(channel))
            self._connections[endpoint.address] = connection
        return connection.engine

    def keep_only(self, addresses: Collection[str]) -> None:
        """Let go of the other channels; `run` closes them when their calls have ended."""
        for address in self._connections.keys() - set(addresses):
            self._retired.put_nowait(self._connections.pop(address).channel)

    async def run(self) -> None:
        """Close what was let go, until cancelled; then close everything."""
        try:
            async with asyncio.TaskGroup() as group:
                while True:
                    channel = await self._retired.get()
                    group.create_task(channel.close(self._grace_seconds))
        finally:
            for connection in self._connections.values():
                await connection.channel.close()
            self._connections.clear()


class GrpcEngine:
    """One replica."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub: Any = pb_grpc.EngineServiceStub(channel)

    @asynccontextmanager
    async def generate(self, request: EngineRequest, *, timeout_seconds: float) -> AsyncIterator[AsyncIterator[Piece]]:
        """Begin to continue a conversation; leaving the context cancels the call."""
        call = self._stub.Generate(_generate_request(request), timeout=timeout_seconds)
        try:
            yield _pieces(call)
        finally:
            call.cancel()  # has no effect on a call that has ended

    async def score(self, scoring: Scoring, *, timeout_seconds: float) -> tuple[ContinuationScore, ...]:
        """Score continuations of a prompt."""
        request = pb.ScoreRequest(
            prompt=scoring.prompt,
            continuations=scoring.continuations,
            adapter=scoring.adapter,
            distributions=scoring.has_distributions,
        )
        with _translated():
            response = await self._stub.Score(request, timeout=timeout_seconds)
        return tuple(
            ContinuationScore(logprob=score.logprob, tokens=_logprobs(score.tokens), is_greedy=score.is_greedy)
            for score in response.scores
        )

    async def embed(self, inputs: Sequence[str], *, timeout_seconds: float) -> Embeddings:
        """Embed texts."""
        with _translated():
            response = await self._stub.Embed(pb.EmbedRequest(inputs=inputs), timeout=timeout_seconds)
        return Embeddings(
            vectors=tuple(embedding.values for embedding in response.embeddings), input_tokens=response.input_tokens
        )

    async def count_tokens(self, conversation: Sequence[Turn], *, timeout_seconds: float) -> int:
        """Count the tokens of a conversation."""
        request = pb.CountTokensRequest(conversation=_conversation(conversation))
        with _translated():
            response = await self._stub.CountTokens(request, timeout=timeout_seconds)
        return int(response.token_count)

    async def report(self, *, timeout_seconds: float) -> Report:
        """Ask what it says of itself."""
        with _translated():
            response = await self._stub.Stats(pb.StatsRequest(), timeout=timeout_seconds)
        return _report(response)

    async def capabilities(self, *, timeout_seconds: float) -> frozenset[Capability]:
        """Ask what the engine can do."""
        with _translated():
            response = await self._stub.Describe(pb.DescribeRequest(), timeout=timeout_seconds)
        return frozenset(_CAPABILITIES[value] for value in response.capabilities if value in _CAPABILITIES)


def _report(stats: pb.StatsResponse) -> Report:
    moved, reached = stats.kv_transfer, stats.utilization
    return Report(
        transfer=Transfer(
            connector=moved.connector,
            remote_prompts=moved.remote_prompts,
            failed_prompts=moved.failed_prompts,
            transfers=moved.transfers,
            transferred_bytes=moved.transferred_bytes,
            transferred_tokens=moved.transferred_tokens,
            failed_transfers=moved.failed_transfers,
        ),
        reached=Reached(reached.chip, reached.mfu, reached.mbu) if stats.HasField("utilization") else None,
        peak_output_tokens_per_second=stats.peak_output_tokens_per_second,
        active_requests=stats.active_requests,
        queued_requests=stats.queued_requests,
    )


class _translated:  # noqa: N801 - reads as a statement: `with _translated():`
    """Turn the failures of a call into domain errors."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, grpc.aio.AioRpcError):
            raise translate(error, SYSTEM) from error
        if isinstance(error, asyncio.CancelledError) and not _is_own_cancellation():
            raise _cancelled_by_engine() from error
        if isinstance(error, grpc.aio.UsageError):
            # The channel was let go between choosing the replica and calling it.
            raise Unavailable("The replica has just gone away. Try again.") from error


def _is_own_cancellation() -> bool:
    """Tell a cancellation of this task from a call that the other side ended with CANCELLED: grpc raises alike."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _cancelled_by_engine() -> DomainError:
    return Unavailable("The engine cancelled the request. Try again.")


async def _pieces(call: "grpc.aio.UnaryStreamCall[pb.GenerateRequest, pb.GenerateResponse]") -> AsyncIterator[Piece]:
    """Give the pieces; the last one only when the call has ended, so that leaving then cancels nothing."""
    with _translated():
        last: Piece | None = None
        async for message in call:
            piece = _piece(message)
            if piece.finish is not None:
                last = piece
            else:
                yield piece
        if last is not None:
            yield last


def _generate_request(request: EngineRequest) -> pb.GenerateRequest:
    return pb.GenerateRequest(
        conversation=_conversation(request.conversation),
        sampling=_sampling(request.sampling),
        json_schema=request.json_schema,
        logprobs=request.logprobs,
        adapter=request.adapter,
    )


def _conversation(turns: Sequence[Turn]) -> pb.Conversation:
    return pb.Conversation(messages=[pb.Message(role=_ROLES[turn.role], content=turn.content) for turn in turns])


def _sampling(sampling: Sampling) -> pb.Sampling:
    return pb.Sampling(
        max_output_tokens=sampling.max_output_tokens,
        temperature=sampling.temperature,
        top_p=sampling.top_p,
        top_k=sampling.top_k,
        seed=sampling.seed,
        stop=sampling.stop,
    )


def _piece(message: pb.GenerateResponse) -> Piece:
    finish = None
    if message.finish_reason:
        usage, timings = message.usage, message.timings
        finish = Finish(
            reason=_REASONS.get(message.finish_reason, FinishReason.STOP),
            usage=Usage(
                input_tokens=usage.input_tokens,
                output_tokens=usage.output_tokens,
                cached_input_tokens=usage.cached_input_tokens,
            ),
            timings=EngineTimings(
                queue_seconds=timings.queue_seconds,
                prefill_seconds=timings.prefill_seconds,
                decode_seconds=timings.decode_seconds,
            ),
        )
    return Piece(text=message.text, logprobs=_logprobs(message.logprobs) if message.logprobs else (), finish=finish)


def _logprobs(tokens: Sequence[pb.TokenLogprob]) -> tuple[TokenLogprob, ...]:
    return tuple(
        TokenLogprob(
            token=token.token,
            logprob=token.logprob,
            top=tuple(TokenAlternative(token=other.token, logprob=other.logprob) for other in token.top),
            distribution=TokenDistribution(entropy=token.distribution.entropy, deviation=token.distribution.deviation)
            if token.HasField("distribution")
            else None,
        )
        for token in tokens
    )
