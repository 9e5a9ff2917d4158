"""The job store over SQLAlchemy. Blocking: call it from a thread in asynchronous code."""

import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Engine, or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from touchstone_runtime import databases
from touchstone_runtime.jobs.records import HIGHEST_PRIORITY, Claim, ClaimLost, Job, JobNotFound, JobState
from touchstone_runtime.jobs.tables import Base, JobRow

LEASE_SECONDS = 30.0


def utc_now() -> datetime:
    """Return the present time in UTC."""
    return datetime.now(UTC)


class JobStore:
    """Jobs in a database; several processes may use one."""

    def __init__(
        self,
        database: str | Engine,
        *,
        now: Callable[[], datetime] = utc_now,
        lease_seconds: float = LEASE_SECONDS,
    ) -> None:
        self._engine = databases.connect(database) if isinstance(database, str) else database
        self._reading = databases.reading(self._engine)
        self._now = now
        self._lease = timedelta(seconds=lease_seconds)
        databases.create_tables(self._engine, Base.metadata)

    @property
    def engine(self) -> Engine:
        """The database, for a service's own tables."""
        return self._engine

    @property
    def lease_seconds(self) -> float:
        """How long a claim lasts without a heartbeat."""
        return self._lease.total_seconds()

    def create(
        self,
        job_id: str,
        kind: str,
        payload: Mapping[str, Any],
        *,
        max_attempts: int | None = None,
        max_preemptions: int | None = None,
        priority: int = 0,
    ) -> Job:
        """Record a job; one of the same id that is there already is returned as it is.

        Args:
            job_id: Names it.
            kind: What sort of work it is.
            payload: What is asked for, as JSON.
            max_attempts: How often it may be attempted, at least 1; None: as often as its kind (`run_job`).
            max_preemptions: How often workers that have to stop may give it back; None: as often as its kind.
            priority: From 0 to 9; of the jobs that wait, the highest goes first, and of equals the oldest.

        Raises:
            ValueError: A number is out of its bounds.
        """
        _check("priority", priority, 0, HIGHEST_PRIORITY)
        _check("max_attempts", max_attempts, 1)
        _check("max_preemptions", max_preemptions, 0)
        now = self._naive()
        try:
            with Session(self._engine) as session, session.begin():
                if row := session.get(JobRow, job_id):
                    return _job(row)
                row = JobRow(
                    id=job_id, kind=kind, state=JobState.PENDING, payload=dict(payload), progress={}, result={},
                    attempts=0, token=0, worker="", cancel_requested=False, created_at=now, claimable_at=now,
                    preemptions=0, max_attempts=max_attempts, max_preemptions=max_preemptions, priority=priority,
                )  # fmt: skip
                session.add(row)
                session.flush()
                return _job(row)
        except IntegrityError:
            return self.get(job_id)  # another process was first

    def get(self, job_id: str) -> Job:
        """Return a job.

        Raises:
            JobNotFound: No job has this id.
        """
        with Session(self._reading) as session, session.begin():
            return _job(_found(session, job_id, lock=False))

    def claim(self, job_id: str, worker: str) -> Claim | None:
        """Claim a job for a lease; None when it is finished, or somebody else's lease has not run out.

        Raises:
            JobNotFound: No job has this id.
        """
        now = self._naive()
        with Session(self._engine) as session, session.begin():
            row = _found(session, job_id)
            if JobState(row.state).is_final or row.claimable_at > now:
                return None
            if row.cancel_requested:
                _end(row, JobState.CANCELLED, now)
                return None
            row.state = JobState.RUNNING
            row.token += 1
            row.attempts += 1
            row.worker = worker
            row.started_at = row.started_at or now
            row.heartbeat_at = now
            row.claimable_at = now + self._lease
            session.flush()
            return Claim(_job(row), row.token)

    def heartbeat(self, job_id: str, token: int, progress: Mapping[str, Any] | None = None) -> bool:
        """Prolong a claim, report progress, and learn whether the job should stop.

        Raises:
            ClaimLost: The token is no longer the claim's.
        """
        now = self._naive()
        with Session(self._engine) as session, session.begin():
            row = _claimed(session, job_id, token)
            row.heartbeat_at = now
            row.claimable_at = now + self._lease
            if progress is not None:
                row.progress = dict(progress)
            return row.cancel_requested

    def finish(
        self,
        job_id: str,
        token: int,
        state: JobState,
        result: Mapping[str, Any] | None = None,
        error: Mapping[str, str] | None = None,
    ) -> Job:
        """End a job for good.

        Raises:
            ClaimLost: The token is no longer the claim's.
        """
        with Session(self._engine) as session, session.begin():
            row = _claimed(session, job_id, token)
            _end(row, state, self._naive(), result=result, error=error)
            session.flush()
            return _job(row)

    def release(
        self, job_id: str, token: int, *, after_seconds: float = 0.0, error: Mapping[str, str] | None = None
    ) -> None:
        """Give a claim back after a failure, so that the job is tried again after a pause.

        Args:
            job_id: The job.
            token: The claim's.
            after_seconds: The pause.
            error: `reason` and `message` of the failure, told of the job until it ends.

        Raises:
            ClaimLost: The token is no longer the claim's.
        """
        with Session(self._engine) as session, session.begin():
            row = _claimed(session, job_id, token)
            row.state = JobState.PENDING
            row.claimable_at = self._naive() + timedelta(seconds=after_seconds)
            row.error = dict(error) if error else None

    def preempt(self, job_id: str, token: int) -> None:
        """Give a claim back since the worker has to stop: a preemption, and no attempt.

        A worker that is killed cannot say so. Its claim runs out and stays an attempt: it may be the job that kills
        its workers, and nothing in the record tells the two apart.

        Raises:
            ClaimLost: The token is no longer the claim's.
        """
        with Session(self._engine) as session, session.begin():
            row = _claimed(session, job_id, token)
            row.state = JobState.PENDING
            row.claimable_at = self._naive()
            row.attempts -= 1
            row.preemptions += 1

    def cancel(self, job_id: str) -> Job:
        """Ask a job to stop: one that nobody works on is cancelled at once, a running one by its worker.

        Raises:
            JobNotFound: No job has this id.
        """
        now = self._naive()
        with Session(self._engine) as session, session.begin():
            row = _found(session, job_id)
            if not JobState(row.state).is_final:
                row.cancel_requested = True
                if row.state == JobState.PENDING or row.claimable_at <= now:
                    _end(row, JobState.CANCELLED, now)
            session.flush()
            return _job(row)

    def overdue(self, kind: str) -> list[Job]:
        """Return the jobs of a kind that somebody may claim; the highest priority goes first, of equals the oldest."""
        query = (
            select(JobRow)
            .where(JobRow.kind == kind, or_(*(JobRow.state == s for s in JobState if not s.is_final)))
            .where(JobRow.claimable_at <= self._naive())
            .order_by(JobRow.priority.desc(), JobRow.created_at, JobRow.id)
        )
        with Session(self._reading) as session, session.begin():
            return [_job(row) for row in session.scalars(query)]

    def _naive(self) -> datetime:
        """The present time in UTC as the database holds it: SQLite has no time zones."""
        return self._now().astimezone(UTC).replace(tzinfo=None)


def _check(name: str, number: int | None, least: int, most: float = math.inf) -> None:
    if number is not None and not least <= number <= most:
        raise ValueError(f"{name} is {number}; it must be from {least} to {most}")


def _found(session: Session, job_id: str, *, lock: bool = True) -> JobRow:
    row = session.get(JobRow, job_id, with_for_update=lock or None)
    if row is None:
        raise JobNotFound(job_id)
    return row


def _claimed(session: Session, job_id: str, token: int) -> JobRow:
    row = _found(session, job_id)
    if row.token != token or row.state != JobState.RUNNING:
        raise ClaimLost(job_id, token)
    return row


def _end(
    row: JobRow,
    state: JobState,
    now: datetime,
    *,
    result: Mapping[str, Any] | None = None,
    error: Mapping[str, str] | None = None,
) -> None:
    row.state = state
    row.finished_at = now
    row.result = dict(result or {})
    row.error = dict(error) if error else None


def _job(row: JobRow) -> Job:
    def aware(time: datetime | None) -> datetime | None:
        return None if time is None else time.replace(tzinfo=UTC)

    return Job(
        id=row.id,
        kind=row.kind,
        state=JobState(row.state),
        payload=row.payload,
        progress=row.progress or {},
        result=row.result or {},
        error=row.error,
        attempts=row.attempts,
        preemptions=row.preemptions,
        max_attempts=row.max_attempts,
        max_preemptions=row.max_preemptions,
        priority=row.priority,
        cancel_requested=row.cancel_requested,
        created_at=row.created_at.replace(tzinfo=UTC),
        started_at=aware(row.started_at),
        finished_at=aware(row.finished_at),
        heartbeat_at=aware(row.heartbeat_at),
    )
