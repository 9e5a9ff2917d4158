"""What the server and the worker are both made of."""

from datetime import UTC, datetime

from celery import Celery
from touchstone_runtime import celery_app
from touchstone_runtime.jobs import Dispatcher, JobStore

from touchstone_evaluation.settings import CommonSettings
from touchstone_evaluation.tasks import QUEUE


def now() -> datetime:
    """Tell the time, in UTC."""
    return datetime.now(UTC)


def celery(settings: CommonSettings) -> Celery:
    """Make the Celery application."""
    return celery_app.create_app("touchstone_evaluation", broker_url=settings.broker_url, queue=QUEUE)


def job_store(settings: CommonSettings) -> JobStore:
    """Open the job records."""
    return JobStore(settings.database_url, now=now, lease_seconds=settings.job_lease_seconds)


def dispatcher(app: Celery, jobs: JobStore) -> Dispatcher:
    """Make what sends jobs; the name of a task is its kind."""
    return Dispatcher(jobs, lambda job: celery_app.send(app, job.kind, job.id, priority=job.priority))
