"""Engines that are bought: any OpenAI-compatible HTTP API behind the engine port.

The manifest's engine arguments say where: `base-url` (up to and with `/v1`) and `model` (default: the served name).
What such an API cannot do is said, not imitated: it counts no tokens and scores no continuations.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx
import httpx_sse
from opentelemetry import propagate
from touchstone_runtime.errors import (
    DeadlineExceeded,
    DomainError,
    Exhausted,
    FailedPrecondition,
    Invalid,
    Unavailable,
    Violation,
)

from touchstone_inference import errors
from touchstone_inference.router.core.generation import (
    ContinuationScore,
    Embeddings,
    EngineRequest,
    EngineTimings,
    Finish,
    FinishReason,
    Piece,
    Sampling,
    Scoring,
    TokenAlternative,
    TokenLogprob,
    Turn,
    Usage,
)
from touchstone_inference.router.core.reports import Report
from touchstone_inference.router.core.view import Endpoint, Revision
from touchstone_inference.router.ports import Capability

DEFAULT_OUTPUT_TOKENS = 512
"""The bound of an answer where the request has none, as EngineService has it."""

CONNECTIONS = 256
"""Connections to all external APIs together."""


class ExternalEngines:
    """Clients of external APIs."""

    def __init__(self, *, api_key: str = "") -> None:
        """Take the key that is sent as a bearer token; empty sends none."""
        limits = httpx.Limits(max_connections=CONNECTIONS)
        # Each call has a deadline of its own; httpx's timeouts, which are by read, would only blur it.
        self._client = httpx.AsyncClient(timeout=httpx.Timeout(None), limits=limits)
        self._headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}

    def at(self, revision: Revision, endpoint: Endpoint) -> "ExternalEngine":
        """Give the API that a revision names."""
        bundle = revision.manifest.bundle
        model = bundle.engine.args.get("model", bundle.model.name)
        return ExternalEngine(self._client, revision.name, endpoint.address.rstrip("/"), model, self._headers)

    def keep_only(self, addresses: Collection[str]) -> None:
        """Do nothing: idle connections close by themselves."""
        del addresses

    async def close(self) -> None:
        """Close all connections."""
        await self._client.aclose()


class ExternalEngine:
    """One model of one API."""

    def __init__(
        self, client: httpx.AsyncClient, revision: str, base_url: str, model: str, headers: Mapping[str, str]
    ) -> None:
        self._client = client
        self._revision = revision
        self._base_url = base_url
        self._model = model
        self._headers = headers

    @asynccontextmanager
    async def generate(self, request: EngineRequest, *, timeout_seconds: float) -> AsyncIterator[AsyncIterator[Piece]]:
        """Begin to continue a conversation; leaving the context closes the connection, which stops the work."""
        deadline = asyncio.get_running_loop().time() + timeout_seconds
        stream = self._client.stream(
            "POST",
            f"{self._base_url}/chat/completions",
            json=_completion_request(self._model, request),
            headers=self._outgoing_headers() | {"Accept": "text/event-stream"},
        )
        try:
            async with _deadline(deadline):
                response = await stream.__aenter__()
        except httpx.HTTPError as error:
            raise _unreachable(error) from error
        try:
            _check(response, request.json_schema != "")
            yield _pieces(response, deadline)
        finally:
            await stream.__aexit__(None, None, None)

    async def embed(self, inputs: Sequence[str], *, timeout_seconds: float) -> Embeddings:
        """Embed texts."""
        body = {"model": self._model, "input": list(inputs), "encoding_format": "float"}
        document = await self._post("embeddings", body, timeout_seconds)
        try:
            entries = sorted(document["data"], key=lambda entry: int(entry["index"]))
            vectors = tuple(tuple(float(value) for value in entry["embedding"]) for entry in entries)
            return Embeddings(vectors=vectors, input_tokens=int(document.get("usage", {}).get("prompt_tokens", 0)))
        except (KeyError, TypeError, ValueError) as error:
            raise _unintelligible() from error

    async def score(self, scoring: Scoring, *, timeout_seconds: float) -> tuple[ContinuationScore, ...]:
        """Refuse: such APIs score no given text."""
        del scoring, timeout_seconds
        raise errors.CapabilityMissing(self._revision, Capability.SCORE)

    async def count_tokens(self, conversation: Sequence[Turn], *, timeout_seconds: float) -> int:
        """Refuse: such APIs count no tokens in advance."""
        del conversation, timeout_seconds
        raise errors.CapabilityMissing(self._revision, "counting tokens")

    async def report(self, *, timeout_seconds: float) -> Report:
        """Say nothing: what others run on is not told."""
        del timeout_seconds
        return Report()

    async def capabilities(self, *, timeout_seconds: float) -> frozenset[Capability]:
        """Say what the protocol has; whether this API has it shows when it is asked."""
        del timeout_seconds
        return frozenset({Capability.EMBED, Capability.JSON_SCHEMA, Capability.LOGPROBS})

    async def _post(self, path: str, body: Mapping[str, Any], timeout_seconds: float) -> Any:
        deadline = asyncio.get_running_loop().time() + timeout_seconds
        try:
            async with _deadline(deadline):
                response = await self._client.post(
                    f"{self._base_url}/{path}", json=body, headers=self._outgoing_headers()
                )
        except httpx.HTTPError as error:
            raise _unreachable(error) from error
        _check(response, False)
        try:
            return response.json()
        except ValueError as error:
            raise _unintelligible() from error

    def _outgoing_headers(self) -> dict[str, str]:
        headers = dict(self._headers)
        propagate.inject(headers)
        return headers


@asynccontextmanager
async def _deadline(deadline: float) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout_at(deadline):
            yield
    except TimeoutError as error:
        raise DeadlineExceeded("The external API did not answer in time. Allow more time.") from error


async def _pieces(response: httpx.Response, deadline: float) -> AsyncIterator[Piece]:
    """Read the stream. The last piece waits for the usage, which comes after the finish reason."""
    events = httpx_sse.EventSource(response).aiter_sse()
    reason, usage = None, Usage()
    try:
        while True:
            async with _deadline(deadline):
                event = await anext(events, None)
            if event is None or event.data == "[DONE]":
                break
            chunk = json.loads(event.data)
            if "error" in chunk:
                raise Unavailable("The external API reported an error in the middle of the answer. Ask again.")
            usage = _usage(chunk["usage"]) if chunk.get("usage") else usage
            for choice in chunk.get("choices", ()):
                reason = _reason(choice["finish_reason"]) if choice.get("finish_reason") else reason
                piece = _piece(choice)
                if piece.text or piece.logprobs:
                    yield piece
    except httpx.HTTPError as error:
        raise _unreachable(error) from error
    except (httpx_sse.SSEError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise _unintelligible() from error
    finally:
        await events.aclose()
    if reason is not None:
        yield Piece(text="", finish=Finish(reason=reason, usage=usage, timings=EngineTimings()))


def _completion_request(model: str, request: EngineRequest) -> dict[str, Any]:
    body: dict[str, Any] = {
        "model": model,
        "messages": [{"role": turn.role.value, "content": turn.content} for turn in request.conversation],
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    if request.json_schema:
        schema = {"name": "answer", "strict": True, "schema": json.loads(request.json_schema)}
        body["response_format"] = {"type": "json_schema", "json_schema": schema}
    if request.logprobs is not None:
        body |= {"logprobs": True, "top_logprobs": request.logprobs}
    return body | _sampling(request.sampling)


def _sampling(sampling: Sampling) -> dict[str, Any]:
    """Write the sampling; what is unset is greedy and bounded here, while these APIs would sample without a bound."""
    fields = {
        "max_tokens": sampling.max_output_tokens or DEFAULT_OUTPUT_TOKENS,
        "temperature": sampling.temperature or 0.0,
        "top_p": sampling.top_p,
        "top_k": sampling.top_k or None,
        "seed": sampling.seed,
        "stop": list(sampling.stop) or None,
    }
    return {name: value for name, value in fields.items() if value is not None}


def _piece(choice: Mapping[str, Any]) -> Piece:
    tokens = (choice.get("logprobs") or {}).get("content") or ()
    return Piece(
        text=choice.get("delta", {}).get("content") or "",
        logprobs=tuple(
            TokenLogprob(
                token=token["token"],
                logprob=token["logprob"],
                top=tuple(
                    TokenAlternative(token=other["token"], logprob=other["logprob"])
                    for other in token.get("top_logprobs") or ()
                ),
            )
            for token in tokens
        ),
    )


def _reason(text: str) -> FinishReason:
    return FinishReason.LENGTH if text == "length" else FinishReason.STOP


def _usage(document: Mapping[str, Any]) -> Usage:
    details = document.get("prompt_tokens_details") or {}
    return Usage(
        input_tokens=document.get("prompt_tokens", 0),
        output_tokens=document.get("completion_tokens", 0),
        cached_input_tokens=details.get("cached_tokens") or 0,
    )


def _check(response: httpx.Response, has_schema: bool) -> None:
    """Turn a refusal into a domain error; its text is not passed on, for it may quote the prompt."""
    status = response.status_code
    if status < 400:
        return
    known: dict[int, DomainError] = {
        401: FailedPrecondition("The external API refused the router's key. Correct TOUCHSTONE_EXTERNAL_API_KEY."),
        403: FailedPrecondition("The external API forbids this to the router's key. Use a key that may."),
        404: FailedPrecondition("The external API has no such model. Correct engine.args of the ModelDeployment."),
        408: DeadlineExceeded("The external API did not answer in time. Allow more time."),
        429: Exhausted("The external API takes no more requests now. Try again later."),
    }
    if status in known:
        raise known[status]
    if status >= 500:
        raise Unavailable(f"The external API failed with status {status}. Try again.")
    hint = "perhaps the JSON Schema, " if has_schema else ""
    raise Invalid([Violation("messages", f"the external API refused the request ({hint}status {status})")])


def _unreachable(error: httpx.HTTPError) -> DomainError:
    return Unavailable(f"The external API cannot be reached ({type(error).__name__}). Try again.")


def _unintelligible() -> DomainError:
    return Unavailable("The external API answered what is not in its protocol. See that base-url is right.")
