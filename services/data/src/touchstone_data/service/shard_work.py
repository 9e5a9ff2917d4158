"""The work on one shard: hear what was decided, do the steps, observe for the next decision."""

import itertools
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from touchstone_data.core import accounts, generation
from touchstone_data.core.accounts import StepCount, UnitAccount
from touchstone_data.core.generation import Made
from touchstone_data.core.records import Drop, Record, with_value
from touchstone_data.core.steps import RecordWork
from touchstone_data.ports import Inference, Left, Trials
from touchstone_data.service.asking import Helper
from touchstone_data.service.making import Maker
from touchstone_data.service.working import Task

BEAT_RECORDS = 100


class ShardWork:
    """Works on a shard, record by record; all of the shard is in memory."""

    def __init__(self, maker: Maker, inference: Inference, trials: Trials) -> None:
        self._maker = maker
        self._inference = inference
        self._trials = trials

    def __call__(self, task: Task) -> UnitAccount:
        """Write the shard of the task's stage."""
        stage, shard, shop = task.stage, task.unit.shard, task.workshop
        left: list[Left] = []
        records = shop.records(stage.input, shard)
        if stage.hears is not None:
            records = list(_listening(records, task, left))
        tally = _Tally()
        kept = records
        for places in self._turns(task):
            if self._maker.makes_records(task.spec, places[0]):
                kept = list(self._making(task, places[0], kept, tally, left))
            else:
                kept = list(self._one_by_one(task, places, kept, tally, left))
        shop.put_left(stage.number, shard, left)
        if stage.observes is not None:
            shop.put_observations(stage.number, shard, self._maker.corpus_work(task.spec, stage.observes).observe(kept))
        shop.put_records(stage.number, shard, kept)
        return tally.account(stage.steps, [one for one in left if one.drop.is_blocking])

    def _turns(self, task: Task) -> Iterator[list[int]]:
        """The stage's steps: those that take single records together, those that make records each by itself."""
        by_kind = itertools.groupby(task.stage.steps, key=lambda place: self._maker.makes_records(task.spec, place))
        for makes_records, places in by_kind:
            yield from ([place] for place in places) if makes_records else [list(places)]

    def _one_by_one(
        self, task: Task, places: Sequence[int], records: Sequence[Record], tally: "_Tally", left: list[Left]
    ) -> Iterator[Record]:
        works = [(place, self._maker.record_work(task.spec, place)) for place in places]
        for number, record in enumerate(records):
            if number % BEAT_RECORDS == 0:
                task.beat()
            found = tally.through(works, record)
            if isinstance(found, Record):
                yield found
            else:
                left.append(Left(record.id, record.source, task.spec.steps[found.place].name, found.drop))

    def _making(
        self, task: Task, place: int, records: Sequence[Record], tally: "_Tally", left: list[Left]
    ) -> Iterator[Record]:
        """Put what a step makes behind its origins."""
        names = [use.name for use in task.spec.steps]
        use = generation.use_names(names)[place]
        work = self._maker.generation_work(task.spec, place)
        aid = Helper(task, self._inference, self._trials)
        made: defaultdict[tuple[str, str], list[Made]] = defaultdict(list)
        for one in work([record for record in records if generation.may_be_origin(record)], aid):
            made[one.origin.source, one.origin.id].append(one)
        for record in records:
            yield record
            for number, one in enumerate(made.pop((record.source, record.id), ()), start=1):
                found = generation.derived(one, use, number)
                if one.drop is None:
                    yield found
                else:
                    left.append(Left(found.id, found.source, names[place], one.drop))
                tally.made(place, one.drop)
            tally.records[place] += 1


def _listening(records: Sequence[Record], task: Task, left: list[Left]) -> Iterator[Record]:
    """Apply a decision. Its drops were counted by whoever decided."""
    stage = task.stage
    step = task.spec.steps[stage.hears or 0].name
    for record, heard in zip(records, task.workshop.heard(stage.number - 1, task.unit.shard), strict=True):
        if heard.drop is not None:
            left.append(Left(record.id, record.source, step, heard.drop))
            continue
        found = record if heard.split is None else replace(record, split=heard.split)
        for path, value in heard.values.items():
            found = with_value(found, path, value)
        yield found


class _Stop(NamedTuple):
    """Where a record was left out."""

    place: int
    drop: Drop


@dataclass(slots=True)
class _Tally:
    """Has steps work, and counts what they do."""

    records: Counter[int] = field(default_factory=Counter)
    changed: Counter[int] = field(default_factory=Counter)
    made_records: Counter[int] = field(default_factory=Counter)
    dropped: dict[int, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))

    def through(self, works: Sequence[tuple[int, RecordWork]], record: Record) -> Record | _Stop:
        """Have all steps work on a record, up to one that leaves it out."""
        for place, work in works:
            self.records[place] += 1
            found = work(record)
            if isinstance(found, Drop):
                self.dropped[place][found.reason] += 1
                return _Stop(place, found)
            self.changed[place] += found is not record and found != record
            record = found
        return record

    def made(self, place: int, drop: Drop | None) -> None:
        """Count a record that a step made."""
        self.made_records[place] += 1
        if drop is not None:
            self.dropped[place][drop.reason] += 1

    def account(self, places: Sequence[int], blocking: Sequence[Left]) -> UnitAccount:
        examples = [f"{one.source}/{one.id} ({one.drop.reason}: {one.drop.detail})" for one in blocking]
        return UnitAccount(
            steps={
                place: StepCount(
                    records=self.records[place],
                    changed=self.changed[place],
                    dropped=dict(self.dropped[place]),
                    made=self.made_records[place],
                )
                for place in places
            },
            blocking=len(blocking),
            examples=tuple(examples[: accounts.BLOCKING_EXAMPLES]),
        )
