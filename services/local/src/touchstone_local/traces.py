"""Reading the collector: traces, and which one was last."""

import asyncio
from collections.abc import Mapping

import httpx

from touchstone_local import fields
from touchstone_local.collector.core.records import Attribute, Span
from touchstone_local.errors import ServiceUnavailable, TraceNotFound

EXPORT_SECONDS = 10.0
"""Processes export their spans every few seconds: a trace is complete a while after its request."""


async def fetch(address: str, trace_id: str) -> list[Span]:
    """Return the spans of a trace, by the id or its beginning.

    Raises:
        TraceNotFound: The collector holds none.
        ServiceUnavailable: The collector does not answer.
    """
    answer = await _get(address, f"/traces/{trace_id}")
    if not answer:
        raise TraceNotFound(
            f"The collector has no trace '{trace_id}'. See `touchstone trace` for those it has.",
            metadata={"trace_id": trace_id},
        )
    return _spans(answer)


async def settled(address: str, trace_id: str, *, timeout_seconds: float = EXPORT_SECONDS) -> list[Span]:
    """Return a trace's spans once none has been added for a second.

    Raises:
        TraceNotFound: No span came in time.
        ServiceUnavailable: The collector does not answer.
    """
    found: list[Span] = []
    loop = asyncio.get_running_loop()
    give_up_at = loop.time() + timeout_seconds
    grown_at = loop.time()
    while loop.time() < give_up_at:
        spans = _spans(await _get(address, f"/traces/{trace_id}"))
        if len(spans) > len(found):
            found, grown_at = spans, loop.time()
        elif found and loop.time() - grown_at >= 1.0:
            return found
        await asyncio.sleep(0.2)
    return found or await fetch(address, trace_id)


async def latest(address: str, *, limit: int = 20, service: str = "") -> tuple[fields.Object, ...]:
    """Return summaries of the newest traces.

    Raises:
        ServiceUnavailable: The collector does not answer.
    """
    return fields.items(await _get(address, "/traces", {"limit": str(limit), "service": service}), "traces")


async def _get(address: str, path: str, query: Mapping[str, str] | None = None) -> fields.Object:
    try:
        async with httpx.AsyncClient(timeout=10.0, trust_env=False) as client:
            answer = await client.get(f"http://{address}{path}", params=dict(query or {}))
    except httpx.TransportError as error:
        message = f"The collector at {address} does not answer. See `touchstone logs collector`."
        raise ServiceUnavailable(message) from error
    decoded = answer.json() if answer.status_code == httpx.codes.OK else {}
    return decoded if isinstance(decoded, dict) else {}


def _spans(answer: fields.Object) -> list[Span]:
    return [_span(each) for each in fields.items(answer, "spans")]


def _span(data: fields.Object) -> Span:
    attributes: dict[str, Attribute] = {
        key: value for key, value in fields.mapping(data, "attributes").items() if isinstance(value, str | int | float)
    }
    return Span(
        trace_id=fields.text(data, "trace_id"),
        span_id=fields.text(data, "span_id"),
        parent_id=fields.text(data, "parent_id"),
        service=fields.text(data, "service"),
        name=fields.text(data, "name"),
        kind=fields.text(data, "kind"),
        start_nanos=fields.integer(data, "start_nanos"),
        end_nanos=fields.integer(data, "end_nanos"),
        is_error=fields.flag(data, "is_error"),
        message=fields.text(data, "message"),
        attributes=attributes,
        events=tuple(str(each) for each in fields.sequence(data, "events")),
    )
