"""The OpenAI-compatible HTTP door: chat completions, embeddings, models.

A client that goes away cancels its request down to the engine. An error before the first piece of a stream is
an HTTP status; one that comes later is an `error` event, as OpenAI sends it.
"""

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from contextlib import aclosing
from typing import Any, TypeVar

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from touchstone_runtime import context
from touchstone_runtime.errors import DomainError, Internal, Invalid, Violation

from touchstone_inference.router.api import openai_answers, openai_requests
from touchstone_inference.router.api.http_context import RequestContext
from touchstone_inference.router.core.generation import AnswerPart, Closing, Opening, Piece, TokenLogprob
from touchstone_inference.router.core.view import Door
from touchstone_inference.router.service.asking import Asking
from touchstone_inference.router.service.catalogue import Catalogue
from touchstone_inference.router.service.generating import Generating
from touchstone_inference.router.service.guarding import Guard
from touchstone_inference.router.service.placing import Call

log = logging.getLogger(__name__)

T = TypeVar("T")

BODY_BYTES = 16 << 20
"""The largest request, as for gRPC."""

TENANT_HEADER = "x-touchstone-tenant"
CLIENT_GONE = 499
"""nginx's status for a client that did not wait; nobody reads it but the access log."""


class OpenAiDoor:
    """The handlers of the HTTP door."""

    def __init__(
        self,
        generating: Generating,
        asking: Asking,
        catalogue: Catalogue,
        guard: Guard,
        *,
        clock: Callable[[], float],
        wall_clock: Callable[[], float],
        deadline_seconds: float,
        is_ready: Callable[[], bool],
    ) -> None:
        self._generating = generating
        self._asking = asking
        self._catalogue = catalogue
        self._guard = guard
        self._clock = clock
        self._wall_clock = wall_clock
        self._deadline_seconds = deadline_seconds
        self._is_ready = is_ready

    def application(self) -> RequestContext:
        """Make the ASGI application."""
        routes = [
            Route("/v1/chat/completions", self.chat, methods=["POST"]),
            Route("/v1/embeddings", self.embeddings, methods=["POST"]),
            Route("/v1/models", self.models, methods=["GET"]),
            Route("/v1/models/{name:path}", self.model, methods=["GET"]),
            Route("/healthz", self.health, methods=["GET"]),
            Route("/readyz", self.ready, methods=["GET"]),
        ]
        handlers: Any = {DomainError: _on_domain_error, HTTPException: _on_http_error, Exception: _on_defect}
        return RequestContext(Starlette(routes=routes, exception_handlers=handlers))

    async def chat(self, request: Request) -> Response:
        """POST /v1/chat/completions."""
        body = openai_requests.chat(await _body(request), tenant=request.headers.get(TENANT_HEADER, ""))
        await self._guard.admit(request.headers, body.question.model)
        parts = self._generating.generate(body.question, self._call(request, body.user))
        created = int(self._wall_clock())
        if not body.is_stream:
            has_logprobs = body.question.logprobs is not None
            return await _unless_gone(request, _whole(parts, created, has_logprobs=has_logprobs))

        async def begin() -> Response:
            # What fails before the first piece is still an HTTP status.
            opening, first = await anext(parts), await anext(parts)
            events = _events(opening, first, parts, created, includes_usage=body.includes_usage)
            return StreamingResponse(events, media_type="text/event-stream", headers={"Cache-Control": "no-store"})

        return await _unless_gone(request, begin())

    async def embeddings(self, request: Request) -> Response:
        """POST /v1/embeddings."""
        body = openai_requests.embeddings(await _body(request))
        await self._guard.admit(request.headers, body.model)

        async def answer() -> Response:
            embedded = await self._asking.embed(body.model, body.inputs, self._call(request, body.user))
            return JSONResponse(
                openai_answers.embeddings(
                    embedded.model, embedded.revision, embedded.embeddings, is_base64=body.is_base64
                )
            )

        return await _unless_gone(request, answer())

    async def models(self, request: Request) -> Response:
        """GET /v1/models: all of them, for the OpenAI API has no pages here."""
        data, token = [], ""
        while True:
            page = self._catalogue.list_models(Door.OPEN_AI, page_size=1000, page_token=token)
            visible = await self._guard.visible(request.headers, page.models)
            data += [openai_answers.model(model) for model in visible]
            token = page.next_page_token
            if not token:
                return JSONResponse({"object": "list", "data": data})

    async def model(self, request: Request) -> Response:
        """GET /v1/models/ID."""
        name = request.path_params["name"]
        await self._guard.admit(request.headers, name)
        return JSONResponse(openai_answers.model(self._catalogue.get_model(name, Door.OPEN_AI)))

    async def health(self, request: Request) -> Response:
        """GET /healthz: the process lives."""
        del request
        return Response(status_code=200)

    async def ready(self, request: Request) -> Response:
        """GET /readyz: the cluster was read."""
        del request
        return Response(status_code=200 if self._is_ready() else 503)

    def _call(self, request: Request, user: str) -> Call:
        arrived = self._clock()
        return Call(
            door=Door.OPEN_AI,
            request_id=context.request_id.get(),
            arrived_seconds=arrived,
            deadline_seconds=arrived + self._deadline_seconds,
            pinned_revision=request.headers.get(context.REVISION_HEADER, ""),
            headers=dict(request.headers),
            user=user,
        )


async def _whole(parts: AsyncGenerator[AnswerPart, None], created: int, *, has_logprobs: bool) -> Response:
    texts: list[str] = []
    tokens: list[TokenLogprob] = []
    async with aclosing(parts):
        opening = await anext(parts)
        async for part in parts:
            if isinstance(opening, Opening) and isinstance(part, Piece | Closing):
                texts.append(part.text)
                tokens += part.logprobs
                if isinstance(part, Closing):
                    document = openai_answers.completion(
                        opening, created, text="".join(texts), tokens=tokens, closing=part, has_logprobs=has_logprobs
                    )
                    return JSONResponse(document)
    raise Internal("The answer had no end. This is a defect of the router; report it.")


async def _events(
    opening: AnswerPart,
    first: AnswerPart,
    parts: AsyncGenerator[AnswerPart, None],
    created: int,
    *,
    includes_usage: bool,
) -> AsyncIterator[bytes]:
    if not isinstance(opening, Opening):
        raise Internal("The answer had no beginning. This is a defect of the router; report it.")
    async with aclosing(parts):
        start = openai_answers.chunk(opening, created, delta={"role": "assistant", "content": ""})
        yield _event(start | {"touchstone": openai_answers.extension(opening)})
        try:
            for event in _part_events(opening, first, created, includes_usage=includes_usage):
                yield event
            async for part in parts:
                for event in _part_events(opening, part, created, includes_usage=includes_usage):
                    yield event
        except DomainError as error:
            yield _event(openai_answers.error(error))
            return
    yield b"data: [DONE]\n\n"


def _part_events(opening: Opening, part: AnswerPart, created: int, *, includes_usage: bool) -> list[bytes]:
    events: list[dict[str, Any]] = []
    if isinstance(part, Piece | Closing) and (part.text or part.logprobs):
        chunk = openai_answers.chunk(opening, created, delta={"content": part.text})
        if part.logprobs:
            chunk["choices"][0]["logprobs"] = openai_answers.logprobs(part.logprobs)
        events.append(chunk)
    if isinstance(part, Closing):
        last = openai_answers.chunk(opening, created, delta={}, finish_reason=part.reason.value)
        events.append(last | {"touchstone": openai_answers.extension(opening, part)})
        if includes_usage:
            events.append(openai_answers.usage_chunk(opening, created, part.usage))
    return [_event(event) for event in events]


def _event(document: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(document, separators=(",", ":")).encode() + b"\n\n"


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_BYTES:
            raise Invalid([Violation("body", f"must have at most {BODY_BYTES} bytes")])
    return bytes(body)


async def _unless_gone(request: Request, work: Coroutine[Any, Any, Response]) -> Response:
    """Do the work unless the client goes away first, which cancels it."""
    task = asyncio.create_task(work)
    gone = asyncio.create_task(_disconnection(request))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        return task.result() if task.done() else Response(status_code=CLIENT_GONE)
    finally:
        for pending in (task, gone):
            pending.cancel()
        await asyncio.wait({task, gone})


async def _disconnection(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _on_domain_error(request: Request, error: DomainError) -> Response:
    del request
    # The official client repeats what fails with 5xx; what no repetition helps says so.
    headers = {} if error.is_retryable else {"x-should-retry": "false"}
    return JSONResponse(openai_answers.error(error), openai_answers.error_status(error), headers=headers)


async def _on_http_error(request: Request, error: HTTPException) -> Response:
    message = f"{error.detail}: {request.method} {request.url.path}"
    document = {"message": message, "type": "invalid_request_error", "param": None, "code": None}
    return JSONResponse({"error": document}, error.status_code, headers=error.headers)


async def _on_defect(request: Request, error: Exception) -> Response:
    del request, error  # Starlette raises it again once the answer is sent, and the server logs it.
    fault = Internal("The router failed. The log has more under this request's id.")
    return JSONResponse(openai_answers.error(fault), 500)
