"""The log of events: lines that whoever watches the workspace reads while the run goes."""

import math
import time
from pathlib import Path
from types import TracebackType

from touchstone_finetuning.core import codec, outcome


class EventLog:
    """Appends one event a line, each at once."""

    def __init__(self, workspace: Path) -> None:
        path = workspace / outcome.EVENTS
        self._file = path.open("ab")
        if path.stat().st_size and not path.read_bytes().endswith(b"\n"):
            self._file.write(b"\n")  # an earlier try was killed within a line

    def __enter__(self) -> "EventLog":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def progress(self, step: int, total_steps: int, epoch: float) -> None:
        """Tell that a step was done."""
        self._write(outcome.Progress(step=step, total_steps=total_steps, epoch=epoch, time=time.time()))

    def metric(self, name: str, value: float, step: int) -> None:
        """Tell a number."""
        self._write(outcome.Metric(name=name, value=value if math.isfinite(value) else None, step=step))

    def checkpoint(self, step: int, folder: Path) -> None:
        """Tell that the state of a step is safe."""
        self._write(outcome.CheckpointWritten(step=step, folder=str(folder)))

    def note(self, message: str) -> None:
        """Tell what whoever reads the run should know."""
        self._write(outcome.Note(message=message))

    def _write(self, event: outcome.Event) -> None:
        self._file.write(codec.to_line(event).encode())
        self._file.flush()
