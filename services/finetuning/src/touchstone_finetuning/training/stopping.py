"""Being told to stop: SIGTERM ends a run after its step, with a checkpoint."""

import signal
from types import FrameType

from touchstone_finetuning.core import outcome


class Preemption:
    """Whether the run was told to stop. Outside of steps there is nothing to save, and it stops at once."""

    def __init__(self) -> None:
        self.is_asked = False
        self.is_stepping = False
        signal.signal(signal.SIGTERM, self._ask)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.is_asked = True
        if not self.is_stepping:
            raise SystemExit(outcome.EXIT_PREEMPTED)
