"""The record of runs in the service's database. Blocking; each method is one transaction.

The run's row is locked by what changes its counters or its shards: counters are exact and no shard starts twice.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Engine, delete, func, insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session
from touchstone_runtime import databases
from touchstone_runtime.jobs import Base

from touchstone_evaluation import errors
from touchstone_evaluation.adapters import documents
from touchstone_evaluation.adapters.tables import ItemRow, PredictionRow, RunRow, ScoreRow, ShardRow
from touchstone_evaluation.core.items import Item, ItemDigest
from touchstone_evaluation.core.planning import MAX_PARALLELISM, Shard
from touchstone_evaluation.core.results import Conclusion
from touchstone_evaluation.core.runs import Artifact, Progress, Run, RunState, SuitePlan
from touchstone_evaluation.core.scores import Asking, Score, tally
from touchstone_evaluation.core.spec import RunSpec, Side
from touchstone_evaluation.ports import Plan

WAITING, STARTED, ENDED = "WAITING", "STARTED", "ENDED"
_FINAL = tuple(state for state in RunState if state.is_final)


class RunDatabase:
    """Runs, their items, shards and scores."""

    def __init__(self, engine: Engine, *, now: Callable[[], datetime]) -> None:
        self._engine = engine
        self._reading = databases.reading(engine)
        self._now = now

    def create(self, dispatch_id: str, spec: RunSpec) -> Run:
        """Record a run; one of the same id and specification is returned as it is."""
        row = RunRow(
            dispatch_id=dispatch_id, spec=documents.write(spec), state=RunState.PENDING, created_at=self._naive(),
            suites={}, artifacts=[],
        )  # fmt: skip
        try:
            with Session(self._engine) as session, session.begin():
                if session.get(RunRow, dispatch_id) is None:
                    session.add(row)
        except IntegrityError:
            pass  # another replica was first: what it recorded is read below
        run = self.get(dispatch_id)
        if run.spec != spec:
            raise errors.DispatchIdTaken(dispatch_id)
        return run

    def get(self, dispatch_id: str) -> Run:
        """Read a run."""
        with Session(self._reading) as session, session.begin():
            return _run(_found(session, dispatch_id))

    def unfinished(self) -> list[str]:
        """List the runs that have not ended, oldest first."""
        query = (
            select(RunRow.dispatch_id)
            .where(RunRow.state.not_in(_FINAL))
            .order_by(RunRow.created_at, RunRow.dispatch_id)
        )
        with Session(self._reading) as session, session.begin():
            return list(session.scalars(query))

    def plan(self, dispatch_id: str, plan: Plan) -> None:
        """Record a plan; a run that has one already, or has ended, is left as it is."""
        with Session(self._engine) as session, session.begin():
            row = _found(session, dispatch_id, lock=True)
            if row.state != RunState.PENDING:
                return
            row.state = RunState.RUNNING
            row.suites = documents.write(dict(plan.suites))
            row.suite_digest = plan.suite_digest
            row.total = len(_run(row).spec.sides) * sum(suite.expected for suite in plan.suites.values())
            row.heartbeat_at = self._naive()
            for suite, items in plan.items.items():
                rows = (_item_row(dispatch_id, suite, place, item) for place, item in enumerate(items))
                _insert(session, ItemRow, rows)
            _insert(session, ShardRow, (_shard_row(dispatch_id, shard) for shard in plan.shards))
            _insert(session, ScoreRow, (_score_row(dispatch_id, score) for score in plan.scores))
            if plan.scores:
                _count(row, plan.scores)
                row.started_at = self._naive()

    def start_shards(
        self, dispatch_id: str, choose: Callable[[Sequence[Shard], Sequence[Shard]], Sequence[Shard]]
    ) -> list[Shard]:
        """Mark the shards as started that `choose` picks."""
        with Session(self._engine) as session, session.begin():
            if _found(session, dispatch_id, lock=True).state in _FINAL:
                return []
            begun = list(session.scalars(_shards(dispatch_id).where(ShardRow.state == STARTED)))
            first = _shards(dispatch_id).where(ShardRow.state == WAITING).limit(MAX_PARALLELISM)
            rows = {row.number: row for row in session.scalars(first)}
            chosen = list(choose([_shard(row) for row in rows.values()], [_shard(row) for row in begun]))
            for shard in chosen:
                rows[shard.number].state = STARTED
            return chosen

    def at_work(self, dispatch_id: str) -> list[Shard]:
        """List the shards that were started and have not ended."""
        with Session(self._reading) as session, session.begin():
            return [_shard(row) for row in session.scalars(_shards(dispatch_id).where(ShardRow.state == STARTED))]

    def shard(self, dispatch_id: str, number: int) -> Shard:
        """Read a shard."""
        with Session(self._reading) as session, session.begin():
            return _shard(session.get_one(ShardRow, (dispatch_id, number)))

    def end_shard(self, dispatch_id: str, number: int) -> None:
        """Mark a shard as ended."""
        with Session(self._engine) as session, session.begin():
            session.get_one(ShardRow, (dispatch_id, number)).state = ENDED

    def is_worked_off(self, dispatch_id: str) -> bool:
        """Tell whether the run is planned and all its shards have ended."""
        count = select(func.count()).where(ShardRow.dispatch_id == dispatch_id, ShardRow.state != ENDED)
        with Session(self._reading) as session, session.begin():
            is_planned = _found(session, dispatch_id).state == RunState.RUNNING
            return is_planned and session.scalar(count) == 0

    def items(self, dispatch_id: str, suite: str, digests: Sequence[ItemDigest]) -> list[Item]:
        """Read items of a suite, in the order of the digests."""
        query = select(ItemRow).where(
            ItemRow.dispatch_id == dispatch_id, ItemRow.suite == suite, ItemRow.digest.in_(digests)
        )
        with Session(self._reading) as session, session.begin():
            found = {row.digest: documents.read(row.item, Item) for row in session.scalars(query)}
        return [found[digest] for digest in digests]

    def scored(self, dispatch_id: str, suite: str, items: Collection[ItemDigest]) -> set[Asking]:
        """List the askings about items of a suite that are scored."""
        with Session(self._reading) as session, session.begin():
            return _scored(session, dispatch_id, suite, items)

    def record(self, dispatch_id: str, scores: Sequence[Score]) -> None:
        """Record scores, all or none; what is scored already keeps its score. A run that has ended takes none."""
        with Session(self._engine) as session, session.begin():
            run = _found(session, dispatch_id, lock=True)
            if run.state in _FINAL:
                return
            suites: dict[str, list[ItemDigest]] = defaultdict(list)
            for score in scores:
                suites[score.asking.suite].append(score.asking.item)
            there = set[Asking]().union(*(_scored(session, dispatch_id, *suite) for suite in suites.items()))
            fresh = [score for score in scores if score.asking not in there]
            _insert(session, ScoreRow, (_score_row(dispatch_id, score) for score in fresh))
            _count(run, fresh)
            run.heartbeat_at = self._naive()

    def begin(self, dispatch_id: str) -> None:
        """Note that the first item was taken."""
        with Session(self._engine) as session, session.begin():
            run = _found(session, dispatch_id, lock=True)
            run.started_at = run.started_at or self._naive()

    def scores(self, dispatch_id: str) -> list[Score]:
        """Read all scores, in the order of suites, items, sides and repeats."""
        query = (
            select(ScoreRow)
            .join(
                ItemRow,
                (ItemRow.dispatch_id == ScoreRow.dispatch_id)
                & (ItemRow.suite == ScoreRow.suite)
                & (ItemRow.digest == ScoreRow.item),
            )
            .where(ScoreRow.dispatch_id == dispatch_id)
            .order_by(ScoreRow.suite, ItemRow.place, ScoreRow.repeat, ScoreRow.side.desc())
        )
        with Session(self._reading) as session, session.begin():
            return [_score(row) for row in session.scalars(query)]

    def order(self, dispatch_id: str, suite: str) -> list[ItemDigest]:
        """List all items of a suite in the order in which they are asked."""
        query = select(ItemRow.digest).where(ItemRow.dispatch_id == dispatch_id, ItemRow.suite == suite)
        with Session(self._reading) as session, session.begin():
            return [ItemDigest(digest) for digest in session.scalars(query.order_by(ItemRow.place))]

    def suite_items(self, dispatch_id: str, suite: str) -> list[Item]:
        """Read all items of a suite, in that order."""
        query = select(ItemRow.item).where(ItemRow.dispatch_id == dispatch_id, ItemRow.suite == suite)
        with Session(self._reading) as session, session.begin():
            return [documents.read(item, Item) for item in session.scalars(query.order_by(ItemRow.place))]

    def settle(self, dispatch_id: str, items: Mapping[str, int]) -> None:
        """Note how many items of each suite made the verdict certain; what was noted first stays."""
        with Session(self._engine) as session, session.begin():
            run = _found(session, dispatch_id, lock=True)
            if not run.stopped and run.state not in _FINAL:
                run.settled = run.settled or dict(items)

    def stop(self, dispatch_id: str, why: str, *, is_budget: bool = False) -> None:
        """Note why a run goes no further; the first reason stays."""
        with Session(self._engine) as session, session.begin():
            run = _found(session, dispatch_id, lock=True)
            if not run.stopped and not run.settled:
                run.stopped, run.is_over_budget = why, is_budget

    def cancel(self, dispatch_id: str) -> Run:
        """Cancel a run at once; one that has ended stays as it is."""
        with Session(self._engine) as session, session.begin():
            run = _found(session, dispatch_id, lock=True)
            if run.state not in _FINAL:
                run.state = RunState.CANCELLED
                run.finished_at = self._naive()
            return _run(run)

    def finish(self, dispatch_id: str, conclusion: Conclusion, artifacts: Sequence[Artifact]) -> None:
        """Complete a run; one that has ended stays as it is."""
        with Session(self._engine) as session, session.begin():
            run = _found(session, dispatch_id, lock=True)
            if run.state in _FINAL:
                return
            run.state = RunState.COMPLETED
            run.conclusion = documents.write(conclusion)
            run.artifacts = [documents.write(artifact) for artifact in artifacts]
            run.finished_at = self._naive()

    def forget(self, before: datetime) -> None:
        """Delete the items, shards and scores of runs that ended before a time, and predictions made before it."""
        limit = before.astimezone(UTC).replace(tzinfo=None)
        ended = select(RunRow.dispatch_id).where(RunRow.finished_at < limit)
        with Session(self._engine) as session, session.begin():
            for table in (ItemRow, ShardRow, ScoreRow):
                session.execute(delete(table).where(table.dispatch_id.in_(ended)))
            session.execute(delete(PredictionRow).where(PredictionRow.made_at < limit))

    def _naive(self) -> datetime:
        return self._now().astimezone(UTC).replace(tzinfo=None)


def _shards(dispatch_id: str) -> Any:
    return select(ShardRow).where(ShardRow.dispatch_id == dispatch_id).order_by(ShardRow.number)


def _found(session: Session, dispatch_id: str, *, lock: bool = False) -> RunRow:
    row = session.get(RunRow, dispatch_id, with_for_update=lock or None)
    if row is None:
        raise errors.RunNotFound(dispatch_id)
    return row


def _run(row: RunRow) -> Run:
    def aware(time: datetime | None) -> datetime | None:
        return None if time is None else time.replace(tzinfo=UTC)

    return Run(
        dispatch_id=row.dispatch_id,
        spec=documents.read(row.spec, RunSpec),
        state=RunState(row.state),
        conclusion=documents.read(row.conclusion, Conclusion) if row.conclusion else None,
        stopped=row.stopped or "",
        is_over_budget=bool(row.is_over_budget),
        settled=row.settled or {},
        progress=Progress(
            done=row.done or 0,
            total=row.total or 0,
            reused=row.reused or 0,
            failed=row.failed or 0,
            input_tokens=row.input_tokens or 0,
            output_tokens=row.output_tokens or 0,
            judge_tokens=row.judge_tokens or 0,
        ),
        suites={name: documents.read(suite, SuitePlan) for name, suite in row.suites.items()},
        suite_digest=row.suite_digest or "",
        artifacts=tuple(documents.read(artifact, Artifact) for artifact in row.artifacts),
        created_at=row.created_at.replace(tzinfo=UTC),
        started_at=aware(row.started_at),
        finished_at=aware(row.finished_at),
        heartbeat_at=aware(row.heartbeat_at),
    )


def _shard(row: ShardRow) -> Shard:
    items = tuple(ItemDigest(item) for item in row.items)
    return Shard(number=row.number, suite=row.suite, items=items, is_load=row.is_load)


def _scored(session: Session, dispatch_id: str, suite: str, items: Collection[ItemDigest]) -> set[Asking]:
    query = select(ScoreRow.item, ScoreRow.side, ScoreRow.repeat).where(
        ScoreRow.dispatch_id == dispatch_id, ScoreRow.suite == suite, ScoreRow.item.in_(items)
    )
    return {Asking(suite, ItemDigest(item), Side(side), repeat) for item, side, repeat in session.execute(query)}


def _insert(session: Session, table: type[Base], rows: Iterable[dict[str, Any]]) -> None:
    """Add many rows at once."""
    if found := list(rows):
        session.execute(insert(table), found)


def _count(row: RunRow, scores: Sequence[Score]) -> None:
    counts = tally(scores)
    row.done += counts.done
    row.reused += counts.reused
    row.failed += counts.failed
    row.input_tokens += counts.input_tokens
    row.output_tokens += counts.output_tokens
    row.judge_tokens += counts.judge_tokens


def _item_row(dispatch_id: str, suite: str, place: int, item: Item) -> dict[str, Any]:
    return {
        "dispatch_id": dispatch_id,
        "suite": suite,
        "digest": item.digest,
        "place": place,
        "item": documents.write(item),
    }


def _shard_row(dispatch_id: str, shard: Shard) -> dict[str, Any]:
    return {
        "dispatch_id": dispatch_id,
        "number": shard.number,
        "suite": shard.suite,
        "items": list(shard.items),
        "is_load": shard.is_load,
        "state": WAITING,
    }


def _score_row(dispatch_id: str, score: Score) -> dict[str, Any]:
    return {
        "dispatch_id": dispatch_id,
        **score.asking._asdict(),
        "values": dict(score.values),
        "error": score.error,
        "is_reused": score.is_reused,
        "input_tokens": score.input_tokens,
        "output_tokens": score.output_tokens,
        "judge_tokens": score.judge_tokens,
        "latency_millis": score.latency_millis,
        "answer": score.answer,
    }


def _score(row: ScoreRow) -> Score:
    return Score(
        asking=Asking(row.suite, ItemDigest(row.item), Side(row.side), row.repeat),
        values=row.values,
        error=row.error,
        is_reused=row.is_reused,
        input_tokens=row.input_tokens,
        output_tokens=row.output_tokens,
        judge_tokens=row.judge_tokens,
        latency_millis=row.latency_millis,
        answer=row.answer,
    )
