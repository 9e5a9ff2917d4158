"""Domain errors as gRPC statuses and back. The one place that knows both."""

from collections.abc import Mapping
from typing import Any

import grpc
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2

from touchstone_runtime import errors
from touchstone_runtime.errors import DomainError, Invalid, Kind, Violation

DOMAIN = "touchstone.dev"
DETAILS_KEY = "grpc-status-details-bin"

CODES: Mapping[Kind, grpc.StatusCode] = {
    Kind.INVALID: grpc.StatusCode.INVALID_ARGUMENT,
    Kind.NOT_FOUND: grpc.StatusCode.NOT_FOUND,
    Kind.CONFLICT: grpc.StatusCode.ABORTED,
    Kind.ALREADY_EXISTS: grpc.StatusCode.ALREADY_EXISTS,
    Kind.FAILED_PRECONDITION: grpc.StatusCode.FAILED_PRECONDITION,
    Kind.EXHAUSTED: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Kind.UNAUTHENTICATED: grpc.StatusCode.UNAUTHENTICATED,
    Kind.FORBIDDEN: grpc.StatusCode.PERMISSION_DENIED,
    Kind.UNAVAILABLE: grpc.StatusCode.UNAVAILABLE,
    Kind.DEADLINE_EXCEEDED: grpc.StatusCode.DEADLINE_EXCEEDED,
    Kind.UNIMPLEMENTED: grpc.StatusCode.UNIMPLEMENTED,
    Kind.INTERNAL: grpc.StatusCode.INTERNAL,
}

_CLASSES: Mapping[grpc.StatusCode, type[DomainError]] = {
    grpc.StatusCode.NOT_FOUND: errors.NotFound,
    grpc.StatusCode.ABORTED: errors.Conflict,
    grpc.StatusCode.ALREADY_EXISTS: errors.AlreadyExists,
    grpc.StatusCode.FAILED_PRECONDITION: errors.FailedPrecondition,
    grpc.StatusCode.RESOURCE_EXHAUSTED: errors.Exhausted,
    grpc.StatusCode.UNAUTHENTICATED: errors.Unauthenticated,
    grpc.StatusCode.PERMISSION_DENIED: errors.Forbidden,
    grpc.StatusCode.UNAVAILABLE: errors.Unavailable,
    grpc.StatusCode.CANCELLED: errors.Unavailable,
    grpc.StatusCode.DEADLINE_EXCEEDED: errors.DeadlineExceeded,
    grpc.StatusCode.UNIMPLEMENTED: errors.Unimplemented,
}


def details(error: DomainError) -> bytes:
    """Write an error as a serialised google.rpc.Status with ErrorInfo and, for bad input, BadRequest."""
    parts: list[Any] = [error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=error.metadata)]
    if isinstance(error, Invalid):
        violations = [
            error_details_pb2.BadRequest.FieldViolation(field=v.field, description=v.description)
            for v in error.violations
        ]
        parts.append(error_details_pb2.BadRequest(field_violations=violations))
    status = status_pb2.Status(code=CODES[error.kind].value[0], message=error.message)
    for part in parts:
        packed = any_pb2.Any()
        packed.Pack(part)
        status.details.append(packed)
    return bytes(status.SerializeToString())


def translate(error: grpc.aio.AioRpcError, system: str) -> DomainError:
    """Read a failed call as a domain error; reason, facts and field violations of our own services are kept.

    Args:
        error: What the call raised.
        system: The name of what was called, for the sentence.
    """
    info, violations = _read(error)
    message = error.details() or error.code().name
    metadata = dict(info.metadata)
    if error.code() in (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.OUT_OF_RANGE):
        return Invalid(violations, message=message, metadata=metadata, reason=info.reason)
    kind = _CLASSES.get(error.code(), errors.Internal)
    sentence = message if info.reason else f"{system} answered {error.code().name}: {message}"
    return kind(sentence, metadata=metadata, reason=info.reason)


def _read(error: grpc.aio.AioRpcError) -> tuple[error_details_pb2.ErrorInfo, list[Violation]]:
    info = error_details_pb2.ErrorInfo()
    bad = error_details_pb2.BadRequest()
    for key, value in error.trailing_metadata() or ():
        if key == DETAILS_KEY and isinstance(value, bytes):
            for part in status_pb2.Status.FromString(value).details:
                _ = part.Unpack(info) or part.Unpack(bad)
    return info, [Violation(v.field, v.description) for v in bad.field_violations]
