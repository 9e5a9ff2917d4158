"""The error tree that every service's own errors grow from. Pure: knows kinds and facts, not statuses.

DomainError
├── Invalid            the caller's input is wrong; carries field violations
├── NotFound           a named thing does not exist
├── Conflict           a concurrent change won; read again and retry
├── AlreadyExists      the name is taken by something different
├── FailedPrecondition the thing exists but is not in a state for this
├── Exhausted          a quota, a budget or a queue is full
├── Unauthenticated    who the caller is cannot be told
├── Forbidden          the caller may not do this
├── Unavailable        a system that is needed did not answer; the same call may go through later
├── DeadlineExceeded   there was not enough time
├── Unimplemented      this engine, store or build cannot do it
└── Internal           a defect of ours

A service derives from these and sets `reason`; servicers raise them and the error interceptor turns them into a
status with ErrorInfo and BadRequest.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import ClassVar, NamedTuple


class Kind(StrEnum):
    """The kinds of error, one a gRPC status."""

    INVALID = "INVALID"
    NOT_FOUND = "NOT_FOUND"
    CONFLICT = "CONFLICT"
    ALREADY_EXISTS = "ALREADY_EXISTS"
    FAILED_PRECONDITION = "FAILED_PRECONDITION"
    EXHAUSTED = "EXHAUSTED"
    UNAUTHENTICATED = "UNAUTHENTICATED"
    FORBIDDEN = "FORBIDDEN"
    UNAVAILABLE = "UNAVAILABLE"
    DEADLINE_EXCEEDED = "DEADLINE_EXCEEDED"
    UNIMPLEMENTED = "UNIMPLEMENTED"
    INTERNAL = "INTERNAL"


RETRYABLE: frozenset[Kind] = frozenset({Kind.UNAVAILABLE, Kind.CONFLICT, Kind.EXHAUSTED, Kind.DEADLINE_EXCEEDED})
"""Kinds for which the same call may go through later."""


class Violation(NamedTuple):
    """One fault of one input field."""

    field: str
    """Path of the field, as in the proto or the resource: `spec.sources[0].uri`."""
    description: str
    """What is wrong and what to do."""


class DomainError(Exception):
    """An error with a kind, a machine-readable reason, facts, and a sentence that says what to do."""

    kind: ClassVar[Kind] = Kind.INTERNAL
    reason: str = "INTERNAL"
    """UPPER_SNAKE, at most 63 characters; part of the API. An error that came over the wire keeps its sender's."""

    def __init__(self, message: str, *, metadata: Mapping[str, str] | None = None, reason: str = "") -> None:
        super().__init__(message)
        self.message = message
        if reason:
            self.reason = reason
        self.metadata: dict[str, str] = dict(metadata or {})
        """The dynamic values that the message shows."""

    @property
    def is_retryable(self) -> bool:
        """Whether the same call may go through later."""
        return self.kind in RETRYABLE


class Invalid(DomainError):
    """The caller's input is wrong."""

    kind = Kind.INVALID
    reason = "INVALID_INPUT"

    def __init__(
        self,
        violations: Sequence[Violation],
        *,
        message: str = "",
        metadata: Mapping[str, str] | None = None,
        reason: str = "",
    ) -> None:
        self.violations = tuple(violations)
        sentence = message or "; ".join(f"{v.field}: {v.description}" for v in self.violations)
        super().__init__(sentence, metadata=metadata, reason=reason)


class NotFound(DomainError):
    """A named thing does not exist."""

    kind = Kind.NOT_FOUND
    reason = "NOT_FOUND"


class Conflict(DomainError):
    """A concurrent change won."""

    kind = Kind.CONFLICT
    reason = "CONFLICT"


class AlreadyExists(DomainError):
    """The name is taken by something different."""

    kind = Kind.ALREADY_EXISTS
    reason = "ALREADY_EXISTS"


class FailedPrecondition(DomainError):
    """The thing exists but is not in a state for this."""

    kind = Kind.FAILED_PRECONDITION
    reason = "FAILED_PRECONDITION"


class Exhausted(DomainError):
    """A quota, a budget or a queue is full."""

    kind = Kind.EXHAUSTED
    reason = "EXHAUSTED"


class Unauthenticated(DomainError):
    """Who the caller is cannot be told."""

    kind = Kind.UNAUTHENTICATED
    reason = "UNAUTHENTICATED"


class Forbidden(DomainError):
    """The caller may not do this."""

    kind = Kind.FORBIDDEN
    reason = "FORBIDDEN"


class Unavailable(DomainError):
    """A system that is needed did not answer."""

    kind = Kind.UNAVAILABLE
    reason = "UNAVAILABLE"


class DeadlineExceeded(DomainError):
    """There was not enough time."""

    kind = Kind.DEADLINE_EXCEEDED
    reason = "DEADLINE_EXCEEDED"


class Unimplemented(DomainError):
    """This engine, store or build cannot do it."""

    kind = Kind.UNIMPLEMENTED
    reason = "UNIMPLEMENTED"


class Internal(DomainError):
    """A defect of ours."""

    kind = Kind.INTERNAL
    reason = "INTERNAL"
