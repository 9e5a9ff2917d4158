"""A load as one shard: requests in flight, side against side in alternating blocks, each request recorded."""

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from touchstone_evaluation.core import planning
from touchstone_evaluation.core.items import Item
from touchstone_evaluation.core.runs import Run
from touchstone_evaluation.core.scores import Asking
from touchstone_evaluation.core.spec import Side, Suite
from touchstone_evaluation.core.task import LoadShape
from touchstone_evaluation.ports import Runs
from touchstone_evaluation.service.asking import Asker


@dataclass(frozen=True, slots=True, kw_only=True)
class _Block:
    """A part of one side's load."""

    side: Side
    numbers: Iterator[int]
    """The numbers of its requests."""
    seconds: float
    """Ends after this time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """What every block asks, and when none should go on."""

    run: Run
    suite: Suite
    items: Sequence[Item]
    scored: AbstractSet[Asking]
    should_stop: Callable[[], Awaitable[bool]]


class Loading:
    """Puts loads on."""

    def __init__(self, runs: Runs, asker: Asker, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._runs = runs
        self._asker = asker
        self._monotonic = monotonic

    async def put_on(
        self,
        run: Run,
        suite: Suite,
        load: LoadShape,
        items: Sequence[Item],
        should_stop: Callable[[], Awaitable[bool]],
    ) -> None:
        """Put the load on, block after block; what an earlier worker recorded is not asked again.

        Args:
            run: The run.
            suite: Its suite.
            load: The requests at once, and when to end.
            items: What is asked, in turn.
            should_stop: Asked after each request.
        """
        digests = [item.digest for item in items]
        scored = await asyncio.to_thread(self._runs.scored, run.dispatch_id, suite.name, digests)
        asked = _Asked(run=run, suite=suite, items=items, scored=scored, should_stop=should_stop)
        for block in _blocks(load, run.spec.sides):
            if not await self._put_on_block(block, asked, load.concurrency):
                return

    async def _put_on_block(self, block: _Block, asked: _Asked, concurrency: int) -> bool:
        """Ask until the block ends; tell whether the next one should begin."""
        ends_at = self._monotonic() + block.seconds
        stopped = asyncio.Event()

        async def client() -> None:
            for number in block.numbers:
                item = asked.items[number % len(asked.items)]
                asking = Asking(asked.suite.name, item.digest, block.side, number)
                if asking in asked.scored:
                    continue
                score = await self._asker.score(asked.run, asked.suite, item, asking, is_load=True)
                await asyncio.to_thread(self._runs.record, asked.run.dispatch_id, [score])
                if stopped.is_set() or self._monotonic() >= ends_at:
                    return
                if await asked.should_stop():
                    stopped.set()
                    return

        async with asyncio.TaskGroup() as clients:
            for _ in range(concurrency):
                clients.create_task(client())
        return not stopped.is_set()


def _blocks(load: LoadShape, sides: Sequence[Side]) -> Iterator[_Block]:
    """Cut the load into blocks; the numbers of a side's requests go on from block to block."""
    order = planning.load_blocks(sides)
    seconds = float("inf") if load.duration_seconds is None else load.duration_seconds / order.count(sides[0])
    numbers = {side: itertools.count() for side in sides}
    begun: dict[Side, int] = dict.fromkeys(sides, 0)
    for side in order:
        begun[side] += 1
        if load.requests is None:
            yield _Block(side=side, numbers=numbers[side], seconds=seconds)
            continue
        end = load.requests * begun[side] // order.count(side)
        start = load.requests * (begun[side] - 1) // order.count(side)
        yield _Block(side=side, numbers=iter(range(start, end)), seconds=seconds)
