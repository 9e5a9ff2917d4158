"""Processes, their logs, and the Pods' processes."""

import asyncio
import contextlib
import signal
from collections.abc import Collection, Iterable

from touchstone_local import processes
from touchstone_local.kubelet.adapters.processes import MARK as POD_MARK
from touchstone_local.layout import StateFolder
from touchstone_local.processes import Identity
from touchstone_local.supervisor.core.plan import MARK, ProcessSpec

POLL_SECONDS = 0.5
"""How often a process is looked at where the system cannot tell when it ends."""
LOG_BYTES = 16 * 1024 * 1024
"""A log that is longer when its process starts is put aside as `NAME.log.1`."""


class SupervisedProcesses:
    """Implements the port `Processes`."""

    def __init__(self, folder: StateFolder) -> None:
        self._folder = folder

    def start(self, spec: ProcessSpec) -> Identity:
        """Start a process, its output appended to its log."""
        log = self._folder.log(spec.name)
        if log.exists() and log.stat().st_size > LOG_BYTES:
            log.replace(log.with_suffix(".log.1"))
        return processes.start(spec.command, environ=spec.environ, folder=self._folder.root, log=log)

    def strays(self, known: Collection[Identity]) -> list[Identity]:
        """Return what an earlier supervisor started but did not come to record."""
        expected = {identity.pid for identity in known}
        return [each for each in processes.marked(MARK, str(self._folder.root)) if each.pid not in expected]

    def is_alive(self, identity: Identity) -> bool:
        """Whether it still runs."""
        return processes.is_alive(identity)

    def exit_code(self, identity: Identity) -> int | None:
        """Return how it ended; None if it runs or nobody knows."""
        return processes.exit_code(identity)

    async def wait(self, identity: Identity) -> None:
        """Return when it has ended."""
        ended = asyncio.Event()
        processes.on_exit(identity, ended.set)
        seconds = None if processes.TELLS_EXITS else POLL_SECONDS
        while processes.is_alive(identity):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await ended.wait()

    async def stop(self, identities: Iterable[Identity], *, grace_seconds: float) -> None:
        """End processes with all that they started."""
        alive = [identity for identity in identities if processes.is_alive(identity)]
        await processes.stop(alive, grace_seconds=grace_seconds)
        for identity in alive:
            processes.kill_group(identity)


class PodProcesses:
    """Implements the port `Pods`, by the mark that the kubelet puts on them."""

    def __init__(self, folder: StateFolder) -> None:
        self._folder = folder

    async def stop(self, *, grace_seconds: float) -> None:
        """End the processes of all Pods."""
        await stop_family(processes.marked(POD_MARK, str(self._folder.pods)), grace_seconds=grace_seconds)


async def stop_family(identities: Iterable[Identity], *, grace_seconds: float) -> None:
    """End processes whose children do the work: the children are asked, their keepers write down how they end."""
    alive = [identity for identity in identities if processes.is_alive(identity)]
    for identity in alive:
        processes.send_to_children(identity, signal.SIGTERM)
    await processes.stop(alive, grace_seconds=grace_seconds)
    for identity in alive:
        processes.kill_group(identity)
