"""Jobs as values. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

from touchstone_runtime import errors

HIGHEST_PRIORITY = 9


class JobState(StrEnum):
    """Where a job stands."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"

    @property
    def is_final(self) -> bool:
        """Whether the job never runs again."""
        return self in (JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One piece of work as recorded."""

    id: str
    kind: str
    state: JobState
    payload: Mapping[str, Any]
    """What was asked for; never changes."""
    progress: Mapping[str, Any]
    """What the worker last reported."""
    result: Mapping[str, Any]
    """What came of it; empty until it succeeded."""
    error: Mapping[str, str] | None
    """`reason` and `message` of a failed job, or of the last attempt of one that is tried again."""
    attempts: int
    """How often it was claimed, those claims left out whose worker had to stop and said so."""
    preemptions: int
    """How often a worker that had to stop gave it back. One that was killed says nothing: that is an attempt."""
    max_attempts: int | None
    """How often it may be attempted; None: as often as its kind."""
    max_preemptions: int | None
    """How often it may be given back; None: as often as its kind."""
    priority: int
    """From 0 to 9, `HIGHEST_PRIORITY`: which of the jobs that wait goes first."""
    cancel_requested: bool
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    heartbeat_at: datetime | None


class Claim(NamedTuple):
    """The right to work on a job, until the lease runs out."""

    job: Job
    token: int


class JobNotFound(errors.NotFound):
    """No job has this id."""

    reason = "JOB_NOT_FOUND"

    def __init__(self, job_id: str) -> None:
        super().__init__(f"Job '{job_id}' does not exist. Start it first.", metadata={"job": job_id})


class ClaimLost(errors.Conflict):
    """Another worker claimed the job, or it is finished: stop working on it."""

    reason = "CLAIM_LOST"

    def __init__(self, job_id: str, token: int) -> None:
        super().__init__(
            f"Claim {token} on job '{job_id}' is no longer valid. Stop working on it.",
            metadata={"job": job_id, "token": str(token)},
        )
