"""Talking to the router and to retrieval: answers as they come, passages as they were found."""

import secrets
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, cast

import grpc
from touchstone.inference.v1 import inference_service_pb2 as inference
from touchstone.inference.v1 import inference_service_pb2_grpc as inference_grpc
from touchstone.retrieval.v1 import retrieval_service_pb2 as retrieval
from touchstone.retrieval.v1 import retrieval_service_pb2_grpc as retrieval_grpc
from touchstone_runtime import channels
from touchstone_runtime.errors import Invalid, Violation

ROLES = {
    "system": inference.ROLE_SYSTEM,
    "user": inference.ROLE_USER,
    "assistant": inference.ROLE_ASSISTANT,
}
MODES = {
    "": retrieval.SEARCH_MODE_UNSPECIFIED,
    "dense": retrieval.SEARCH_MODE_DENSE,
    "sparse": retrieval.SEARCH_MODE_SPARSE,
    "hybrid": retrieval.SEARCH_MODE_HYBRID,
}


class Turn(NamedTuple):
    """One turn of a conversation."""

    role: str
    """`system`, `user` or `assistant`."""
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer, as far as it has come."""

    text: str = ""
    revision: str = ""
    request_id: str = ""
    trace_id: str = ""
    """Names the request's trace in the collector."""
    citations: tuple[inference.Citation, ...] = ()
    finish_reason: str = ""
    """`stop` or `length`; empty while the answer goes on."""
    usage: inference.Usage | None = None
    """Set at the end."""
    timings: inference.Timings | None = None
    """Set at the end."""


class Step(NamedTuple):
    """The next piece of an answer, and the answer with it."""

    piece: str
    answer: Answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """How a question is asked."""

    revision: str = ""
    """Pins a revision; empty: the traffic's weights choose."""
    session_id: str = ""
    tenant: str = ""
    max_output_tokens: int | None = None
    temperature: float | None = None
    timeout_seconds: float = 120.0


PLAIN = Asking()
"""Nothing is pinned, nothing is limited."""


async def ask(address: str, model: str, turns: Sequence[Turn], *, asking: Asking = PLAIN) -> AsyncIterator[Step]:
    """Yield the pieces of an answer as they come.

    Raises:
        DomainError: The router refused or does not answer; the message is the router's.
    """
    trace_id, span_id = secrets.token_hex(16), secrets.token_hex(8)
    metadata: list[tuple[str, str | bytes]] = [("traceparent", f"00-{trace_id}-{span_id}-01")]
    if asking.revision:
        metadata.append(("x-touchstone-revision", asking.revision))
    answer = Answer(trace_id=trace_id)
    async with channels.connect(address) as channel:
        stub = cast("inference_grpc.InferenceServiceAsyncStub", inference_grpc.InferenceServiceStub(channel))
        request = _request(model, turns, asking)
        call = stub.Generate(request, metadata=tuple(metadata), timeout=asking.timeout_seconds)
        try:
            async for part in call:
                answer = _grown(answer, part)
                yield Step(part.text, answer)
        except grpc.aio.AioRpcError as error:
            raise channels.translate(error, "router") from error


async def search(
    address: str, index: str, query: str, *, top_k: int = 0, mode: str = "", revision: str = "", tenant: str = ""
) -> retrieval.SearchResponse:
    """Return the passages nearest to a query.

    Raises:
        DomainError: Retrieval refused or does not answer; the message is retrieval's.
    """
    if mode not in MODES:
        choices = ", ".join(name for name in MODES if name)
        raise Invalid([Violation("mode", f"is '{mode}'; choose one of {choices}")])
    request = retrieval.SearchRequest(
        index=index, query=query, top_k=top_k, mode=MODES[mode], revision=revision, tenant=tenant
    )
    async with channels.connect(address) as channel:
        stub = cast("retrieval_grpc.RetrievalServiceAsyncStub", retrieval_grpc.RetrievalServiceStub(channel))
        try:
            return await stub.Search(request, timeout=30.0)
        except grpc.aio.AioRpcError as error:
            raise channels.translate(error, "retrieval") from error


def qualified(name: str, namespace: str) -> str:
    """Return `NAMESPACE/NAME`, which the services ask for."""
    return name if "/" in name else f"{namespace}/{name}"


def _request(model: str, turns: Sequence[Turn], asking: Asking) -> inference.GenerateRequest:
    request = inference.GenerateRequest(
        model=model,
        messages=[inference.Message(role=ROLES[turn.role], content=turn.content) for turn in turns],
        session_id=asking.session_id,
        tenant=asking.tenant,
    )
    if asking.max_output_tokens is not None:
        request.sampling.max_output_tokens = asking.max_output_tokens
    if asking.temperature is not None:
        request.sampling.temperature = asking.temperature
    return request


def _grown(answer: Answer, part: inference.GenerateResponse) -> Answer:
    is_last = part.finish_reason != inference.FINISH_REASON_UNSPECIFIED
    reason = inference.FinishReason.Name(part.finish_reason).removeprefix("FINISH_REASON_").lower()
    return replace(
        answer,
        text=answer.text + part.text,
        revision=part.revision or answer.revision,
        request_id=part.request_id or answer.request_id,
        citations=tuple(part.citations) or answer.citations,
        finish_reason=reason if is_last else "",
        usage=part.usage if is_last else None,
        timings=part.timings if is_last else None,
    )
