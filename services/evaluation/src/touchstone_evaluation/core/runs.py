"""A run as it is recorded and shown. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

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


def reason_to_stop(run: Run, now: datetime, *, unrecorded_tokens: int = 0) -> str:
    """Say why a run should go no further, in a sentence; empty: it should go on.

    Once more items failed than may fail, nothing that follows changes the verdict.
    """
    if run.stopped:
        return run.stopped
    execution, progress = run.spec.execution, run.progress
    if now > run.deadline:
        return f"The run did not end within deadlineSeconds, {execution.deadline_seconds} s."
    spent = progress.tokens + unrecorded_tokens
    if execution.max_tokens and spent > execution.max_tokens:
        return f"The run spent {spent} tokens, more than maxTokens, {execution.max_tokens}, allows."
    if progress.total and progress.failed > execution.max_error_ratio * progress.total:
        return (
            f"{progress.failed} of {progress.total} askings failed: more than the share "
            f"{execution.max_error_ratio:g} that maxErrorRatio allows."
        )
    return ""
