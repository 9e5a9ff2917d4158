"""The middle jobs of a run: ask about the items of a shard, score what comes back, record it item by item."""

import asyncio
import itertools
import time
from collections.abc import Callable, Mapping
from datetime import datetime

from touchstone_runtime.errors import DomainError

from touchstone_evaluation.core import digests, planning
from touchstone_evaluation.core.items import Item, ItemDigest
from touchstone_evaluation.core.planning import Shard
from touchstone_evaluation.core.runs import Run, reason_to_stop
from touchstone_evaluation.core.scores import Asking, Score
from touchstone_evaluation.core.spec import Side, Suite
from touchstone_evaluation.core.task import LoadShape, Outcome, Task
from touchstone_evaluation.ports import PredictionKey, Predictions, Runs, Subjects
from touchstone_evaluation.service.course import Course

Beat = Callable[[], None]
"""Called between items; raises when the work must stop."""


class Measuring:
    """Works shards off. Asynchronous; the record is blocking, so it goes through threads."""

    def __init__(
        self,
        runs: Runs,
        predictions: Predictions,
        subjects: Subjects,
        course: Course,
        tasks: Mapping[str, Task],
        *,
        now: Callable[[], datetime],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._runs = runs
        self._predictions = predictions
        self._subjects = subjects
        self._course = course
        self._tasks = tasks
        self._now = now
        self._monotonic = monotonic

    async def measure(self, dispatch_id: str, number: int, beat: Beat) -> None:
        """Work a shard off, from where an earlier worker was cut off, and send what comes next."""
        run = await asyncio.to_thread(self._runs.get, dispatch_id)
        if run.state.is_final:
            return
        shard = await asyncio.to_thread(self._runs.shard, dispatch_id, number)
        await asyncio.to_thread(self._runs.begin, dispatch_id)
        suite = next(suite for suite in run.spec.suites if suite.name == shard.suite)
        task = self._tasks[suite.task]
        found = await asyncio.to_thread(self._runs.items, dispatch_id, suite.name, shard.items)
        items = {item.digest: item for item in found}
        load = task.load(suite.parameters)
        if load is None:
            await self._by_items(run, shard, suite, items, beat)
        else:
            await self._by_load(run, suite, load, tuple(items.values()), beat)
        await asyncio.to_thread(self._runs.end_shard, dispatch_id, number)
        await asyncio.to_thread(self._course.advance, dispatch_id)

    async def _by_items(
        self, run: Run, shard: Shard, suite: Suite, items: Mapping[ItemDigest, Item], beat: Beat
    ) -> None:
        scored = await asyncio.to_thread(self._runs.scored, run.dispatch_id, suite.name)
        for asking in planning.askings(shard, suite, run.spec.sides):
            if asking in scored:
                continue
            beat()
            if await self._should_stop(run.dispatch_id):
                return
            score = await self._score(run, suite, items[asking.item], asking, is_kept=True)
            await asyncio.to_thread(self._runs.record, run.dispatch_id, [score])

    async def _by_load(self, run: Run, suite: Suite, load: LoadShape, items: tuple[Item, ...], beat: Beat) -> None:
        """Put the load on one side after the other. Answers under load are never taken from earlier runs."""
        scored = await asyncio.to_thread(self._runs.scored, run.dispatch_id, suite.name)
        for side in run.spec.sides:
            await self._load_side(run, suite, load, items, side, scored, beat)

    async def _load_side(
        self,
        run: Run,
        suite: Suite,
        load: LoadShape,
        items: tuple[Item, ...],
        side: Side,
        scored: set[Asking],
        beat: Beat,
    ) -> None:
        ends_at = self._monotonic() + (load.duration_seconds or float("inf"))
        numbers = itertools.count()
        is_stopped = False

        async def client() -> None:
            nonlocal is_stopped
            while not is_stopped and self._monotonic() < ends_at:
                number = next(numbers)
                if load.requests is not None and number >= load.requests:
                    return
                item = items[number % len(items)]
                asking = Asking(suite.name, item.digest, side, number)
                if asking in scored:
                    continue
                beat()
                score = await self._score(run, suite, item, asking, is_kept=False)
                await asyncio.to_thread(self._runs.record, run.dispatch_id, [score])
                is_stopped = is_stopped or await self._should_stop(run.dispatch_id)

        async with asyncio.TaskGroup() as clients:
            for _ in range(load.concurrency):
                clients.create_task(client())

    async def _should_stop(self, dispatch_id: str) -> bool:
        run = await asyncio.to_thread(self._runs.get, dispatch_id)
        if why := reason_to_stop(run, self._now()):
            await asyncio.to_thread(self._runs.stop, dispatch_id, why)
        return bool(why) or run.state.is_final

    async def _score(self, run: Run, suite: Suite, item: Item, asking: Asking, *, is_kept: bool) -> Score:
        task = self._tasks[suite.task]
        began = self._monotonic()
        try:
            outcome, is_reused = await self._outcome(run, suite, task, item, asking, is_kept=is_kept)
        except DomainError as error:
            latency = (self._monotonic() - began) * 1000
            return Score(asking=asking, values={}, error=error.message[:500], latency_millis=latency)
        return Score(
            asking=asking,
            values=task.score(item, outcome, suite.parameters),
            is_reused=is_reused,
            input_tokens=outcome.input_tokens,
            output_tokens=outcome.output_tokens,
            latency_millis=outcome.latency_millis,
            answer=_told(outcome) if run.spec.execution.log_samples else "",
        )

    async def _outcome(
        self, run: Run, suite: Suite, task: Task, item: Item, asking: Asking, *, is_kept: bool
    ) -> tuple[Outcome, bool]:
        """Ask, or take the answer of an earlier run on the same digests."""
        subject = run.spec.of_side(asking.side)
        ask = task.ask(item, suite.parameters)
        if not is_kept:
            return await self._subjects.ask(subject, ask, suite.sampling), False
        how = digests.sampling_digest(suite, task, ask)
        key = PredictionKey(subject=subject.digest, item=item.digest, how=how, repeat=asking.repeat)
        known = await asyncio.to_thread(self._predictions.find, key)
        if known is not None:
            return known, True
        outcome = await self._subjects.ask(subject, ask, suite.sampling)
        await asyncio.to_thread(self._predictions.keep, key, outcome)
        return outcome, False


def _told(outcome: Outcome) -> str:
    return outcome.text or ", ".join(passage.document_id for passage in outcome.passages)
