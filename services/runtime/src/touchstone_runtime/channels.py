"""Channels to other services: retries, keepalive, the trace and the request id passed on."""

import json
from pathlib import Path
from typing import Any

import grpc
from opentelemetry import propagate

from touchstone_runtime import context
from touchstone_runtime.errors import DeadlineExceeded
from touchstone_runtime.statuses import translate

MAX_MESSAGE_BYTES = 16 * 1024 * 1024

_RETRY_POLICY = {
    "maxAttempts": 4,
    "initialBackoff": "0.1s",
    "maxBackoff": "2s",
    "backoffMultiplier": 2,
    "retryableStatusCodes": ["UNAVAILABLE"],
}


def connect(address: str, *, retry: bool = True, token_file: Path | None = None) -> grpc.aio.Channel:
    """Open a channel; it connects at the first call and again after failures.

    Args:
        address: `HOST:PORT`; several addresses of one name are used in turn.
        retry: Whether calls that were refused as UNAVAILABLE before any answer are tried again, up to four times.
        token_file: Holds the bearer token that is sent with each call; read anew, since Kubernetes renews it.
    """
    kinds = (_UnaryUnary, _UnaryStream, _StreamUnary, _StreamStream)
    service_config: dict[str, Any] = {"loadBalancingConfig": [{"round_robin": {}}]}
    if retry:
        service_config["methodConfig"] = [{"name": [{}], "retryPolicy": _RETRY_POLICY}]
    return grpc.aio.insecure_channel(
        address,
        options=[
            ("grpc.service_config", json.dumps(service_config)),
            ("grpc.enable_retries", int(retry)),
            ("grpc.keepalive_time_ms", 30_000),
            ("grpc.keepalive_timeout_ms", 10_000),
            ("grpc.keepalive_permit_without_calls", 1),
            ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
            ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
            # A peer that was restarted is tried again soon.
            ("grpc.initial_reconnect_backoff_ms", 100),
            ("grpc.max_reconnect_backoff_ms", 5_000),
            ("grpc.use_local_subchannel_pool", 1),
        ],
        interceptors=[kind(token_file) for kind in kinds],
    )


def remaining_seconds(
    servicing: "grpc.aio.ServicerContext[Any, Any] | None", *, at_most: float, margin: float = 0.05
) -> float:
    """Return the deadline for an outbound call: what is left of the inbound one, less a margin.

    Raises:
        DeadlineExceeded: Nothing is left.
    """
    remaining = None if servicing is None else servicing.time_remaining()
    if remaining is None:
        return at_most
    if remaining <= margin:
        raise DeadlineExceeded("The caller's deadline has passed. Ask again with a longer one.")
    return min(at_most, remaining - margin)


class _Forwarding:
    """Adds the trace context, the request id and a token to the metadata of outbound calls."""

    def __init__(self, token_file: Path | None) -> None:
        self._token_file = token_file

    def forwarded(self, details: Any) -> Any:
        """Return the details of a call with what is added."""
        return _forwarded(details, "" if self._token_file is None else self._token_file.read_text().strip())


def _forwarded(details: Any, token: str) -> Any:
    carrier: dict[str, str] = {}
    propagate.inject(carrier)
    if token:
        carrier["authorization"] = f"Bearer {token}"
    if request_id := context.request_id.get():
        carrier[context.REQUEST_ID_HEADER] = request_id
    present = tuple(details.metadata or ())
    taken = {key for key, _ in present}
    added = tuple((key, value) for key, value in carrier.items() if key not in taken)
    return grpc.aio.ClientCallDetails(
        method=details.method,
        timeout=details.timeout,
        metadata=grpc.aio.Metadata(*present, *added),
        credentials=details.credentials,
        wait_for_ready=details.wait_for_ready,
    )


class _UnaryUnary(_Forwarding, grpc.aio.UnaryUnaryClientInterceptor):
    async def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        return await continuation(self.forwarded(client_call_details), request)


class _UnaryStream(_Forwarding, grpc.aio.UnaryStreamClientInterceptor):
    async def intercept_unary_stream(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        return await continuation(self.forwarded(client_call_details), request)


class _StreamUnary(_Forwarding, grpc.aio.StreamUnaryClientInterceptor):
    async def intercept_stream_unary(self, continuation: Any, client_call_details: Any, request_iterator: Any) -> Any:
        return await continuation(self.forwarded(client_call_details), request_iterator)


class _StreamStream(_Forwarding, grpc.aio.StreamStreamClientInterceptor):
    async def intercept_stream_stream(self, continuation: Any, client_call_details: Any, request_iterator: Any) -> Any:
        return await continuation(self.forwarded(client_call_details), request_iterator)


__all__ = ["connect", "remaining_seconds", "translate"]
