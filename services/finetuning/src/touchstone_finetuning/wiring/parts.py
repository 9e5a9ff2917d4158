"""What the server and the worker are both made of."""

from datetime import UTC, datetime

from celery import Celery
from touchstone_runtime import celery_app
from touchstone_runtime.jobs import JobStore

from touchstone_finetuning.settings import CommonSettings


def now() -> datetime:
    """Tell the time, in UTC."""
    return datetime.now(UTC)


def celery(settings: CommonSettings) -> Celery:
    """Make the Celery application."""
    first, *more = settings.queues
    return celery_app.create_app("touchstone_finetuning", broker_url=settings.broker_url, queue=first, more_queues=more)


def job_store(settings: CommonSettings) -> JobStore:
    """Open the job records."""
    return JobStore(settings.database_url, now=now, lease_seconds=settings.job_lease_seconds)
