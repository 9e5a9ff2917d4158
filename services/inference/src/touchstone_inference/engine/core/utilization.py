"""How much of its chips' peaks an engine reaches. Pure: counters and times are passed in.

Model FLOPs utilisation is the operations that the model needs for the tokens that went through, over what the chip
could have done in the same time (Chowdhery et al., PaLM, 2022, appendix B); model bandwidth utilisation is the same of
bytes that had to be moved (Databricks, "LLM Inference Performance Engineering", 2023). Both are over wall time: an
engine that nobody asks reaches little.
"""

from collections import deque
from typing import NamedTuple

from touchstone_inference.chips import Chip, Precision

WINDOW_SECONDS = 60.0


class Work(NamedTuple):
    """What one chip of a replica has done since the start, by the model's arithmetic."""

    flops: float = 0.0
    moved_bytes: float = 0.0


class Utilization(NamedTuple):
    """Shares of a chip's peaks, 0 to 1, over the last window."""

    chip: str
    mfu: float
    mbu: float
    window_seconds: float
    work: Work


class Gauge:
    """Turns counters that are looked at now and then into shares."""

    def __init__(self, chip: Chip, precision: Precision) -> None:
        """Take what is compared to: the peak in the precision that products are computed in."""
        self._chip = chip
        self._peak = chip.peak(precision)
        self._seen: deque[tuple[float, Work]] = deque()

    def look(self, work: Work, *, now_seconds: float) -> Utilization | None:
        """Note the counters and return the shares since the last look that is a window old, or the first one.

        None at the first look: there is nothing to compare with.
        """
        while len(self._seen) > 1 and self._seen[1][0] <= now_seconds - WINDOW_SECONDS:
            self._seen.popleft()
        if not self._seen or self._seen[-1][0] < now_seconds:
            self._seen.append((now_seconds, work))
        then, before = self._seen[0]
        seconds = now_seconds - then
        if seconds <= 0:
            return None
        return Utilization(
            chip=self._chip.name,
            mfu=(work.flops - before.flops) / seconds / self._peak,
            mbu=(work.moved_bytes - before.moved_bytes) / seconds / self._chip.bandwidth,
            window_seconds=seconds,
            work=work,
        )
