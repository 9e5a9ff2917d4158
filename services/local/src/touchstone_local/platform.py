"""A platform from the outside: start it, stop it, ask how it is."""

import asyncio
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from touchstone_local import files, logs, processes
from touchstone_local.errors import PlatformNotRunning, StartFailed
from touchstone_local.kubelet.adapters.processes import MARK as POD_MARK
from touchstone_local.layout import StateFolder
from touchstone_local.processes import Identity
from touchstone_local.supervisor.adapters import board
from touchstone_local.supervisor.adapters.processes import stop_family
from touchstone_local.supervisor.core import plan
from touchstone_local.supervisor.core.addresses import Addresses
from touchstone_local.supervisor.core.state import Phase, PlatformState, ProcessPhase

POLL_SECONDS = 0.1
STOP_SECONDS = 60.0
"""How long a supervisor may take to stop everything before we do it ourselves."""
GRACE_SECONDS = 10.0
LOG_LINES = 20

Progress = Callable[[PlatformState], None]


def folder(state_dir: Path | None = None) -> StateFolder:
    """Return a state folder: the one given, or `.touchstone` in the current folder."""
    return StateFolder((state_dir or Path(".touchstone")).resolve())


def read(state_dir: Path) -> PlatformState:
    """Return the platform that runs in a state folder.

    Raises:
        PlatformNotRunning: None does.
    """
    where = folder(state_dir)
    state = board.read(where.platform)
    if state is None or not is_supervised(state):
        raise PlatformNotRunning(str(where.root))
    return state


def addresses(state_dir: Path) -> Addresses:
    """Return the addresses of the platform that runs in a state folder.

    Raises:
        PlatformNotRunning: None does.
    """
    return Addresses(read(state_dir).subnet)


def is_supervised(state: PlatformState) -> bool:
    """Whether the platform's supervisor runs."""
    return processes.is_alive(Identity(state.supervisor_pid, state.supervisor_create_time))


async def start(
    state_dir: Path,
    *,
    kubeconfig: Path | None = None,
    on_progress: Progress | None = None,
    timeout_seconds: float = 300.0,
) -> PlatformState:
    """Start a platform in the background and return when it is ready; one that runs already is returned as it is.

    Args:
        state_dir: The state folder; made if it does not exist.
        kubeconfig: A cluster to use in place of the embedded API server and kubelet.
        on_progress: Is told of each change.
        timeout_seconds: After this long it has failed.

    Raises:
        StartFailed: A process did not become ready; nothing is left running.
    """
    where = folder(state_dir)
    try:
        state = read(state_dir)
    except PlatformNotRunning:
        supervisor = _launch(where, kubeconfig)
    else:
        supervisor = Identity(state.supervisor_pid, state.supervisor_create_time)
    try:
        async with asyncio.timeout(timeout_seconds):
            return await _until_ready(where, supervisor, on_progress)
    except TimeoutError:
        await stop(state_dir)
        raise _failure(where, "supervisor", f"the platform was not ready after {timeout_seconds:g} s") from None


async def stop(state_dir: Path, *, purge: bool = False, on_progress: Progress | None = None) -> bool:
    """Stop a platform with all its Pods, and return whether one ran. Its state is kept unless it is purged.

    Works without a supervisor too: what it left behind is found by its records.
    """
    where = folder(state_dir)
    state = board.read(where.platform)
    did_run = False
    if state is not None and is_supervised(state):
        did_run = True
        await _stop_supervisor(where, Identity(state.supervisor_pid, state.supervisor_create_time), on_progress)
    did_run = await _stop_leftovers(where, state) or did_run
    if purge and where.root.exists():
        await asyncio.to_thread(shutil.rmtree, where.root)
    return did_run


async def wait_until_stopped(state: PlatformState) -> None:
    """Return when the platform's supervisor has ended."""
    supervisor = Identity(state.supervisor_pid, state.supervisor_create_time)
    while processes.is_alive(supervisor):  # noqa: ASYNC110 (it need not be our child)
        await asyncio.sleep(POLL_SECONDS)


def _launch(where: StateFolder, kubeconfig: Path | None) -> Identity:
    for each in where.folders():
        each.mkdir(mode=0o700, parents=True, exist_ok=True)
    environ = {**os.environ, "TOUCHSTONE_STATE_DIR": str(where.root), "PYTHONUNBUFFERED": "1"}
    if kubeconfig is not None:
        environ["TOUCHSTONE_EXTERNAL_KUBECONFIG"] = str(kubeconfig.resolve())
    command = [sys.executable, "-m", "touchstone_local.supervisor"]
    return processes.start(command, environ=environ, folder=where.root, log=where.log("supervisor"))


async def _until_ready(where: StateFolder, supervisor: Identity, on_progress: Progress | None) -> PlatformState:
    shown: PlatformState | None = None
    while True:
        is_alive = processes.is_alive(supervisor)
        state = board.read(where.platform)
        if state is not None and state.supervisor_pid == supervisor.pid:
            if state != shown and on_progress is not None:
                on_progress(state)
            shown = state
            if state.phase is Phase.READY:
                return state
        if not is_alive:
            raise _why(where, shown)
        await asyncio.sleep(POLL_SECONDS)


def _why(where: StateFolder, state: PlatformState | None) -> StartFailed:
    """Return the error of a supervisor that gave up."""
    if state is not None:
        for process in state.processes:
            if process.phase is ProcessPhase.FAILED:
                return _failure(where, process.name, process.message)
    return _failure(where, "supervisor", "it ended before it started anything")


def _failure(where: StateFolder, name: str, why: str) -> StartFailed:
    log = where.log(name)
    return StartFailed(name, why, log_tail=logs.readable(files.tail(log, lines=LOG_LINES)), log_path=str(log))


async def _stop_supervisor(where: StateFolder, supervisor: Identity, on_progress: Progress | None) -> None:
    stopping = asyncio.create_task(processes.stop([supervisor], grace_seconds=STOP_SECONDS))
    while not stopping.done():
        state = board.read(where.platform)
        if state is not None and on_progress is not None:
            on_progress(state)
        await asyncio.wait({stopping}, timeout=POLL_SECONDS)
    await stopping


async def _stop_leftovers(where: StateFolder, state: PlatformState | None) -> bool:
    """End what still runs of a platform, by its records and by the mark that it put on its processes."""
    known = () if state is None else state.processes
    left = {Identity(each.pid, each.create_time) for each in known if each.pid}
    left = {identity for identity in left if processes.is_alive(identity)}
    left |= set(processes.marked(plan.MARK, str(where.root)))
    await processes.stop(left, grace_seconds=GRACE_SECONDS)
    for identity in left:
        processes.kill_group(identity)
    pods = set(processes.marked(POD_MARK, str(where.pods)))
    await stop_family(pods, grace_seconds=GRACE_SECONDS)
    return bool(left or pods)
