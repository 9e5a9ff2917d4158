"""Working on a job: claim it, beat while it goes on, record what came of it."""

import logging
import os
import threading
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol, Self

from opentelemetry import propagate, trace

from touchstone_runtime import telemetry
from touchstone_runtime.errors import DomainError
from touchstone_runtime.jobs.records import Claim, ClaimLost, Job, JobState
from touchstone_runtime.jobs.store import JobStore
from touchstone_runtime.telemetry import names

MAX_ATTEMPTS = 5
MAX_PREEMPTIONS = 100
"""Workers stop at each rollout and whenever a node is drained; a job that met that so often never gets on."""
RETRY_PAUSE_SECONDS, MOST_PAUSE_SECONDS = 10.0, 360.0
"""The pause after a failed attempt; each next one is twice as long, up to the second: as Kubernetes has it for Jobs."""

logger = logging.getLogger(__name__)

Report = Callable[[Mapping[str, Any]], None]
"""Records progress. Raises Cancelled, Preempted or ClaimLost when the work must stop: call it between small steps."""


class Work(Protocol):
    """What a job does: given its claim and a way to report, it returns the result."""

    def __call__(self, claim: Claim, report: Report) -> Mapping[str, Any]:
        """Work, and return the result.

        Raises:
            Cancelled, Preempted: As `report` raised them.
            DomainError: It failed; of a retryable kind, it is tried again.
        """
        ...


class Cancelled(Exception):
    """The job was asked to stop."""


class Preempted(Exception):
    """The worker was asked to stop; the job goes on elsewhere: a preemption, and no attempt."""


def run_job(
    store: JobStore,
    job_id: str,
    work: Work,
    *,
    carrier: Mapping[str, str] | None = None,
    stopping: threading.Event | None = None,
    max_attempts: int = MAX_ATTEMPTS,
    max_preemptions: int = MAX_PREEMPTIONS,
) -> None:
    """Claim a job, work on it under heartbeats, and record what came of it.

    A job that is finished or claimed by another is left alone. One that was attempted more than `max_attempts` times
    without an end is given up: reason PoisonTask. One that more than `max_preemptions` workers gave back since they
    had to stop is given up, too: reason PreemptionLimitExceeded. A worker that is killed gives nothing back; that is
    an attempt, or a job that kills its workers would never be given up.

    Args:
        store: The record.
        job_id: The job.
        work: What it does.
        carrier: The trace context of whoever sent it.
        stopping: Set when this process should end.
        max_attempts: How often it may be attempted, where the job itself does not say.
        max_preemptions: How often it may be given back, where the job itself does not say.
    """
    claim = store.claim(job_id, f"{os.uname().nodename}-{os.getpid()}")
    if claim is None:
        return
    limits = _Limits.of(claim.job, max_attempts, max_preemptions)
    with _span(claim, carrier or {}), _Heart(store, claim, stopping or threading.Event()) as heart:
        try:
            if claim.job.attempts > limits.attempts:
                message = f"The job was started {limits.attempts} times and never came to an end."
                _give_up(store, claim, "PoisonTask", message)
                return
            result = work(claim, heart.report)
            store.finish(job_id, claim.token, JobState.SUCCEEDED, result=result)
        except ClaimLost:
            logger.warning("claim lost", extra={"job": job_id, "token": claim.token})
        except Cancelled:
            store.finish(job_id, claim.token, JobState.CANCELLED)
        except Preempted:
            _preempted(store, claim, limits)
        except DomainError as error:
            _failed(store, claim, error, limits)
        except Exception:  # the edge of the worker: whatever went wrong is recorded, the worker lives on
            logger.exception("job failed unexpectedly", extra={"job": job_id})
            _give_up(store, claim, "InternalError", "An unexpected error happened; the worker's log has it.")


class _Limits(NamedTuple):
    """How often a job may be attempted, and given back."""

    attempts: int
    preemptions: int

    @classmethod
    def of(cls, job: Job, attempts: int, preemptions: int) -> Self:
        """Take what the job says before what its kind says."""
        return cls(
            attempts if job.max_attempts is None else job.max_attempts,
            preemptions if job.max_preemptions is None else job.max_preemptions,
        )


def _preempted(store: JobStore, claim: Claim, limits: _Limits) -> None:
    if claim.job.preemptions < limits.preemptions:
        store.preempt(claim.job.id, claim.token)
        return
    message = f"Workers that had to stop gave the job back {limits.preemptions} times. Raise the limit of preemptions."
    _give_up(store, claim, "PreemptionLimitExceeded", message)


def _failed(store: JobStore, claim: Claim, error: DomainError, limits: _Limits) -> None:
    logger.warning("job failed", extra={"job": claim.job.id, "reason": error.reason, "fault": error.message})
    if error.is_retryable and claim.job.attempts < limits.attempts:
        pause = min(RETRY_PAUSE_SECONDS * 2 ** (claim.job.attempts - 1), MOST_PAUSE_SECONDS)
        fault = _fault(_camel(error.reason), error.message)
        store.release(claim.job.id, claim.token, after_seconds=pause, error=fault)
        return
    _give_up(store, claim, _camel(error.reason), error.message)


def _give_up(store: JobStore, claim: Claim, reason: str, message: str) -> None:
    store.finish(claim.job.id, claim.token, JobState.FAILED, error=_fault(reason, message))


def _fault(reason: str, message: str) -> dict[str, str]:
    return {"reason": reason, "message": message}


def _camel(reason: str) -> str:
    """Write an UPPER_SNAKE reason as conditions have it, in UpperCamelCase."""
    return "".join(word.capitalize() for word in reason.split("_"))


def _span(claim: Claim, carrier: Mapping[str, str]) -> Any:
    sender = trace.get_current_span(propagate.extract(carrier)).get_span_context()
    attributes: dict[str, str | int] = {
        names.JOB_ID: claim.job.id,
        names.JOB_KIND: claim.job.kind,
        names.JOB_ATTEMPT: claim.job.attempts,
    }
    # A link, not a parent: the job outlives the request that asked for it.
    links = [trace.Link(sender)] if sender.is_valid else []
    tracer = telemetry.tracer(__name__)
    return tracer.start_as_current_span(f"process {claim.job.kind}", links=links, attributes=attributes)


class _Heart:
    """Beats in a thread of its own for as long as the work goes on."""

    def __init__(self, store: JobStore, claim: Claim, stopping: threading.Event) -> None:
        self._store = store
        self._claim = claim
        self._stopping = stopping
        self._ended = threading.Event()
        self._cancelled = threading.Event()
        self._lost: ClaimLost | None = None
        self._thread = threading.Thread(target=self._beat, name=f"heart-{claim.job.id}", daemon=True)

    def __enter__(self) -> "_Heart":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def report(self, progress: Mapping[str, Any]) -> None:
        """Record progress; see `Report`."""
        if self._lost:
            raise self._lost
        if self._store.heartbeat(self._claim.job.id, self._claim.token, progress) or self._cancelled.is_set():
            raise Cancelled
        if self._stopping.is_set():
            raise Preempted

    def _beat(self) -> None:
        while not self._ended.wait(self._store.lease_seconds / 3):
            try:
                if self._store.heartbeat(self._claim.job.id, self._claim.token):
                    self._cancelled.set()
            except ClaimLost as error:
                if not self._ended.is_set():
                    self._lost = error
                return
            except Exception:  # the database may come back before the lease ends
                logger.exception("heartbeat failed", extra={"job": self._claim.job.id})
