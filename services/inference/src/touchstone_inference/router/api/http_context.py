"""What every HTTP request has: an id that is echoed, a span that continues the caller's trace, a line in the log."""

import logging
import time
from typing import Any

from opentelemetry import propagate, trace
from opentelemetry.trace import SpanKind
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from touchstone_runtime import context

log = logging.getLogger(__name__)

_PROBES = frozenset({"/healthz", "/readyz"})


class RequestContext:
    """An ASGI application round another one."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._tracer = trace.get_tracer(__name__)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["path"] in _PROBES:
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        request_id = context.accepted_request_id(headers.get(context.REQUEST_ID_HEADER, ""))
        token = context.request_id.set(request_id)
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[context.REQUEST_ID_HEADER] = request_id
            await send(message)

        started = time.perf_counter()
        attributes: dict[str, Any] = {"http.request.method": scope["method"], "url.path": scope["path"]}
        try:
            with self._tracer.start_as_current_span(
                f"{scope['method']} {scope['path']}",
                context=propagate.extract(dict(headers)),
                kind=SpanKind.SERVER,
                attributes=attributes,
            ) as span:
                await self._app(scope, receive, send_with_id)
                span.set_attribute("http.response.status_code", status)
        finally:
            seconds = time.perf_counter() - started
            log.info("%s %s %d %.4f s", scope["method"], scope["path"], status, seconds)
            context.request_id.reset(token)
