"""The work queue: each key once, one reconcile of a key at a time, failures with growing pauses.

A key that is added while it is worked on is worked on again. Keys come back after a while by themselves (the resync),
so that an event that was missed is no more than late.
"""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from datetime import datetime

from touchstone_runtime import telemetry
from touchstone_runtime.errors import DomainError
from touchstone_runtime.telemetry import names

from touchstone_operator.objects import Key
from touchstone_operator.reconcile.outcome import Outcome

FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 60.0
JITTER = 0.2

logger = logging.getLogger(__name__)

Work = Callable[[Key], Awaitable[Outcome]]


class WorkQueue:
    """Keys that are due now or later."""

    def __init__(
        self,
        *,
        now: Callable[[], datetime],
        monotonic: Callable[[], float] = time.monotonic,
        resync_seconds: float = 300.0,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._now = now
        self._monotonic = monotonic
        self._resync_seconds = resync_seconds
        self._jitter = jitter
        self._due: dict[Key, float] = {}
        self._running: set[Key] = set()
        self._failures: dict[Key, int] = {}
        self._changed = asyncio.Event()
        meter = telemetry.meter(__name__)
        self._duration = meter.create_histogram(names.RECONCILE_DURATION, unit="s")

    def __len__(self) -> int:
        return len(self._due)

    def add(self, key: Key, *, after_seconds: float = 0.0) -> None:
        """Have a key worked on; the earliest of several wishes counts."""
        at = self._monotonic() + after_seconds
        if at < self._due.get(key, float("inf")):
            self._due[key] = at
            self._changed.set()

    def forget(self, key: Key) -> None:
        """Drop a key whose object is gone."""
        self._due.pop(key, None)
        self._failures.pop(key, None)

    def oldest_wait_seconds(self) -> float:
        """Say for how long the most overdue key has waited; 0 when none is overdue."""
        waiting = [at for key, at in self._due.items() if key not in self._running]
        return max(0.0, self._monotonic() - min(waiting)) if waiting else 0.0

    async def run(self, work: Work, *, workers: int) -> None:
        """Work for ever, at most `workers` keys at once."""
        limit = asyncio.Semaphore(workers)
        async with asyncio.TaskGroup() as tasks:
            while True:
                await limit.acquire()
                key = await self._next()
                self._running.add(key)
                tasks.create_task(self._work(key, work, limit), name=str(key))

    async def _next(self) -> Key:
        while True:
            self._changed.clear()
            ready = [(at, key) for key, at in self._due.items() if key not in self._running]
            at, key = min(ready, default=(float("inf"), None))
            wait = at - self._monotonic()
            if key is not None and wait <= 0:
                del self._due[key]
                return key
            try:
                async with asyncio.timeout(None if wait == float("inf") else wait):
                    await self._changed.wait()
            except TimeoutError:
                continue

    async def _work(self, key: Key, work: Work, limit: asyncio.Semaphore) -> None:
        started = self._monotonic()
        outcome_name = "done"
        try:
            outcome = await work(key)
        except Exception as error:  # noqa: BLE001 - the edge: whatever went wrong, the key is tried again
            outcome_name = "failed"
            self._retry(key, error)
        else:
            self._failures.pop(key, None)
            self._again(key, outcome)
        finally:
            self._running.discard(key)
            self._changed.set()
            limit.release()
            attributes = {names.RESOURCE_KIND: key.kind, names.RECONCILE_OUTCOME: outcome_name}
            self._duration.record(self._monotonic() - started, attributes)

    def _retry(self, key: Key, error: Exception) -> None:
        count = self._failures[key] = self._failures.get(key, 0) + 1
        pause = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2 ** (count - 1))
        if isinstance(error, DomainError) and error.is_retryable:
            logger.info("reconcile is tried again", extra={"key": str(key), "reason": error.reason, "pause": pause})
        else:
            logger.error("reconcile failed", exc_info=error, extra={"key": str(key), "pause": pause})
        self.add(key, after_seconds=self._spread(pause))

    def _again(self, key: Key, outcome: Outcome) -> None:
        resync = self._spread(self._resync_seconds)
        if outcome.requeue_at is not None:
            resync = min(resync, max(0.0, (outcome.requeue_at - self._now()).total_seconds()))
        self.add(key, after_seconds=resync)

    def _spread(self, seconds: float) -> float:
        return seconds * (1.0 - JITTER + 2 * JITTER * self._jitter())
