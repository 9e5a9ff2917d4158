"""What a platform tells of itself: `platform.json`. Pure."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from enum import StrEnum

from touchstone_local import fields


class Phase(StrEnum):
    """Where a platform stands."""

    STARTING = "Starting"
    READY = "Ready"
    FAILED = "Failed"
    STOPPING = "Stopping"
    STOPPED = "Stopped"


class ProcessPhase(StrEnum):
    """Where a process stands."""

    WAITING = "Waiting"
    """For the processes that it needs."""
    STARTING = "Starting"
    READY = "Ready"
    COMPLETED = "Completed"
    """It was to run once, and has."""
    RESTARTING = "Restarting"
    """It ended, and will be started again after a pause."""
    FAILED = "Failed"
    STOPPED = "Stopped"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessState:
    """One process of a platform."""

    name: str
    phase: ProcessPhase = ProcessPhase.WAITING
    pid: int = 0
    """0: it has none."""
    create_time: float = 0.0
    """Seconds since the epoch; with the pid it names the process."""
    started_at: str = ""
    restarts: int = 0
    address: str = ""
    log: str = ""
    fingerprint: str = ""
    """Changes when its command or its environment does."""
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformState:
    """A platform."""

    phase: Phase
    subnet: str
    """The first three numbers of its addresses."""
    kubeconfig: str
    is_embedded: bool
    """Whether the API server is ours."""
    supervisor_pid: int
    supervisor_create_time: float
    started_at: str
    processes: tuple[ProcessState, ...]
    message: str = ""

    def process(self, name: str) -> ProcessState:
        """Return a process.

        Raises:
            KeyError: The platform has none of that name.
        """
        for each in self.processes:
            if each.name == name:
                return each
        raise KeyError(name)

    def with_process(self, changed: ProcessState) -> "PlatformState":
        """Return the state with one process replaced."""
        return replace(self, processes=tuple(changed if each.name == changed.name else each for each in self.processes))


def to_json(state: PlatformState) -> str:
    """Write a state."""
    return json.dumps(asdict(state), indent=1)


def from_json(text: str) -> PlatformState:
    """Read a state.

    Raises:
        ValueError: The text is not one.
    """
    data = json.loads(text)
    if not isinstance(data, dict):
        raise ValueError("not a platform's state: it is not a JSON object")
    try:
        return PlatformState(
            phase=Phase(fields.text(data, "phase")),
            subnet=data["subnet"],
            kubeconfig=data["kubeconfig"],
            is_embedded=data["is_embedded"],
            supervisor_pid=data["supervisor_pid"],
            supervisor_create_time=data["supervisor_create_time"],
            started_at=data["started_at"],
            processes=tuple(_process(each) for each in fields.items(data, "processes")),
            message=fields.text(data, "message"),
        )
    except KeyError as error:
        raise ValueError(f"not a platform's state: {error} is missing") from error


def _process(data: Mapping[str, object]) -> ProcessState:
    create_time = data.get("create_time")
    return ProcessState(
        name=fields.text(data, "name"),
        phase=ProcessPhase(fields.text(data, "phase")),
        pid=fields.integer(data, "pid"),
        create_time=float(create_time) if isinstance(create_time, int | float) else 0.0,
        started_at=fields.text(data, "started_at"),
        restarts=fields.integer(data, "restarts"),
        address=fields.text(data, "address"),
        log=fields.text(data, "log"),
        fingerprint=fields.text(data, "fingerprint"),
        message=fields.text(data, "message"),
    )
