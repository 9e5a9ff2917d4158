"""Probes: when they are due, and what their results mean. Pure."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from touchstone_local import fields
from touchstone_local.fields import Object

UNREADY_PERIOD_SECONDS = 0.5
"""A container that is not ready yet is asked more often than its period says: nobody waits for a lazy probe."""


class Purpose(StrEnum):
    """What a probe decides."""

    STARTUP = "startupProbe"
    """Whether the container has started; the other probes wait for it."""
    READINESS = "readinessProbe"
    """Whether the container gets traffic."""
    LIVENESS = "livenessProbe"
    """Whether the container is ended and started again."""


class Method(StrEnum):
    """How a probe asks."""

    GRPC = "grpc"
    HTTP = "httpGet"
    TCP = "tcpSocket"
    EXEC = "exec"


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """A probe of a container, with Kubernetes' defaults filled in."""

    method: Method
    port: int = 0
    host: str = ""
    """Empty: the Pod's address."""
    path: str = "/"
    scheme: str = "http"
    headers: tuple[tuple[str, str], ...] = ()
    service: str = ""
    """The service that the gRPC health check asks for."""
    command: tuple[str, ...] = ()
    initial_delay_seconds: int = 0
    period_seconds: int = 10
    timeout_seconds: int = 1
    success_threshold: int = 1
    failure_threshold: int = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """Where a probe stands."""

    due_at: datetime
    passes: bool
    """The verdict so far."""
    successes: int = 0
    """Passed probes in a row."""
    failures: int = 0
    """Failed probes in a row."""


def parse(container: Object, purpose: Purpose) -> Probe | None:
    """Return a container's probe for a purpose, or None if it has none."""
    source = fields.mapping(container, purpose.value)
    method = next((each for each in Method if each.value in source), None)
    if method is None:
        return None
    action = fields.mapping(source, method.value)
    return Probe(
        method=method,
        port=_port(fields.at(action, "port"), container),
        host=fields.text(action, "host"),
        path=fields.text(action, "path", default="/"),
        scheme=fields.text(action, "scheme", default="HTTP").lower(),
        headers=tuple((fields.text(h, "name"), fields.text(h, "value")) for h in fields.items(action, "httpHeaders")),
        service=fields.text(action, "service"),
        command=tuple(str(part) for part in fields.sequence(action, "command")),
        initial_delay_seconds=fields.integer(source, "initialDelaySeconds"),
        period_seconds=fields.integer(source, "periodSeconds", default=10),
        timeout_seconds=fields.integer(source, "timeoutSeconds", default=1),
        success_threshold=fields.integer(source, "successThreshold", default=1),
        failure_threshold=fields.integer(source, "failureThreshold", default=3),
    )


def begin(probe: Probe, purpose: Purpose, *, started_at: datetime, passed_before: bool = False) -> Track:
    """Return the track of a container that has just started: alive, but neither started nor ready.

    A container that was taken over from an earlier kubelet keeps what its probes said before.
    """
    due_at = started_at + timedelta(seconds=probe.initial_delay_seconds)
    return Track(due_at=due_at, passes=passed_before or purpose is Purpose.LIVENESS)


def observe(track: Track, probe: Probe, purpose: Purpose, *, passed: bool, now: datetime) -> Track:
    """Return the track after one more result."""
    if passed:
        successes = track.successes + 1
        passes = track.passes or successes >= probe.success_threshold
        return _next(replace(track, passes=passes, successes=successes, failures=0), probe, purpose, now=now)
    failures = track.failures + 1
    passes = track.passes and failures < probe.failure_threshold
    return _next(replace(track, passes=passes, successes=0, failures=failures), probe, purpose, now=now)


def has_given_up(track: Track, probe: Probe, purpose: Purpose) -> bool:
    """Whether the container must be ended: it never started, or it no longer lives."""
    return purpose is not Purpose.READINESS and not track.passes and track.failures >= probe.failure_threshold


def _next(track: Track, probe: Probe, purpose: Purpose, *, now: datetime) -> Track:
    seconds = float(max(1, probe.period_seconds))
    if purpose is Purpose.READINESS and not track.passes:
        seconds = min(seconds, UNREADY_PERIOD_SECONDS)
    return replace(track, due_at=now + timedelta(seconds=seconds))


def _port(value: object, container: Object) -> int:
    """Return a port's number; a name is looked up among the container's ports."""
    if isinstance(value, int):
        return value
    named = (port for port in fields.items(container, "ports") if fields.text(port, "name") == value)
    return next((fields.integer(port, "containerPort") for port in named), 0)
