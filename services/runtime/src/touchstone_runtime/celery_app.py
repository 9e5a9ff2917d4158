"""Celery as we use it: it carries job ids, and nothing of it is believed.

Messages are acknowledged late, prefetched one at a time, in JSON; results are ignored. What a broker loses when
processes are killed is sent again, since servers send every overdue job (`jobs.Dispatcher`). What each kind of broker
needs is in `brokers`.
"""

import contextlib
import logging
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from amqp.exceptions import AMQPError
from celery import Celery, signals
from kombu.exceptions import KombuError, OperationalError
from opentelemetry import propagate

from touchstone_runtime import brokers
from touchstone_runtime.errors import Unavailable
from touchstone_runtime.jobs import JobStore, Work, run_job

LEAVE_SECONDS = 5.0
"""How long Celery may take to end once no job is at work."""

_TRACE_HEADER = "touchstone_trace"

logger = logging.getLogger(__name__)


class BrokerUnavailable(Unavailable):
    """The broker did not take a message."""

    reason = "BROKER_UNAVAILABLE"

    def __init__(self, fault: str) -> None:
        super().__init__(f"The broker took no message: {fault}. The work is recorded and is sent when it is back.")


def create_app(name: str, *, broker_url: str, queue: str, more_queues: Sequence[str] = ()) -> Celery:
    """Make a Celery application whose tasks go to one queue, or to one of several.

    Args:
        name: Of the service.
        broker_url: `redis://` or `rediss://` for Redis and Valkey, `amqp://` or `amqps://` for RabbitMQ.
        queue: Where its tasks go, but for those that are sent elsewhere.
        more_queues: Where else they may be sent; its workers take from all.
    """
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
        worker_enable_remote_control=False,  # nobody asks, and its queues are of a kind that RabbitMQ 4.3 refuses
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        task_publish_retry_policy={"max_retries": 1, "interval_start": 0, "interval_step": 0.2, "interval_max": 0.5},
        **brokers.options(broker_url, (queue, *more_queues)),
    )
    return app


def send(app: Celery, task_name: str, job_id: str, *, priority: int = 0, queue: str = "") -> None:
    """Send a job to its queue, with the present trace context.

    Args:
        app: The application.
        task_name: Names what is done, as in `Worker.register`.
        job_id: The job.
        priority: Of the job, from 0 to 9. Brokers know fewer steps; the record knows all.
        queue: One of the application's; empty: the first.

    Raises:
        BrokerUnavailable: It was not taken.
    """
    headers: dict[str, str] = {}
    propagate.inject(headers)
    try:
        app.send_task(
            task_name,
            args=[job_id],
            headers={_TRACE_HEADER: headers},
            queue=queue or None,
            priority=brokers.priority(app.conf.broker_url, priority),
            confirm_timeout=brokers.CONFIRM_SECONDS,
        )
    except (OperationalError, KombuError, AMQPError, OSError) as error:
        raise BrokerUnavailable(str(error)) from error


class Worker:
    """Works on the jobs of an application's queues in this process."""

    def __init__(self, app: Celery, store: Callable[[], JobStore]) -> None:
        """Prepare.

        Args:
            app: The Celery application.
            store: Gives the job store; called at the first job.
        """
        self._app = app
        self._store = store
        self._stopping = threading.Event()
        self._ended = threading.Event()
        self._at_work = 0
        self._rest = threading.Condition()

    def register(self, task_name: str, work: Work, **options: Any) -> None:
        """Say what the jobs of a kind do.

        Args:
            task_name: The name that `send` uses.
            work: What a job does.
            options: Passed to `run_job`.
        """

        @self._app.task(name=task_name, bind=True)  # type: ignore[untyped-decorator] # Celery has no annotations
        def run(task: Any, job_id: str) -> None:
            carrier = getattr(task.request, _TRACE_HEADER, None) or (task.request.headers or {}).get(_TRACE_HEADER, {})
            with self._working():
                run_job(self._store(), job_id, work, carrier=carrier, stopping=self._stopping, **options)

    def run(self, *, concurrency: int = 1) -> None:
        """Work until SIGTERM. What is being worked on then stops at its next report and goes on elsewhere."""

        def stop(**_: object) -> None:
            self._stopping.set()
            threading.Thread(target=self._leave, name="leave", daemon=True).start()

        signals.worker_shutting_down.connect(stop)
        try:
            self._app.Worker(
                pool="threads",
                concurrency=concurrency,
                loglevel="WARNING",
                without_gossip=True,
                without_mingle=True,
                without_heartbeat=True,
                quiet=True,
            ).start()
        finally:
            self._ended.set()
            signals.worker_shutting_down.disconnect(stop)

    @contextlib.contextmanager
    def _working(self) -> Iterator[None]:
        with self._rest:
            self._at_work += 1
        try:
            yield
        finally:
            with self._rest:
                self._at_work -= 1
                self._rest.notify_all()

    def _leave(self) -> None:
        """End the process if Celery does not: while the broker is away it waits for that, with nothing left to do.

        Nothing is lost by it: no job is at work, and what was not acknowledged is in the record.
        """
        with self._rest:
            self._rest.wait_for(lambda: self._at_work == 0)
        if self._ended.wait(LEAVE_SECONDS):
            return
        logger.warning("the broker is away; leaving without it")
        os._exit(0)
