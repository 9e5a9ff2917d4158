"""Sends jobs to workers, and sends again what nobody takes.

A message may be lost, or it may wait behind others: from here the two look alike. So the pause before a job is sent
again doubles each time: a lost message costs seconds, a long queue is not flooded.
"""

import logging
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from touchstone_runtime.errors import Unavailable
from touchstone_runtime.jobs.records import Job
from touchstone_runtime.jobs.store import JobStore

FIRST_PAUSE_SECONDS = 2.0
LONGEST_PAUSE_SECONDS = 60.0

logger = logging.getLogger(__name__)


class _Sending(NamedTuple):
    at: float
    times: int


class Dispatcher:
    """Sends jobs, each once in a while. Blocking; safe in threads.

    Each process remembers its own sendings: of several servers each sends at its own pace, and after a restart all
    that is overdue is sent at once. A job that is sent too often runs once all the same.
    """

    def __init__(
        self, jobs: JobStore, send: Callable[[Job], None], *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """Prepare.

        Args:
            jobs: The record.
            send: Hands a job to the broker; raises Unavailable when the broker is away.
            monotonic: A clock, in seconds.
        """
        self._jobs = jobs
        self._hand_over = send
        self._monotonic = monotonic
        self._sendings: dict[tuple[str, int, int], _Sending] = {}
        self._lock = threading.Lock()

    def send(self, job: Job) -> bool:
        """Send a job, unless it was sent a short while ago and not claimed since; tell whether it was sent.

        A broker that is away is no error: the record stands, and `resend_overdue` sends the job later.
        """
        key = (job.id, job.attempts, job.preemptions)
        now = self._monotonic()
        with self._lock:
            last = self._sendings.get(key)
            if last and now - last.at < _pause(last.times):
                return False
            self._forget_old(now)
            self._sendings.pop(key, None)  # the order of the dictionary is that of the sendings
            self._sendings[key] = _Sending(now, (last.times if last else 0) + 1)
        try:
            self._hand_over(job)
        except Unavailable as error:
            logger.warning("job waits for the broker", extra={"job": job.id, "fault": error.message})
            with self._lock:
                self._sendings.pop(key, None)
            return False
        return True

    def resend_overdue(self, kind: str) -> int:
        """Send what nobody works on of a kind of job again; return how many were sent."""
        return sum(self.send(job) for job in self._jobs.overdue(kind))

    def _forget_old(self, now: float) -> None:
        for key, sending in list(self._sendings.items()):
            if now - sending.at < 2 * LONGEST_PAUSE_SECONDS:
                return
            del self._sendings[key]


def _pause(times: int) -> float:
    return min(FIRST_PAUSE_SECONDS * 2.0 ** (times - 1), LONGEST_PAUSE_SECONDS)
