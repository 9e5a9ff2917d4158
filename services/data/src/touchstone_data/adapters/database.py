"""The record of pipelines over SQLAlchemy. Blocking."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime

from sqlalchemy import Engine, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session
from touchstone_runtime import databases
from touchstone_runtime.jobs import Base, JobState

from touchstone_data import errors
from touchstone_data.adapters import documents
from touchstone_data.adapters.tables import PipelineRow, UnitRow
from touchstone_data.core.accounts import UnitAccount
from touchstone_data.core.manifest import Snapshot
from touchstone_data.core.spec import PipelineSpec
from touchstone_data.ports import Pipeline, Unit

_UNFINISHED = [state for state in JobState if not state.is_final]


class PipelineDatabase:
    """Pipelines in a database; several processes may use one."""

    def __init__(self, engine: Engine, *, now: Callable[[], datetime]) -> None:
        self._engine = engine
        self._reading = databases.reading(engine)
        self._now = now
        databases.create_tables(engine, Base.metadata)

    def create(self, dispatch_id: str, spec: PipelineSpec) -> Pipeline:
        """Record a pipeline, or return the one that is recorded."""
        row = PipelineRow(
            dispatch_id=dispatch_id,
            spec=documents.write(spec),
            state=JobState.PENDING,
            stage=0,
            shards=0,
            snapshot_uri="",
            created_at=self._naive(),
        )
        try:
            with Session(self._engine) as session, session.begin():
                if session.get(PipelineRow, dispatch_id) is None:
                    session.add(row)
        except IntegrityError:
            pass  # another process was first: what it recorded is read below
        return self.get(dispatch_id)

    def get(self, dispatch_id: str) -> Pipeline:
        """Read a pipeline."""
        with Session(self._reading) as session, session.begin():
            row = session.get(PipelineRow, dispatch_id)
            if row is None:
                raise errors.PipelineNotFound(dispatch_id)
            return _pipeline(row)

    def unfinished(self) -> Sequence[str]:
        """Name the pipelines that have not ended, oldest first."""
        query = (
            select(PipelineRow.dispatch_id)
            .where(PipelineRow.state.in_(_UNFINISHED))
            .order_by(PipelineRow.created_at, PipelineRow.dispatch_id)
        )
        with Session(self._reading) as session, session.begin():
            return list(session.scalars(query))

    def begin_stage(self, dispatch_id: str, stage: int) -> bool:
        """Go on to a stage from the one before; of several callers one does it."""
        change = (
            update(PipelineRow)
            .where(PipelineRow.dispatch_id == dispatch_id, PipelineRow.stage == stage - 1)
            .where(PipelineRow.state.in_(_UNFINISHED))
            .values(stage=stage, state=JobState.RUNNING)
        )
        with Session(self._engine) as session, session.begin():
            return bool(session.connection().execute(change).rowcount)

    def record(self, unit: Unit, account: UnitAccount) -> None:
        """Note that a unit is done; of reading also how many shards there are."""
        with Session(self._engine) as session, session.begin():
            pipeline = session.get(PipelineRow, unit.dispatch_id, with_for_update=True)
            if pipeline is None:
                raise errors.PipelineNotFound(unit.dispatch_id)
            if session.get(UnitRow, tuple(unit)) is not None:
                return
            session.add(UnitRow(**unit._asdict(), account=documents.write(account)))
            if account.shards:
                pipeline.shards = account.shards

    def done(self, dispatch_id: str, stage: int) -> Sequence[int]:
        """Name the shards of a stage that are done."""
        query = select(UnitRow.shard).where(UnitRow.dispatch_id == dispatch_id, UnitRow.stage == stage)
        with Session(self._reading) as session, session.begin():
            return list(session.scalars(query))

    def accounts(self, dispatch_id: str) -> Iterator[tuple[Unit, UnitAccount]]:
        """Read what was done."""
        query = (
            select(UnitRow).where(UnitRow.dispatch_id == dispatch_id).order_by(UnitRow.stage, UnitRow.shard)
        )  # fmt: skip
        with Session(self._reading) as session, session.begin():
            for row in session.scalars(query):
                yield Unit(row.dispatch_id, row.stage, row.shard), documents.read(row.account, UnitAccount)

    def succeed(self, dispatch_id: str, snapshot: Snapshot, uri: str) -> None:
        """End a pipeline with its snapshot."""
        with Session(self._engine) as session, session.begin():
            row = session.get(PipelineRow, dispatch_id, with_for_update=True)
            if row is not None and not JobState(row.state).is_final:
                row.state, row.finished_at = JobState.SUCCEEDED, self._naive()
                row.snapshot, row.snapshot_uri = documents.write(snapshot), uri

    def end(self, dispatch_id: str, state: JobState, error: Mapping[str, str] | None = None) -> None:
        """End a pipeline without a snapshot."""
        with Session(self._engine) as session, session.begin():
            row = session.get(PipelineRow, dispatch_id, with_for_update=True)
            if row is not None and not JobState(row.state).is_final:
                row.state, row.finished_at = state, self._naive()
                row.error = dict(error) if error else None

    def _naive(self) -> datetime:
        """The present time in UTC as the database holds it: SQLite has no time zones."""
        return self._now().astimezone(UTC).replace(tzinfo=None)


def _pipeline(row: PipelineRow) -> Pipeline:
    return Pipeline(
        dispatch_id=row.dispatch_id,
        spec=documents.read(row.spec, PipelineSpec),
        state=JobState(row.state),
        stage=row.stage,
        shards=row.shards,
        error=row.error,
        snapshot=documents.read(row.snapshot, Snapshot) if row.snapshot else None,
        snapshot_uri=row.snapshot_uri,
        created_at=row.created_at.replace(tzinfo=UTC),
        finished_at=row.finished_at.replace(tzinfo=UTC) if row.finished_at else None,
    )
