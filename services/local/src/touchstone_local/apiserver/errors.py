"""What the API server answers when it cannot do what was asked: each error is a Kubernetes Status.

DomainError
└── ApiError               a Status with code and reason
    ├── BadRequest         400: the request cannot be understood
    ├── Unauthenticated    401
    ├── Forbidden          403: understood, and never allowed
    ├── NotFound           404
    ├── MethodNotAllowed   405
    ├── NotAcceptable      406
    ├── AlreadyExists      409
    ├── Conflict           409: another writer won, or a precondition does not hold
    ├── Expired            410: the version is no longer kept
    ├── TooLarge           413
    ├── UnsupportedMedia   415
    ├── Invalid            422: well-formed, and against the rules of its kind
    ├── Undeclared         500: an applied field that the schema does not know (as Kubernetes answers it)
    └── VersionUnknown     504: a version that lies in the future
StateBusy, PortTaken and ListenRefused stop the process at its start.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar, NamedTuple

from touchstone_runtime.errors import DomainError, FailedPrecondition, Kind

from touchstone_local.apiserver.core.objects import JsonObject


class Cause(NamedTuple):
    """One reason of several, as in `Status.details.causes`."""

    reason: str
    message: str
    field: str = ""

    def to_json(self) -> JsonObject:
        """Return the cause as JSON."""
        return {key: value for key, value in self._asdict().items() if value}


class ApiError(DomainError):
    """An error that a Kubernetes client understands."""

    code: ClassVar[int] = 500
    status_reason: ClassVar[str] = "InternalError"
    kind: ClassVar[Kind] = Kind.INTERNAL

    def __init__(
        self, message: str, *, details: Mapping[str, str | int] | None = None, causes: Sequence[Cause] = ()
    ) -> None:
        super().__init__(message)
        self.details = dict(details or {})
        self.causes = tuple(causes)

    def status(self) -> JsonObject:
        """Return the Status object."""
        details: JsonObject = dict(self.details)
        if self.causes:
            details["causes"] = [cause.to_json() for cause in self.causes]
        status: JsonObject = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.status_reason,
            "details": details,
            "code": self.code,
        }
        return {key: value for key, value in status.items() if value not in ("", {}) or key == "metadata"}


class BadRequest(ApiError):
    """The request cannot be understood."""

    code, status_reason, kind, reason = 400, "BadRequest", Kind.INVALID, "BAD_REQUEST"


class Unauthenticated(ApiError):
    """The bearer token is missing or wrong."""

    code, status_reason, kind, reason = 401, "Unauthorized", Kind.UNAUTHENTICATED, "UNAUTHENTICATED"


class Forbidden(ApiError):
    """The request is understood and never allowed."""

    code, status_reason, kind, reason = 403, "Forbidden", Kind.FORBIDDEN, "FORBIDDEN"


class NotFound(ApiError):
    """There is no such object, kind or path."""

    code, status_reason, kind, reason = 404, "NotFound", Kind.NOT_FOUND, "NOT_FOUND"


class MethodNotAllowed(ApiError):
    """The kind does not have the verb."""

    code, status_reason, kind, reason = 405, "MethodNotAllowed", Kind.UNIMPLEMENTED, "METHOD_NOT_ALLOWED"


class NotAcceptable(ApiError):
    """None of the media types that the client accepts can be written."""

    code, status_reason, kind, reason = 406, "NotAcceptable", Kind.INVALID, "NOT_ACCEPTABLE"


class AlreadyExists(ApiError):
    """The name is taken."""

    code, status_reason, kind, reason = 409, "AlreadyExists", Kind.ALREADY_EXISTS, "ALREADY_EXISTS"


class Conflict(ApiError):
    """Another writer won, owns the field, or a precondition does not hold."""

    code, status_reason, kind, reason = 409, "Conflict", Kind.CONFLICT, "CONFLICT"


class Expired(ApiError):
    """The version or the continue token is no longer kept."""

    code, status_reason, kind, reason = 410, "Expired", Kind.FAILED_PRECONDITION, "EXPIRED"


class TooLarge(ApiError):
    """The body is larger than the server takes."""

    code, status_reason, kind, reason = 413, "RequestEntityTooLarge", Kind.INVALID, "TOO_LARGE"


class UnsupportedMedia(ApiError):
    """The body's media type cannot be read here."""

    code, status_reason, kind, reason = 415, "UnsupportedMediaType", Kind.INVALID, "UNSUPPORTED_MEDIA"


class Invalid(ApiError):
    """The object is against the rules of its kind."""

    code, status_reason, kind, reason = 422, "Invalid", Kind.INVALID, "INVALID_OBJECT"


class Undeclared(ApiError):
    """An applied configuration holds a field that the schema does not know."""

    code, status_reason, kind, reason = 500, "", Kind.INVALID, "UNDECLARED_FIELD"


class VersionUnknown(ApiError):
    """The client names a version that this server has not reached."""

    code, status_reason, kind, reason = 504, "Timeout", Kind.UNAVAILABLE, "VERSION_UNKNOWN"


class StateBusy(FailedPrecondition):
    """Another API server holds the state folder."""

    reason = "STATE_BUSY"

    def __init__(self, path: str) -> None:
        super().__init__(
            f"Another API server uses {path}. Stop it, or give this one its own TOUCHSTONE_STATE_DIR.",
            metadata={"path": path},
        )


class PortTaken(FailedPrecondition):
    """Something else listens there."""

    reason = "PORT_TAKEN"

    def __init__(self, address: str, why: str) -> None:
        super().__init__(
            f"Cannot listen on {address}: {why}. Stop what listens there, or set TOUCHSTONE_LISTEN to another port.",
            metadata={"address": address, "why": why},
        )


class ListenRefused(FailedPrecondition):
    """The server must not listen there."""

    reason = "LISTEN_REFUSED"

    def __init__(self, host: str) -> None:
        super().__init__(
            f"The embedded API server listens on loopback only, and {host} is not. "
            "Set TOUCHSTONE_LISTEN to an address of 127.0.0.0/8 or to localhost.",
            metadata={"host": host},
        )
