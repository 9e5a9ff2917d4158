"""Containers as processes of this machine.

Each runs under a shell of three lines that waits for it and writes down its exit code, so that a kubelet that was away
when a process ended still learns how. The shell interprets nothing: command and arguments reach it as they are.
"""

import signal
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from pathlib import Path

from touchstone_local import processes
from touchstone_local.kubelet.adapters.records import SCRATCH, log_path, pod_folder
from touchstone_local.kubelet.core.launching import Launch
from touchstone_local.kubelet.core.records import PodRecord, Run
from touchstone_local.kubelet.errors import CannotStart
from touchstone_local.processes import Identity

MARK = "TOUCHSTONE_PODS_DIR"
"""The variable by which the processes of a platform's Pods are known."""
_SHELL = "/bin/sh"
_KEEPER = 'trap : TERM INT HUP; "$@"; code=$?; printf %s "$code" > "$0"'
"""$0 is the file for the exit code. A trapped signal, unlike an ignored one, is not inherited by the command."""


class LocalProcesses:
    """Implements the port `Processes`."""

    def __init__(self, pods_dir: Path) -> None:
        self._pods_dir = pods_dir
        self._seen: set[Run] = set()

    def start(self, pod: PodRecord, container: str, launch: Launch) -> Run:
        """Start a container's process."""
        folder = pod_folder(self._pods_dir, pod)
        folder.mkdir(parents=True, exist_ok=True)
        exit_file = _exit_file(folder, container)
        exit_file.unlink(missing_ok=True)
        try:
            identity = processes.start(
                [_SHELL, "-c", _KEEPER, str(exit_file), *launch.command],
                environ={**_scratch(launch, folder), **launch.environ, MARK: str(self._pods_dir)},
                folder=Path(launch.folder) if launch.folder else folder,
                log=log_path(self._pods_dir, pod.namespace, pod.name, container),
            )
        except OSError as error:
            raise CannotStart(f"cannot execute {launch.command[0]}: {error}") from error
        run = Run(pid=identity.pid, create_time=identity.create_time, started_at=datetime.now(UTC))
        self._seen.add(run)
        return run

    def is_running(self, run: Run) -> bool:
        """Whether the process still runs."""
        is_alive = processes.is_alive(_identity(run))
        if is_alive:
            self._seen.add(run)
        return is_alive

    def exit_code(self, pod: PodRecord, container: str) -> int | None:
        """Return how the container's last process ended; None if it was not written down."""
        try:
            text = _exit_file(pod_folder(self._pods_dir, pod), container).read_text(encoding="ascii")
        except OSError:
            return None
        return int(text) if text.isdecimal() else None

    def kill_strays(self, known: Collection[Run]) -> int:
        """Kill what an earlier kubelet started but did not come to record, and return how many there were."""
        expected = {run.pid for run in known}
        strays = [each for each in processes.marked(MARK, str(self._pods_dir)) if each.pid not in expected]
        for identity in strays:
            processes.kill_group(identity)
        return len(strays)

    def ask_to_end(self, run: Run) -> None:
        """Send SIGTERM to the container's first process, as a kubelet does."""
        if not processes.send_to_children(_identity(run), signal.SIGTERM):
            processes.send(_identity(run), signal.SIGTERM)

    def kill(self, run: Run) -> None:
        """Kill all that the container started and left in its session.

        Only if this kubelet has seen it run: after a longer absence the number may name somebody else's session.
        """
        if run in self._seen:
            processes.kill_group(_identity(run))

    def on_exit(self, run: Run, callback: Callable[[], None]) -> None:
        """Call back when the process ends."""
        processes.on_exit(_identity(run), callback)


def _scratch(launch: Launch, folder: Path) -> dict[str, str]:
    """Return the variable for temporary files, and make their folder."""
    if not launch.has_scratch:
        return {}
    scratch = folder / SCRATCH
    scratch.mkdir(exist_ok=True)
    return {"TMPDIR": str(scratch)}


def _identity(run: Run) -> Identity:
    return Identity(run.pid, run.create_time)


def _exit_file(folder: Path, container: str) -> Path:
    return folder / f"{container}.exit"
