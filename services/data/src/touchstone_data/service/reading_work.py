"""The first unit of a pipeline: cut the sources into shards of equal size, so that workers can share them."""

from collections import Counter
from collections.abc import Iterator

from touchstone_data import errors
from touchstone_data.core.accounts import SourceCount, UnitAccount
from touchstone_data.core.records import Drop, Record
from touchstone_data.ports import Left, Shelf, Sources
from touchstone_data.service.working import Task

READING_STEP = "read"
"""How dropped records name this stage."""
BEAT_RECORDS = 1000


class Reading:
    """Reads sources, one after another; one shard is in memory at a time."""

    def __init__(self, sources: Sources, shelf: Shelf) -> None:
        self._sources = sources
        self._shelf = shelf

    def __call__(self, task: Task) -> UnitAccount:
        """Write the shards of stage 0, if there is a place for what comes of them."""
        self._shelf.check(task.spec)
        shards = _Shards(task)
        found = []
        for source in task.spec.sources:
            before = shards.records
            opened = self._sources.open(source)
            for record in _beating(opened.records, task):
                shards.add(record, source.name)
            found.append(SourceCount(name=source.name, digest=opened.digest, records=shards.records - before))
        shards.close()
        if not shards.number:
            raise errors.Empty(", ".join(f"{reason}: {count}" for reason, count in shards.unreadable.items()))
        return UnitAccount(shards=shards.number, sources=tuple(found), unreadable=dict(shards.unreadable))


class _Shards:
    """Fills one shard after another."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._waiting: list[Record] = []
        self._left: list[Left] = []
        self._left_before: list[Left] = []
        self.number = 0
        self.records = 0
        self.unreadable: Counter[str] = Counter()

    def add(self, record: Record | Drop, source: str) -> None:
        self.records += 1
        if isinstance(record, Drop):
            self.unreadable[record.reason] += 1
            self._left.append(Left(record.detail, source, READING_STEP, record))
            return
        self._waiting.append(record)
        if len(self._waiting) == self._task.spec.shard_records:
            self._end_shard()

    def close(self) -> None:
        if self._waiting:
            self._end_shard()
        elif self._left and self.number:
            # What was left out after the last whole shard belongs to that.
            self._task.workshop.put_left(0, self.number - 1, [*self._left_before, *self._left])

    def _end_shard(self) -> None:
        self._task.workshop.put_records(0, self.number, self._waiting)
        self._task.workshop.put_left(0, self.number, self._left)
        self.number += 1
        self._left_before = self._left
        self._waiting, self._left = [], []


def _beating(records: Iterator[Record | Drop], task: Task) -> Iterator[Record | Drop]:
    for number, record in enumerate(records):
        if number % BEAT_RECORDS == 0:
            task.beat()
        yield record
