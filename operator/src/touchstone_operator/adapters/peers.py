"""What the gRPC peers share: a deadline for each call, and errors as ours."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import grpc
from touchstone_runtime import channels
from touchstone_runtime.errors import DomainError, Invalid, Kind

from touchstone_operator import errors

TIMEOUT_SECONDS = 10.0

Answer = TypeVar("Answer")


async def ask(peer: str, call: Awaitable[Answer], *, missing: Callable[[], DomainError] | None = None) -> Answer:
    """Wait for a peer's answer.

    Args:
        peer: The peer's name, for the sentence.
        call: The call, with its deadline.
        missing: Makes the error for NOT_FOUND.

    Raises:
        PeerUnavailable: It did not answer; it will be asked again.
        PeerRefused: It never will.
    """
    try:
        return await call
    except grpc.aio.AioRpcError as error:
        fault = channels.translate(error, peer)
        if fault.kind is Kind.NOT_FOUND and missing is not None:
            raise missing() from error
        if fault.is_retryable or fault.kind is Kind.INTERNAL:
            raise errors.PeerUnavailable(peer, fault.message) from error
        facts = [f"{v.field}: {v.description}" for v in fault.violations] if isinstance(fault, Invalid) else []
        raise errors.PeerRefused(peer, "; ".join(facts) or fault.message) from error
