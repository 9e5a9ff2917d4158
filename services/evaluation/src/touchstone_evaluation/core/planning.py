"""How a run's items are cut into shards. Pure.

A shard is a handful of items that one worker takes one after another, both sides of an item at once in turn. So many
shards are at work as the run's parallelism allows: that many items are asked at once. A load is one shard, and alone.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from touchstone_evaluation.core.items import ItemDigest
from touchstone_evaluation.core.scores import Asking
from touchstone_evaluation.core.spec import RunSpec, Side, Suite

MAX_SHARD_ITEMS = 8
MAX_PARALLELISM = 64
"""Shards at work at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """A part of a suite."""

    number: int
    """Unique in the run, from 0, in the order of their start."""
    suite: str
    items: tuple[ItemDigest, ...]
    is_load: bool = False
    """Runs alone: nothing else of the run is asked at the same time."""


def shards(spec: RunSpec, drawn: Mapping[str, Sequence[ItemDigest]], loads: frozenset[str]) -> tuple[Shard, ...]:
    """Cut the suites, loads last.

    Shards are as large as keeps every slot busy to the end, at most eight items: what a killed worker did of one is
    lost only up to its last item, but the claim of a shard costs a few database writes.
    """
    by_items = [suite for suite in spec.suites if suite.name not in loads]
    by_load = [suite for suite in spec.suites if suite.name in loads]
    parts = [
        (suite.name, part) for suite in by_items for part in _cut(drawn[suite.name], spec.execution.parallelism)
    ] + [(suite.name, tuple(drawn[suite.name])) for suite in by_load]
    return tuple(
        Shard(number=number, suite=suite, items=items, is_load=suite in loads)
        for number, (suite, items) in enumerate(parts)
    )


def askings(shard: Shard, suite: Suite, sides: Sequence[Side]) -> Iterator[Asking]:
    """Order the askings of a shard: item by item, both sides in turn, the side that begins alternating.

    What drifts while a run lasts, as caches that fill and neighbours that come and go, then meets both sides alike.
    """
    for place, item in enumerate(shard.items):
        for repeat in range(suite.sampling.repeats):
            ordered = sides if (place + repeat) % 2 == 0 else tuple(reversed(sides))
            for side in ordered:
                yield Asking(suite.name, item, side, repeat)


def load_blocks(sides: Sequence[Side]) -> tuple[Side, ...]:
    """Order the blocks of a load: A B B A, each half of its side's load.

    What changes steadily while the load lasts then meets both sides alike. One side alone is one block.
    """
    return (*sides, *reversed(sides)) if len(sides) > 1 else tuple(sides)


def startable(waiting: Sequence[Shard], at_work: Sequence[Shard], parallelism: int) -> tuple[Shard, ...]:
    """Choose the shards that may start now, given those at work: as many as the parallelism allows, a load alone."""
    if not waiting or any(shard.is_load for shard in at_work):
        return ()
    by_items = [shard for shard in waiting if not shard.is_load]
    if by_items:
        return tuple(by_items[: max(0, parallelism - len(at_work))])
    return () if at_work else tuple(waiting[:1])


def _cut(items: Sequence[ItemDigest], parallelism: int) -> Iterator[tuple[ItemDigest, ...]]:
    size = max(1, min(MAX_SHARD_ITEMS, -(-len(items) // (2 * parallelism))))
    for begin in range(0, len(items), size):
        yield tuple(items[begin : begin + size])
