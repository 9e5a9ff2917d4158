"""What the kubelet remembers of a Pod: its address and its processes. Pure.

A record is written to disk as soon as a process has started or ended, and is how a kubelet that was killed finds its
processes again.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime

from touchstone_local import fields
from touchstone_local.kubelet.core import restarting


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One process of a container."""

    pid: int
    create_time: float
    """Seconds since the epoch; with the pid it names the process."""
    started_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a process of a container ended."""

    exit_code: int
    reason: str
    """`Completed`, `Error`, or what made us end it."""
    started_at: datetime
    finished_at: datetime
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerRecord:
    """One container of a Pod."""

    name: str
    run: Run | None = None
    """The process, while there is one."""
    ended: Ended | None = None
    """How the last process ended."""
    starts: int = 0
    """How often a process was started."""
    failures: int = 0
    """Ends in a row, for the pause before the next start."""
    retry_at: datetime | None = None
    """When to start the next process; None: at once, or never if the container is done."""
    waiting_reason: str = "ContainerCreating"
    waiting_message: str = ""
    is_done: bool = False
    """Whether no further process will be started."""

    @property
    def restarts(self) -> int:
        """How often it was started again."""
        return max(0, self.starts - 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class PodRecord:
    """A Pod that has an address."""

    uid: str
    namespace: str
    name: str
    ip: str
    started_at: datetime
    containers: tuple[ContainerRecord, ...]

    def container(self, name: str) -> ContainerRecord:
        """Return the record of a container."""
        return next(each for each in self.containers if each.name == name)

    def with_container(self, changed: ContainerRecord) -> "PodRecord":
        """Return the record with one container replaced."""
        return replace(
            self, containers=tuple(changed if each.name == changed.name else each for each in self.containers)
        )

    @property
    def is_running(self) -> bool:
        """Whether any container has a process."""
        return any(each.run is not None for each in self.containers)


def started(record: ContainerRecord, run: Run) -> ContainerRecord:
    """Return the record after a process was started."""
    return replace(record, run=run, starts=record.starts + 1, retry_at=None, waiting_reason="", waiting_message="")


def blocked(record: ContainerRecord, *, reason: str, message: str, retry_at: datetime) -> ContainerRecord:
    """Return the record of a container that cannot start now."""
    return replace(record, waiting_reason=reason, waiting_message=message, retry_at=retry_at)


def ended(record: ContainerRecord, how: Ended, *, policy: str) -> ContainerRecord:
    """Return the record after its process ended, with the next start planned by the restart policy."""
    if not restarting.should_restart(policy, exit_code=how.exit_code):
        return replace(record, run=None, ended=how, is_done=True, retry_at=None)
    ran_seconds = (how.finished_at - how.started_at).total_seconds()
    failures = restarting.failures_after(record.failures, ran_seconds=ran_seconds)
    delay = restarting.delay_seconds(failures)
    return replace(
        record,
        run=None,
        ended=how,
        failures=failures,
        retry_at=how.finished_at + restarting.seconds(delay),
        waiting_reason="CrashLoopBackOff",
        waiting_message=f"back-off {delay:g}s restarting failed container={record.name}",
    )


def to_json(record: PodRecord) -> str:
    """Write a record."""
    return json.dumps(asdict(record), default=datetime.isoformat, indent=1)


def from_json(text: str) -> PodRecord:
    """Read a record.

    Raises:
        ValueError: The text is not a record.
    """
    data = json.loads(text)
    try:
        return PodRecord(
            uid=data["uid"],
            namespace=data["namespace"],
            name=data["name"],
            ip=data["ip"],
            started_at=datetime.fromisoformat(data["started_at"]),
            containers=tuple(_container(each) for each in data["containers"]),
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"not a Pod record: {error!r}") from error


def _container(data: Mapping[str, object]) -> ContainerRecord:
    return ContainerRecord(
        name=fields.text(data, "name"),
        run=_run(fields.mapping(data, "run")),
        ended=_ended(fields.mapping(data, "ended")),
        starts=fields.integer(data, "starts"),
        failures=fields.integer(data, "failures"),
        retry_at=fields.time(data, "retry_at"),
        waiting_reason=fields.text(data, "waiting_reason"),
        waiting_message=fields.text(data, "waiting_message"),
        is_done=fields.flag(data, "is_done"),
    )


def _run(data: Mapping[str, object]) -> Run | None:
    started_at = fields.time(data, "started_at")
    if started_at is None:
        return None
    create_time = data["create_time"]
    if not isinstance(create_time, float | int):
        raise TypeError("create_time is not a number")
    return Run(pid=fields.integer(data, "pid"), create_time=float(create_time), started_at=started_at)


def _ended(data: Mapping[str, object]) -> Ended | None:
    started_at, finished_at = fields.time(data, "started_at"), fields.time(data, "finished_at")
    if started_at is None or finished_at is None:
        return None
    return Ended(
        exit_code=fields.integer(data, "exit_code"),
        reason=fields.text(data, "reason"),
        started_at=started_at,
        finished_at=finished_at,
        message=fields.text(data, "message"),
    )
