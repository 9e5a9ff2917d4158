"""Working on a job: claim it, beat while it goes on, record what came of it."""

import logging
import os
import threading
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from opentelemetry import propagate, trace

from touchstone_runtime import telemetry
from touchstone_runtime.errors import DomainError
from touchstone_runtime.jobs.records import Claim, ClaimLost, JobState
from touchstone_runtime.jobs.store import JobStore
from touchstone_runtime.telemetry import names

MAX_ATTEMPTS = 5
RETRY_PAUSE_SECONDS = 2.0

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
    """The worker was asked to stop; the job goes on elsewhere, and this attempt is not held against it."""


def run_job(
    store: JobStore,
    job_id: str,
    work: Work,
    *,
    carrier: Mapping[str, str] | None = None,
    stopping: threading.Event | None = None,
    max_attempts: int = MAX_ATTEMPTS,
) -> None:
    """Claim a job, work on it under heartbeats, and record what came of it.

    A job that is finished or claimed by another is left alone. One that was claimed more than `max_attempts` times
    without an end is given up: reason PoisonTask.

    Args:
        store: The record.
        job_id: The job.
        work: What it does.
        carrier: The trace context of whoever sent it.
        stopping: Set when this process should end.
        max_attempts: How often it may be started.
    """
    claim = store.claim(job_id, f"{os.uname().nodename}-{os.getpid()}")
    if claim is None:
        return
    with _span(claim, carrier or {}), _Heart(store, claim, stopping or threading.Event()) as heart:
        try:
            if claim.job.attempts > max_attempts:
                message = f"The job was started {max_attempts} times and never came to an end."
                store.finish(job_id, claim.token, JobState.FAILED, error={"reason": "PoisonTask", "message": message})
                return
            result = work(claim, heart.report)
            store.finish(job_id, claim.token, JobState.SUCCEEDED, result=result)
        except ClaimLost:
            logger.warning("claim lost", extra={"job": job_id, "token": claim.token})
        except Cancelled:
            store.finish(job_id, claim.token, JobState.CANCELLED)
        except Preempted:
            store.release(job_id, claim.token, is_counted=False)
        except DomainError as error:
            _failed(store, claim, error, max_attempts)
        except Exception:  # the edge of the worker: whatever went wrong is recorded, the worker lives on
            logger.exception("job failed unexpectedly", extra={"job": job_id})
            fault = {"reason": "InternalError", "message": "An unexpected error happened; the worker's log has it."}
            store.finish(job_id, claim.token, JobState.FAILED, error=fault)


def _failed(store: JobStore, claim: Claim, error: DomainError, max_attempts: int) -> None:
    logger.warning("job failed", extra={"job": claim.job.id, "reason": error.reason, "fault": error.message})
    if error.is_retryable and claim.job.attempts < max_attempts:
        store.release(claim.job.id, claim.token, after_seconds=RETRY_PAUSE_SECONDS * 2 ** (claim.job.attempts - 1))
        return
    fault = {"reason": _camel(error.reason), "message": error.message}
    store.finish(claim.job.id, claim.token, JobState.FAILED, error=fault)


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
