"""Keeping a platform's processes: started in order, watched, started again, stopped together."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from touchstone_local import fields
from touchstone_local.errors import StartFailed
from touchstone_local.layout import StateFolder
from touchstone_local.processes import Identity
from touchstone_local.supervisor.core.plan import Check, ProcessSpec, Wave
from touchstone_local.supervisor.core.state import Phase, PlatformState, ProcessPhase, ProcessState
from touchstone_local.supervisor.ports import Board, Checks, Pods, Processes

SETTINGS_EXIT_CODE = 2
"""A process that ends with it cannot use its environment: starting it again changes nothing."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How patient the supervisor is, in seconds."""

    check_every: float = 0.1
    alive_for: float = 1.0
    """How long a process without a check must run to count as ready."""
    restart_delays: tuple[float, ...] = (0.5, 1.0, 2.0, 5.0, 10.0)
    """Pauses before a process is started again; the last one repeats."""
    healthy_after: float = 30.0
    """A process that was ready for this long starts again as if it had never ended."""
    start_attempts: int = 3
    """How often a process may end before it was ever ready, while the platform starts."""
    grace: float = 10.0
    """How long a process may take to end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outside:
    """What a supervisor acts on."""

    processes: Processes
    checks: Checks
    board: Board
    pods: Pods


class Supervisor:
    """Runs one platform."""

    def __init__(
        self,
        specs: Sequence[ProcessSpec],
        initial: PlatformState,
        outside: Outside,
        *,
        folder: StateFolder,
        now: Callable[[], datetime],
        pace: Pace,
    ) -> None:
        self._specs = {spec.name: spec for spec in specs}
        self._folder = folder
        self._processes = outside.processes
        self._checks = outside.checks
        self._board = outside.board
        self._pods = outside.pods
        self._now = now
        self._pace = pace
        self._running: dict[str, Identity] = {}
        self._ready = {spec.name: asyncio.Event() for spec in specs}
        self._state = replace(initial, processes=tuple(self._fresh(spec) for spec in specs))

    async def run(self, survivors: Mapping[str, tuple[Identity, str]]) -> None:
        """Start everything and keep it until cancelled, then stop it.

        Args:
            survivors: Processes of an earlier supervisor that still run, with their fingerprints, by name.

        Raises:
            StartFailed: A process did not become ready; what was started has been stopped.
        """
        failure: StartFailed | None = None
        try:
            await self._adopt(survivors)
            async with asyncio.TaskGroup() as group:
                for spec in self._specs.values():
                    group.create_task(self._keep(spec), name=spec.name)
                group.create_task(self._announce())
        except* StartFailed as failures:
            failure = next(each for each in failures.exceptions if isinstance(each, StartFailed))
        finally:
            await self._stop(failure)
        if failure is not None:
            raise failure

    async def _adopt(self, survivors: Mapping[str, tuple[Identity, str]]) -> None:
        """Take over what still runs as it should, and end what does not."""
        unwanted = self._processes.strays([identity for identity, _ in survivors.values()])
        for name, (identity, fingerprint) in survivors.items():
            if name in self._specs and self._specs[name].fingerprint == fingerprint:
                _log.info("Taking over %s, pid %s.", name, identity.pid)
                self._running[name] = identity
            else:
                unwanted.append(identity)
        await self._processes.stop(unwanted, grace_seconds=self._pace.grace)

    async def _announce(self) -> None:
        for event in self._ready.values():
            await event.wait()
        self._state = replace(self._state, phase=Phase.READY)
        self._board.show(self._state)
        _log.info("The platform is ready.")

    async def _keep(self, spec: ProcessSpec) -> None:
        """Keep one process for as long as the platform runs."""
        self._board.show(self._state)
        for name in spec.after:
            await self._ready[name].wait()
        ends = 0
        while True:
            began = self._now()
            identity = self._running.get(spec.name) or self._start(spec)
            self._note(spec, identity)
            was_ready = await self._become_ready(spec, identity)
            if was_ready and spec.check is Check.EXIT:
                del self._running[spec.name]
                self._change(spec, phase=ProcessPhase.COMPLETED, pid=0)
                return
            if was_ready:
                await self._processes.wait(identity)
            self._running.pop(spec.name, None)
            is_long = was_ready and (self._now() - began).total_seconds() >= self._pace.healthy_after
            ends = 1 if is_long else ends + 1
            await self._pause(spec, identity, ends)

    def _start(self, spec: ProcessSpec) -> Identity:
        identity = self._processes.start(spec)
        self._running[spec.name] = identity
        _log.info("Started %s, pid %s.", spec.name, identity.pid)
        return identity

    async def _become_ready(self, spec: ProcessSpec, identity: Identity) -> bool:
        """Return whether the process became ready; False: it ended before.

        Raises:
            StartFailed: It took too long while the platform starts.
        """
        try:
            async with asyncio.timeout(spec.start_timeout_seconds):
                is_ready = await self._wait_until_ready(spec, identity)
        except TimeoutError:
            if not self._ready[spec.name].is_set():
                raise self._failed(spec, f"it was not ready after {spec.start_timeout_seconds:g} s") from None
            _log.warning("%s is not ready after %s s; it is ended.", spec.name, spec.start_timeout_seconds)
            await self._processes.stop([identity], grace_seconds=self._pace.grace)
            return False
        if is_ready:
            self._ready[spec.name].set()
            self._change(spec, phase=ProcessPhase.READY, message="")
        return is_ready

    async def _wait_until_ready(self, spec: ProcessSpec, identity: Identity) -> bool:
        if spec.check is Check.EXIT:
            await self._processes.wait(identity)
            return self._processes.exit_code(identity) == 0
        if spec.check is Check.ALIVE:
            await asyncio.sleep(self._pace.alive_for)
            return self._processes.is_alive(identity)
        while self._processes.is_alive(identity):
            if await self._checks.passes(spec):
                return True
            await asyncio.sleep(self._pace.check_every)
        return False

    async def _pause(self, spec: ProcessSpec, identity: Identity, ends: int) -> None:
        """Wait before a process is started again.

        Raises:
            StartFailed: It has never been ready and was tried often enough.
        """
        code = self._processes.exit_code(identity)
        how = "it ended" if code is None else f"it ended with exit code {code}"
        is_hopeless = code == SETTINGS_EXIT_CODE or ends >= self._pace.start_attempts
        if not self._ready[spec.name].is_set() and is_hopeless:
            raise self._failed(spec, how)
        delay = self._pace.restart_delays[min(ends, len(self._pace.restart_delays)) - 1]
        _log.warning("%s: %s; starting it again in %s s.", spec.name, how, delay)
        restarts = self._state.process(spec.name).restarts + 1
        self._change(spec, phase=ProcessPhase.RESTARTING, pid=0, restarts=restarts, message=how)
        await asyncio.sleep(delay)

    def _failed(self, spec: ProcessSpec, why: str) -> StartFailed:
        self._change(spec, phase=ProcessPhase.FAILED, message=why)
        return StartFailed(spec.name, why, log_path=str(self._folder.log(spec.name)))

    async def _stop(self, failure: StartFailed | None) -> None:
        phase = Phase.STOPPING if failure is None else Phase.FAILED
        message = "" if failure is None else failure.message
        self._state = replace(self._state, phase=phase, message=message)
        self._board.show(self._state)
        await self._stop_wave(Wave.CONTROL)
        await self._pods.stop(grace_seconds=self._pace.grace)
        await self._stop_wave(Wave.WORK)
        await self._stop_wave(Wave.GROUND)
        if failure is None:
            self._state = replace(self._state, phase=Phase.STOPPED)
        self._board.show(self._state)

    async def _stop_wave(self, wave: Wave) -> None:
        names = [name for name, spec in self._specs.items() if spec.wave is wave and name in self._running]
        await self._processes.stop([self._running[name] for name in names], grace_seconds=self._pace.grace)
        for name in names:
            if self._state.process(name).phase is not ProcessPhase.FAILED:
                self._change(self._specs[name], phase=ProcessPhase.STOPPED, pid=0)

    def _fresh(self, spec: ProcessSpec) -> ProcessState:
        is_address = spec.check in (Check.GRPC, Check.TCP, Check.HTTP)
        address = spec.target.partition("://")[2].partition("/")[0] or spec.target
        return ProcessState(
            name=spec.name,
            address=address if is_address else "",
            log=str(self._folder.log(spec.name)),
            fingerprint=spec.fingerprint,
        )

    def _note(self, spec: ProcessSpec, identity: Identity) -> None:
        self._change(
            spec,
            phase=ProcessPhase.STARTING,
            pid=identity.pid,
            create_time=identity.create_time,
            started_at=fields.timestamp(self._now()),
        )

    def _change(self, spec: ProcessSpec, **changes: object) -> None:
        before = self._state.process(spec.name)
        self._state = self._state.with_process(replace(before, **changes))  # type: ignore[arg-type] # field by field
        self._board.show(self._state)
