"""Processes of this machine that may outlive whoever started them.

A process is known by its pid together with the time of its creation, so that a pid that was given to another process
is never taken for ours. Start, signal and adopt; what a process is for is the caller's business.
"""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import psutil

CLOCK_TOLERANCE_SECONDS = 2.0
"""The kernel's idea of the boot time, which creation times rest on, moves with clock adjustments."""
TELLS_EXITS = sys.platform == "linux"
"""Whether `on_exit` calls back by itself; elsewhere callers must look now and then."""
POLL_SECONDS = 0.05
KILL_SECONDS = 10.0
"""How long a killed process may take to vanish; the kernel may be busy writing."""


class Identity(NamedTuple):
    """A process, told from any other that has or had the same pid."""

    pid: int
    create_time: float
    """Seconds since the epoch."""


class Usage(NamedTuple):
    """What a process and its descendants use."""

    memory_bytes: int
    """Proportional set size: pages shared with other processes are divided among them."""
    processes: int


_children: dict[int, subprocess.Popen[bytes]] = {}
"""Our own children by pid, kept so that they are reaped; a module-level table because the kernel's is one a process."""


def start(command: Sequence[str], *, environ: Mapping[str, str], folder: Path, log: Path) -> Identity:
    """Start a process in its own session, with its output appended to a log.

    Raises:
        OSError: The program cannot be executed.
    """
    with log.open("ab") as output:
        child = subprocess.Popen(
            list(command),
            env=dict(environ),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    _children[child.pid] = child
    return identify(child.pid)


def identify(pid: int) -> Identity:
    """Return the identity of a running process.

    Raises:
        psutil.NoSuchProcess: There is none.
    """
    return Identity(pid, psutil.Process(pid).create_time())


def is_alive(identity: Identity) -> bool:
    """Whether the process still runs; a zombie does not."""
    child = _children.get(identity.pid)
    if child is not None and child.poll() is not None:
        return False
    found = _find(identity)
    if found is None and child is not None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(timeout=1.0)  # it is on its way out; a child that nobody asks about stays a zombie
    return found is not None


def exit_code(identity: Identity) -> int | None:
    """Return the exit code of a child of ours that ended, 128 + N for signal N; None for any other process."""
    child = _children.get(identity.pid)
    code = None if child is None else child.poll()
    if code is None:
        return None
    return 128 - code if code < 0 else code


def send(identity: Identity, number: signal.Signals) -> None:
    """Send a signal to the process; one that is gone is left alone."""
    process = _find(identity)
    if process is not None:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(number)


def send_to_children(identity: Identity, number: signal.Signals) -> bool:
    """Send a signal to the process's direct children; return whether there were any."""
    process = _find(identity)
    found = [] if process is None else _children_of(process)
    for child in found:
        with contextlib.suppress(psutil.NoSuchProcess):
            child.send_signal(number)
    return bool(found)


def kill_group(identity: Identity) -> None:
    """Kill whatever is left of the session that the process was started with."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(identity.pid, signal.SIGKILL)


def usage(identity: Identity, *, without: Collection[Identity] = ()) -> Usage:
    """Return what the process and its descendants use now; nothing if it is gone.

    Args:
        identity: The process.
        without: Processes that are counted elsewhere, with their descendants: a kubelet is the parent of its Pods.
    """
    process = _find(identity)
    if process is None:
        return Usage(0, 0)
    elsewhere = {other.pid for other in without} - {identity.pid}
    family, waiting = [], [process]
    while waiting:
        member = waiting.pop()
        family.append(member)
        with contextlib.suppress(psutil.NoSuchProcess):
            waiting += [child for child in member.children() if child.pid not in elsewhere]
    sizes = [_memory_bytes(member) for member in family]
    return Usage(sum(sizes), sum(1 for size in sizes if size))


def marked(variable: str, value: str) -> list[Identity]:
    """Return the processes that `start` started, here or in a process that is gone, with this in their environment.

    A record of a process is written after it has started; whoever is killed in between leaves one without a record.
    """
    found = []
    for process in psutil.process_iter():
        try:
            if os.getsid(process.pid) == process.pid and process.environ().get(variable) == value:
                found.append(Identity(process.pid, process.create_time()))
        except (psutil.Error, OSError):  # it ended, or it is somebody else's
            continue
    return [identity for identity in found if is_alive(identity)]


async def stop(identities: Iterable[Identity], *, grace_seconds: float) -> None:
    """Ask processes to end, kill those that have not after a while, and return when all are gone."""
    waiting = [identity for identity in identities if is_alive(identity)]
    for identity in waiting:
        send(identity, signal.SIGTERM)
    if not await _gone(waiting, within_seconds=grace_seconds):
        for identity in waiting:
            send(identity, signal.SIGKILL)
        await _gone(waiting, within_seconds=KILL_SECONDS)


async def _gone(identities: Sequence[Identity], *, within_seconds: float) -> bool:
    try:
        async with asyncio.timeout(within_seconds):
            while any(is_alive(identity) for identity in identities):  # noqa: ASYNC110 (not all are our children)
                await asyncio.sleep(POLL_SECONDS)
    except TimeoutError:
        return False
    return True


def on_exit(identity: Identity, callback: Callable[[], None]) -> None:
    """Call back once in the running loop when the process ends; at once if it has.

    Uses a pidfd, which Linux has; elsewhere callers find out when they look.
    """
    loop = asyncio.get_running_loop()
    if not is_alive(identity):
        loop.call_soon(callback)
        return
    if sys.platform != "linux":
        return
    try:
        descriptor = os.pidfd_open(identity.pid)
    except OSError:
        loop.call_soon(callback)
        return

    def ended() -> None:
        loop.remove_reader(descriptor)
        os.close(descriptor)
        callback()

    loop.add_reader(descriptor, ended)


def _find(identity: Identity) -> psutil.Process | None:
    try:
        process = psutil.Process(identity.pid)
        is_same = abs(process.create_time() - identity.create_time) < CLOCK_TOLERANCE_SECONDS
        return process if is_same and process.status() != psutil.STATUS_ZOMBIE else None
    except psutil.NoSuchProcess:
        return None


def _children_of(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children()
    except psutil.NoSuchProcess:
        return []


def _memory_bytes(process: psutil.Process) -> int:
    try:
        info = process.memory_full_info()
    except psutil.NoSuchProcess:
        return 0
    except psutil.AccessDenied:
        return int(process.memory_info().rss)
    return int(getattr(info, "pss", info.uss))  # pss is Linux's
