"""Celery as we use it: it carries job ids, and nothing of it is believed.

Messages are acknowledged late, prefetched one at a time, in JSON; results are ignored. Redis and Valkey lose messages
when processes are killed; that is harmless, since servers send every overdue job again (`redispatch`).
"""

import logging
import os
import threading
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from celery import Celery
from opentelemetry import propagate, trace

from touchstone_runtime import telemetry
from touchstone_runtime.errors import DomainError
from touchstone_runtime.jobs import Claim, ClaimLost, JobState, JobStore
from touchstone_runtime.telemetry import names

MAX_ATTEMPTS = 5
RETRY_PAUSE_SECONDS = 2.0

logger = logging.getLogger(__name__)

Report = Callable[[Mapping[str, Any]], bool]
"""Reports progress; True means: stop, the job was cancelled."""


class Work(Protocol):
    """What a job does: given its claim and a way to report, it returns the result."""

    def __call__(self, claim: Claim, report: Report) -> Mapping[str, Any]:
        """Work, and return the result.

        Raises:
            Cancelled: The job was asked to stop, and did.
            DomainError: It failed; of a retryable kind, it is tried again.
        """
        ...


class Cancelled(Exception):
    """A job stopped because it was asked to."""


def create_app(name: str, *, broker_url: str, queue: str) -> Celery:
    """Make a Celery application whose tasks go to one queue."""
    app = Celery(name, broker=broker_url, set_as_current=False)
    app.conf.update(
        task_default_queue=queue,
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        task_ignore_result=True,
        task_store_errors_even_if_ignored=False,
        task_serializer="json",
        accept_content=["json"],
        worker_prefetch_multiplier=1,
        worker_cancel_long_running_tasks_on_connection_loss=True,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        worker_send_task_events=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options={"visibility_timeout": 3600, "socket_keepalive": True},
        task_publish_retry_policy={"max_retries": 2, "interval_start": 0, "interval_step": 0.2, "interval_max": 0.5},
    )
    return app


def send(app: Celery, task_name: str, job_id: str) -> None:
    """Send a job to its queue, with the present trace context."""
    headers: dict[str, str] = {}
    propagate.inject(headers)
    app.send_task(task_name, args=[job_id], headers={"touchstone_trace": headers})


def redispatch(store: JobStore, kind: str, dispatch: Callable[[str], None]) -> int:
    """Send every overdue job of a kind again and return how many; a broker that is away is tried later."""
    overdue = store.overdue(kind)
    for job in overdue:
        dispatch(job.id)
    return len(overdue)


def run_job(
    store: JobStore,
    job_id: str,
    work: Work,
    *,
    carrier: Mapping[str, str] | None = None,
    max_attempts: int = MAX_ATTEMPTS,
    worker: str = "",
) -> None:
    """Claim a job, work on it under heartbeats, and record what came of it.

    A job that is finished or claimed by another is left alone. One that was claimed more than `max_attempts` times
    without an end is given up: reason PoisonTask.
    """
    claim = store.claim(job_id, worker or f"{os.uname().nodename}-{os.getpid()}")
    if claim is None:
        return
    with _span(claim, carrier or {}), _Heart(store, claim) as heart:
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
    fault = {"reason": camel(error.reason), "message": error.message}
    store.finish(claim.job.id, claim.token, JobState.FAILED, error=fault)


def camel(reason: str) -> str:
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

    def __init__(self, store: JobStore, claim: Claim) -> None:
        self._store = store
        self._claim = claim
        self._stop = threading.Event()
        self._should_stop = threading.Event()
        self._lost: ClaimLost | None = None
        self._thread = threading.Thread(target=self._beat, name=f"heart-{claim.job.id}", daemon=True)

    def __enter__(self) -> "_Heart":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def report(self, progress: Mapping[str, Any]) -> bool:
        """Record progress; True means: stop."""
        if self._lost:
            raise self._lost
        return self._store.heartbeat(self._claim.job.id, self._claim.token, progress) or self._should_stop.is_set()

    def _beat(self) -> None:
        while not self._stop.wait(self._store.lease_seconds / 3):
            try:
                if self._store.heartbeat(self._claim.job.id, self._claim.token):
                    self._should_stop.set()
            except ClaimLost as error:
                if not self._stop.is_set():
                    self._lost = error
                return
            except Exception:  # the database may come back before the lease ends
                logger.exception("heartbeat failed", extra={"job": self._claim.job.id})


def run_worker(app: Celery, *, concurrency: int = 1, pool: str = "threads") -> None:
    """Run a worker in this process until SIGTERM; what is being worked on is finished first."""
    app.Worker(
        pool=pool,
        concurrency=concurrency,
        loglevel="WARNING",
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
        quiet=True,
    ).start()


def job_task(app: Celery, task_name: str, store: Callable[[], JobStore], work: Work, **options: Any) -> Any:
    """Register the task of a kind of job: it takes a job id and runs the work under a claim.

    Args:
        app: The Celery application.
        task_name: The name that `send` uses.
        store: Gives the job store; called at the first job, in the worker.
        work: What the job does.
        options: Passed to `run_job`.
    """

    @app.task(name=task_name, bind=True)  # type: ignore[untyped-decorator] # Celery has no annotations
    def run(self: Any, job_id: str) -> None:
        carrier = getattr(self.request, "touchstone_trace", None) or (self.request.headers or {}).get(
            "touchstone_trace", {}
        )
        run_job(store(), job_id, work, carrier=carrier, **options)

    return run
