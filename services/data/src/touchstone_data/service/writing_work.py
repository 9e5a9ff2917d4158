"""The last unit of a pipeline: the snapshot, with an account of what was done."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime

from touchstone_data import errors
from touchstone_data.core import accounts
from touchstone_data.core.accounts import StepCount, UnitAccount
from touchstone_data.core.manifest import ModelAccount, Snapshot, SourceAccount, StepAccount
from touchstone_data.core.records import Record
from touchstone_data.core.steps import Step
from touchstone_data.ports import Pipelines, Shelf, SnapshotFolder
from touchstone_data.service.inspecting import Inspecting
from touchstone_data.service.working import Task


class Writing:
    """Writes snapshots."""

    def __init__(
        self,
        pipelines: Pipelines,
        shelf: Shelf,
        steps: Mapping[str, Step],
        inspecting: Inspecting,
        *,
        now: Callable[[], datetime],
    ) -> None:
        self._pipelines = pipelines
        self._shelf = shelf
        self._steps = steps
        self._inspecting = inspecting
        self._now = now

    def __call__(self, task: Task) -> UnitAccount:
        """Write the snapshot and end the pipeline with it.

        Raises:
            Contaminated: Records are in the data that must not be.
            Empty: No record is left.
        """
        done = [account for _, account in self._pipelines.accounts(task.unit.dispatch_id)]
        _refuse(done)
        with self._shelf.begin(task.spec) as folder:
            snapshot = self._written(folder, task, done)
            self._inspecting.inspect(folder, task, snapshot)
            uri = folder.keep(snapshot)
        self._pipelines.succeed(task.unit.dispatch_id, snapshot, uri)
        task.workshop.remove()
        return UnitAccount()

    def _written(self, folder: SnapshotFolder, task: Task, done: list[UnitAccount]) -> Snapshot:
        last = task.stage.number - 1

        def shards() -> Iterable[list[Record]]:
            for shard in range(task.shards):
                task.beat()
                yield task.workshop.records(last, shard)

        data = folder.put_data(shards)
        steps = self._accounts(task, done)
        if not data.files:
            dropped = (f"{step.name}: {reason}, {n}" for step in steps for reason, n in step.dropped.items())
            raise errors.Empty("; ".join(dropped))
        worked = [stage.number for stage in task.stages if stage.number == 0 or stage.is_by_shard]
        left = folder.put_left(task.workshop.left(worked, task.shards))
        return Snapshot(
            name=task.spec.name,
            files=(*data.files, left),
            sources=_sources(task, done),
            steps=steps,
            columns=data.columns,
            unreadable=next(account.unreadable for account in done),
            licence=task.spec.licence,
            models=tuple(
                ModelAccount(name=one.name, revision=one.revision, digest=one.digest) for one in task.spec.models
            ),
            created_at=self._now(),
        )

    def _accounts(self, task: Task, done: list[UnitAccount]) -> tuple[StepAccount, ...]:
        counts: dict[int, list[StepCount]] = defaultdict(list)
        facts = {place: account.facts for account in done for place in account.steps if account.facts}
        for account in done:
            for place, count in account.steps.items():
                counts[place].append(count)
        found = []
        for place, use in enumerate(task.spec.steps):
            step, count = self._steps[use.name], accounts.total(counts[place])
            found.append(
                StepAccount(
                    name=use.name, version=step.version, parameters=step.filled(use.parameters),
                    records=count.records, changed=count.changed, dropped=count.dropped, made=count.made,
                    facts=facts.get(place, {}),
                )
            )  # fmt: skip
        return tuple(found)


def _sources(task: Task, done: list[UnitAccount]) -> tuple[SourceAccount, ...]:
    counted = {source.name: source for account in done for source in account.sources}
    return tuple(
        SourceAccount(
            name=source.name, uri=source.uri, digest=counted[source.name].digest,
            records=counted[source.name].records, licence=source.licence,
        )
        for source in task.spec.sources
    )  # fmt: skip


def _refuse(done: list[UnitAccount]) -> None:
    count = sum(account.blocking for account in done)
    if count:
        examples = [example for account in done for example in account.examples]
        raise errors.Contaminated(count, examples[: accounts.BLOCKING_EXAMPLES])
