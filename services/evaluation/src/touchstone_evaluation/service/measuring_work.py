"""The middle jobs of a run: ask about the items of a shard, score what comes back, record it item by item."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime

from touchstone_evaluation.core import planning
from touchstone_evaluation.core.items import Item, ItemDigest
from touchstone_evaluation.core.planning import Shard
from touchstone_evaluation.core.runs import Run, reason_to_stop
from touchstone_evaluation.core.spec import Suite
from touchstone_evaluation.core.task import Task
from touchstone_evaluation.ports import Runs
from touchstone_evaluation.service.asking import Asker
from touchstone_evaluation.service.course import Course
from touchstone_evaluation.service.load_work import Loading
from touchstone_evaluation.service.looking import Looking

Beat = Callable[[], None]
"""Called between items; raises when the work must stop."""


class Measuring:
    """Works shards off. Asynchronous; the record is blocking, so it goes through threads."""

    def __init__(
        self,
        runs: Runs,
        asker: Asker,
        course: Course,
        tasks: Mapping[str, Task],
        *,
        now: Callable[[], datetime],
    ) -> None:
        self._runs = runs
        self._asker = asker
        self._loading = Loading(runs, asker)
        self._looking = Looking(runs, tasks)
        self._course = course
        self._tasks = tasks
        self._now = now

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
            await self._loading.put_on(run, suite, load, found, lambda: self._should_stop(run.dispatch_id, beat))
        await asyncio.to_thread(self._runs.end_shard, dispatch_id, number)
        askings = len(shard.items) * suite.sampling.repeats * len(run.spec.sides)
        await asyncio.to_thread(self._looking.look, dispatch_id, askings)
        await asyncio.to_thread(self._course.advance, dispatch_id)

    async def _by_items(
        self, run: Run, shard: Shard, suite: Suite, items: Mapping[ItemDigest, Item], beat: Beat
    ) -> None:
        scored = await asyncio.to_thread(self._runs.scored, run.dispatch_id, suite.name, shard.items)
        for asking in planning.askings(shard, suite, run.spec.sides):
            if asking in scored:
                continue
            if await self._should_stop(run.dispatch_id, beat):
                return
            score = await self._asker.score(run, suite, items[asking.item], asking, is_load=False)
            await asyncio.to_thread(self._runs.record, run.dispatch_id, [score])

    async def _should_stop(self, dispatch_id: str, beat: Beat) -> bool:
        await asyncio.to_thread(beat)
        run = await asyncio.to_thread(self._runs.get, dispatch_id)
        if why := reason_to_stop(run, self._now()):
            await asyncio.to_thread(self._runs.stop, dispatch_id, why.why, is_budget=why.is_budget)
        return why is not None or bool(run.settled) or run.state.is_final
