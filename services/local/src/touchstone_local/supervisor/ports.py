"""What the supervisor needs of the outside."""

from collections.abc import Collection, Iterable
from typing import Protocol

from touchstone_local.processes import Identity
from touchstone_local.supervisor.core.plan import ProcessSpec
from touchstone_local.supervisor.core.state import PlatformState


class Processes(Protocol):
    """Processes of this machine."""

    def start(self, spec: ProcessSpec) -> Identity:
        """Start a process, its output appended to its log."""
        ...

    def strays(self, known: Collection[Identity]) -> list[Identity]:
        """Return what an earlier supervisor started but did not come to record."""
        ...

    def is_alive(self, identity: Identity) -> bool:
        """Whether it still runs."""
        ...

    def exit_code(self, identity: Identity) -> int | None:
        """Return how it ended; None if it runs or nobody knows."""
        ...

    async def wait(self, identity: Identity) -> None:
        """Return when it has ended."""
        ...

    async def stop(self, identities: Iterable[Identity], *, grace_seconds: float) -> None:
        """End processes with all that they started."""
        ...


class Checks(Protocol):
    """Readiness of processes."""

    async def passes(self, spec: ProcessSpec) -> bool:
        """Return whether the process answers as it should; no answer in a second is a no."""
        ...


class Board(Protocol):
    """Where the platform tells of itself."""

    def show(self, state: PlatformState) -> None:
        """Replace what is told."""
        ...


class Pods(Protocol):
    """Processes that the kubelet started."""

    async def stop(self, *, grace_seconds: float) -> None:
        """End the processes of all Pods; the Pods themselves stay, for the next start."""
        ...
