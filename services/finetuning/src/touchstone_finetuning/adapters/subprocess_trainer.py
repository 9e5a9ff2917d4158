"""The trainer as a process beside the worker. Its standard input is a leash: when the worker dies, it ends too."""

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from touchstone_finetuning import errors
from touchstone_finetuning.adapters import workspace_files
from touchstone_finetuning.core.resources import Resources
from touchstone_finetuning.ports import Ending, Workspace

LOG = "trainer.log"


class SubprocessTrainer:
    """The trainer port."""

    def __init__(self, command: Sequence[str], *, environ: Mapping[str, str]) -> None:
        """Prepare.

        Args:
            command: What is run on a workspace: an interpreter that has torch, and its arguments.
            environ: Its environment.
        """
        self._command = tuple(command)
        self._environ = dict(environ)

    def start(self, workspace: Workspace, resources: Resources) -> "SubprocessTraining":
        """Start a trainer on the recipe in a workspace; of the resources, its threads and memory hold."""
        workspace_files.clear(workspace.folder)
        with (workspace.folder / LOG).open("ab") as log:
            try:
                process = subprocess.Popen(
                    [*self._command, str(workspace.folder)],
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=log,
                    env=self._environ,
                    start_new_session=True,
                )
            except OSError as error:
                raise errors.TrainerMissing(self._command[0], str(error)) from error
        return SubprocessTraining(process, workspace.folder)


class SubprocessTraining:
    """A trainer at work."""

    def __init__(self, process: "subprocess.Popen[bytes]", folder: Path) -> None:
        self._process = process
        self._folder = folder
        self._events = workspace_files.Events(folder)

    def wait(self, seconds: float) -> Ending | None:
        """Wait for its end; None when it goes on."""
        try:
            code = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None
        return workspace_files.ending(self._folder, code)

    def events(self) -> Sequence[Mapping[str, Any]]:
        """Return what it has told since the last call."""
        return self._events.read()

    def leave(self, seconds: float) -> None:
        """Have it save a checkpoint and end, since it does not outlive its worker; kill it when that takes too long."""
        self._process.terminate()
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End it at once, with all that it has started."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        if self._process.stdin:
            self._process.stdin.close()
