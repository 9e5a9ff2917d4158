"""What surrounds every call of every servicer: telemetry, request id and log line, deadline, error mapping.

Each concern is an asynchronous context manager round the call, so that one wrapper serves all four kinds of RPC. Health
and reflection calls pass through untouched: probes must not fill logs and traces.
"""

import asyncio
import inspect
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import grpc
from opentelemetry import propagate, trace

from touchstone_runtime import context, statuses, telemetry
from touchstone_runtime.errors import DeadlineExceeded, DomainError, Internal
from touchstone_runtime.telemetry import names

Servicing = grpc.aio.ServicerContext[Any, Any]
Around = Callable[[str, Servicing], AbstractAsyncContextManager[None]]

UNTOUCHED = ("/grpc.health.", "/grpc.reflection.")

logger = logging.getLogger("touchstone.rpc")


def stack(*, max_deadline_seconds: float) -> list[grpc.aio.ServerInterceptor]:
    """Return the interceptors, outermost first."""
    return [Surrounding(around) for around in (_telemetry(), _request(), _deadline(max_deadline_seconds), _errors)]


class Surrounding(grpc.aio.ServerInterceptor):
    """Puts one context manager round every call."""

    def __init__(self, around: Around) -> None:
        self._around = around

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """Wrap the handler of a method."""
        handler = await continuation(handler_call_details)
        method = handler_call_details.method
        if handler is None or method.startswith(UNTOUCHED):
            return handler
        return _wrap(handler, method, self._around)


def _wrap(handler: Any, method: str, around: Around) -> Any:
    async def single(request: Any, servicing: Servicing) -> Any:
        async with around(method, servicing):
            return await behaviour(request, servicing)

    async def stream(request: Any, servicing: Servicing) -> AsyncGenerator[Any, None]:
        async with around(method, servicing):
            answers = behaviour(request, servicing)
            if inspect.isawaitable(answers):  # a servicer that uses context.write
                await answers
                return
            async for answer in answers:
                yield answer

    factory = {
        (False, False): grpc.unary_unary_rpc_method_handler,
        (False, True): grpc.unary_stream_rpc_method_handler,
        (True, False): grpc.stream_unary_rpc_method_handler,
        (True, True): grpc.stream_stream_rpc_method_handler,
    }[handler.request_streaming, handler.response_streaming]
    behaviour = handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream
    return factory(
        stream if handler.response_streaming else single,
        request_deserializer=handler.request_deserializer,
        response_serializer=handler.response_serializer,
    )


def _telemetry() -> Around:
    tracer = telemetry.tracer(__name__)
    duration = telemetry.meter(__name__).create_histogram(
        names.RPC_SERVER_DURATION, unit="s", description="Time from a call's arrival to its end."
    )

    @asynccontextmanager
    async def around(method: str, servicing: Servicing) -> AsyncIterator[None]:
        carrier = {key: value for key, value in servicing.invocation_metadata() or () if isinstance(value, str)}
        attributes = {names.RPC_SYSTEM: "grpc", names.RPC_METHOD: method.lstrip("/")}
        started = time.perf_counter()
        with tracer.start_as_current_span(
            method.lstrip("/"),
            context=propagate.extract(carrier),
            kind=trace.SpanKind.SERVER,
            attributes=attributes,
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            code = grpc.StatusCode.OK
            try:
                yield
            except asyncio.CancelledError:
                code = grpc.StatusCode.CANCELLED
                raise
            except BaseException:
                code = _code(servicing)
                raise
            finally:
                status = {names.RPC_STATUS: code.name}
                span.set_attributes(status)
                if code is not grpc.StatusCode.OK:
                    span.set_status(trace.StatusCode.ERROR, code.name)
                duration.record(time.perf_counter() - started, {**attributes, **status})

    return around


def _code(servicing: Servicing) -> grpc.StatusCode:
    code: Any = servicing.code()
    return code if isinstance(code, grpc.StatusCode) and code is not grpc.StatusCode.OK else grpc.StatusCode.UNKNOWN


def _request() -> Around:
    @asynccontextmanager
    async def around(method: str, servicing: Servicing) -> AsyncIterator[None]:
        offered = dict(servicing.invocation_metadata() or ()).get(context.REQUEST_ID_HEADER, "")
        identity = context.accepted_request_id(offered if isinstance(offered, str) else "")
        context.request_id.set(identity)  # each call runs in a task, so in a context, of its own
        await servicing.send_initial_metadata(((context.REQUEST_ID_HEADER, identity),))
        started = time.perf_counter()
        code = "OK"
        try:
            yield
        except asyncio.CancelledError:
            code = "CANCELLED"
            raise
        except BaseException:
            code = _code(servicing).name
            raise
        finally:
            elapsed = round((time.perf_counter() - started) * 1000, 1)
            logger.info("call", extra={"method": method, "code": code, "millis": elapsed})

    return around


def _deadline(max_seconds: float) -> Around:
    @asynccontextmanager
    async def around(method: str, servicing: Servicing) -> AsyncIterator[None]:
        remaining = servicing.time_remaining()
        if remaining is not None and remaining <= max_seconds:
            yield  # gRPC itself ends the call at the caller's deadline
            return
        try:
            async with asyncio.timeout(max_seconds) as limit:
                yield
        except TimeoutError as error:
            if not limit.expired():
                raise
            message = (
                f"{method} was not done within {max_seconds:g} s, the server's limit. Ask for less, or set a deadline."
            )
            await _abort(servicing, DeadlineExceeded(message), error)

    return around


@asynccontextmanager
async def _errors(method: str, servicing: Servicing) -> AsyncIterator[None]:
    try:
        yield
    except (grpc.aio.AbortError, grpc.aio.UsageError):
        raise
    except DomainError as error:
        if error.kind is Internal.kind:
            logger.error("internal error", exc_info=error, extra={"method": method})
        await _abort(servicing, error, error)
    except TimeoutError:
        raise  # the deadline's own, one layer out
    except Exception as error:
        logger.exception("unexpected error", extra={"method": method})
        unexpected = Internal("An unexpected error happened. It was logged with the request id.")
        await _abort(servicing, unexpected, error)


async def _abort(servicing: Servicing, error: DomainError, cause: BaseException) -> None:
    trailing = ((statuses.DETAILS_KEY, statuses.details(error)),)
    try:
        await servicing.abort(statuses.CODES[error.kind], error.message, trailing)
    except grpc.aio.AbortError as aborted:
        raise aborted from cause
