"""What can go wrong on one machine.

DomainError
├── NotFound:            ObjectNotFound, KindUnknown, LogNotFound, TraceNotFound
├── Invalid:             ObjectInvalid (with the causes the API server names), ManifestInvalid
├── Conflict:            ObjectConflict
├── AlreadyExists:       ObjectExists
├── Forbidden:           Refused
├── Unavailable:         ClusterUnavailable, PlatformNotRunning, ServiceUnavailable
├── FailedPrecondition:  PlatformBusy, NoFreeSubnet, NoFreeAddress, StepFailed
├── DeadlineExceeded:    WaitExpired
└── Internal:            StartFailed (with the end of the log)
"""

from collections.abc import Sequence

from touchstone_runtime import errors
from touchstone_runtime.errors import DomainError, Violation


class ObjectNotFound(errors.NotFound):
    """The API server has no such object."""

    reason = "OBJECT_NOT_FOUND"


class KindUnknown(errors.NotFound):
    """The API server serves no such kind."""

    reason = "KIND_UNKNOWN"

    def __init__(self, kind: str, known: Sequence[str]) -> None:
        super().__init__(
            f"The server has no kind '{kind}'. It has: {', '.join(sorted(known))}.",
            metadata={"kind": kind},
        )


class LogNotFound(errors.NotFound):
    """There is no log of that name."""

    reason = "LOG_NOT_FOUND"

    def __init__(self, name: str, known: Sequence[str]) -> None:
        choices = ", ".join(sorted(known)) or "none yet"
        super().__init__(f"There is no log '{name}'. Logs: {choices}.", metadata={"name": name})


class TraceNotFound(errors.NotFound):
    """The collector holds no such trace."""

    reason = "TRACE_NOT_FOUND"


class ObjectInvalid(errors.Invalid):
    """The API server refuses the object and says which fields are wrong."""

    reason = "OBJECT_INVALID"


class ManifestInvalid(errors.Invalid):
    """A file does not hold Kubernetes objects."""

    reason = "MANIFEST_INVALID"

    def __init__(self, path: str, description: str) -> None:
        super().__init__([Violation(path, description)])


class ObjectConflict(errors.Conflict):
    """Another writer changed the object or owns the field."""

    reason = "OBJECT_CONFLICT"


class ObjectExists(errors.AlreadyExists):
    """An object of that name exists."""

    reason = "OBJECT_EXISTS"


class Refused(errors.Forbidden):
    """The API server does not allow it."""

    reason = "REFUSED"


class ClusterUnavailable(errors.Unavailable):
    """The API server does not answer."""

    reason = "CLUSTER_UNAVAILABLE"


class ServiceUnavailable(errors.Unavailable):
    """A service of the platform does not answer."""

    reason = "SERVICE_UNAVAILABLE"


class PlatformNotRunning(errors.Unavailable):
    """No platform runs in the state folder."""

    reason = "PLATFORM_NOT_RUNNING"

    def __init__(self, folder: str) -> None:
        super().__init__(f"No platform runs in {folder}. Start it with `touchstone up`.", metadata={"folder": folder})


class PlatformBusy(errors.FailedPrecondition):
    """Another supervisor holds the state folder."""

    reason = "PLATFORM_BUSY"


class NoFreeSubnet(errors.FailedPrecondition):
    """Every /24 of 127.88.0.0/16 is taken."""

    reason = "NO_FREE_SUBNET"


class NoFreeAddress(errors.FailedPrecondition):
    """Every address for pods is taken."""

    reason = "NO_FREE_ADDRESS"


class WaitExpired(errors.DeadlineExceeded):
    """A condition did not become true in time."""

    reason = "WAIT_EXPIRED"


class StartFailed(errors.Internal):
    """A process of the platform did not become ready."""

    reason = "START_FAILED"

    def __init__(self, process: str, why: str, *, log_tail: str = "", log_path: str = "") -> None:
        self.process = process
        self.log_tail = log_tail
        super().__init__(
            f"{process} did not start: {why}. Its log is {log_path or 'empty'}.",
            metadata={"process": process, "why": why},
        )


class StepFailed(errors.FailedPrecondition):
    """A step of the demo came out otherwise than it should."""

    reason = "STEP_FAILED"


class NothingToRank(errors.FailedPrecondition):
    """An EvalRun that is to be ranked has measured nothing."""

    reason = "NOTHING_TO_RANK"

    def __init__(self, name: str) -> None:
        super().__init__(
            f"EvalRun {name!r} is not there, or has measured nothing yet: `touchstone get evalruns` lists them.",
            metadata={"name": name},
        )


__all__ = [
    "ClusterUnavailable",
    "DomainError",
    "KindUnknown",
    "LogNotFound",
    "ManifestInvalid",
    "NoFreeAddress",
    "NoFreeSubnet",
    "NothingToRank",
    "ObjectConflict",
    "ObjectExists",
    "ObjectInvalid",
    "ObjectNotFound",
    "PlatformBusy",
    "PlatformNotRunning",
    "Refused",
    "ServiceUnavailable",
    "StartFailed",
    "StepFailed",
    "TraceNotFound",
    "Violation",
    "WaitExpired",
]
