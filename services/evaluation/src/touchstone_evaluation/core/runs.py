"""A run as it is recorded and shown. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from touchstone_evaluation.core.results import Conclusion
from touchstone_evaluation.core.spec import RunSpec


class RunState(StrEnum):
    """Where a run stands."""

    PENDING = "Pending"
    RUNNING = "Running"
    COMPLETED = "Completed"
    CANCELLED = "Cancelled"

    @property
    def is_final(self) -> bool:
        """Whether the run never changes again."""
        return self in (RunState.COMPLETED, RunState.CANCELLED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """A file that the run left."""

    name: str
    uri: str
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Counts of askings, of both sides together."""

    done: int = 0
    total: int = 0
    """0 while unknown."""
    reused: int = 0
    failed: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    judge_tokens: int = 0

    @property
    def tokens(self) -> int:
        """All tokens that the run paid for."""
        return self.input_tokens + self.output_tokens + self.judge_tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class SuitePlan:
    """What a suite came to be when the run was planned."""

    dataset_digest: str
    items: int
    expected: int
    """Askings of each side; 0 when that is not known beforehand."""
    left_out: Mapping[str, int]
    """How many items were left out, by reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One evaluation."""

    dispatch_id: str
    spec: RunSpec
    state: RunState
    conclusion: Conclusion | None = None
    """Set when the run is completed."""
    stopped: str = ""
    """Why it is being stopped before its end, in a sentence; empty: it is not."""
    is_over_budget: bool = False
    """It is stopped for its budget: what it came to is Inconclusive, and no Error."""
    settled: Mapping[str, int] = field(default_factory=dict)
    """How many items of each suite made the verdict certain; empty: it is not."""
    progress: Progress = field(default_factory=Progress)
    suites: Mapping[str, SuitePlan] = field(default_factory=dict)
    """By name; empty until the run is planned."""
    suite_digest: str = ""
    artifacts: tuple[Artifact, ...] = ()
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    heartbeat_at: datetime | None = None

    @property
    def deadline(self) -> datetime:
        """When the run must have ended; the wait for a worker counts."""
        return self.created_at + timedelta(seconds=self.spec.execution.deadline_seconds)

    @property
    def wall_seconds(self) -> float:
        """From the first item to the verdict, or to the last report."""
        end = self.finished_at or self.heartbeat_at
        return max(0.0, (end - self.started_at).total_seconds()) if end and self.started_at else 0.0


class Stop(NamedTuple):
    """Why a run goes no further, in a sentence."""

    why: str
    is_budget: bool = False


def reason_to_stop(run: Run, now: datetime, *, unrecorded_tokens: int = 0) -> Stop | None:
    """Say why a run should go no further; None: it should go on.

    Once more items failed than may fail, nothing that follows changes the verdict.
    """
    if run.stopped:
        return Stop(run.stopped, run.is_over_budget)
    execution, progress = run.spec.execution, run.progress
    if now > run.deadline:
        return Stop(f"The run did not end within deadlineSeconds, {execution.deadline_seconds} s.")
    if progress.total and progress.failed > execution.max_error_ratio * progress.total:
        return Stop(
            f"{progress.failed} of {progress.total} askings failed: more than the share "
            f"{execution.max_error_ratio:g} that maxErrorRatio allows."
        )
    why = _spent(run, now, unrecorded_tokens)
    return Stop(why, is_budget=True) if why else None


def _spent(run: Run, now: datetime, unrecorded_tokens: int) -> str:
    """Say which budget is spent; empty: none."""
    execution, progress = run.spec.execution, run.progress
    tokens = progress.tokens + unrecorded_tokens
    if execution.max_tokens and tokens > execution.max_tokens:
        return f"The run spent {tokens} tokens, more than maxTokens, {execution.max_tokens}, allows."
    seconds = (now - run.started_at).total_seconds() if run.started_at else 0.0
    if execution.max_seconds and seconds > execution.max_seconds:
        return f"The run took longer than maxSeconds, {execution.max_seconds} s, allows."
    is_left = progress.done < progress.total
    if execution.max_items and is_left and progress.done >= execution.max_items * len(run.spec.sides):
        return f"The run asked about {execution.max_items} items, as many as maxItems allows, and there are more."
    return ""
