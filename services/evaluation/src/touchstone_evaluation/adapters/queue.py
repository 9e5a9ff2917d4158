"""Celery carries the ids of jobs to workers."""

from celery import Celery
from kombu.exceptions import KombuError, OperationalError
from touchstone_runtime import celery_app

from touchstone_evaluation import errors
from touchstone_evaluation.ports import JobKind


class CeleryQueue:
    """Sends jobs; the name of a task is its kind."""

    def __init__(self, app: Celery) -> None:
        self._app = app

    def send(self, kind: JobKind, job_id: str) -> None:
        """Send a job."""
        try:
            celery_app.send(self._app, kind, job_id)
        except (OperationalError, KombuError, OSError) as error:
            raise errors.QueueUnavailable(str(error)) from error
