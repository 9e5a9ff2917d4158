"""Predictions in the service's database: an answer that was paid for is not asked for again. Blocking."""

from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime

from sqlalchemy import Engine, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session
from touchstone_runtime import databases

from touchstone_evaluation.adapters import documents
from touchstone_evaluation.adapters.tables import PredictionRow
from touchstone_evaluation.core.items import ItemDigest
from touchstone_evaluation.core.task import Outcome
from touchstone_evaluation.ports import PredictionKey


class PredictionDatabase:
    """Answers by revision, item and how they were made."""

    def __init__(self, engine: Engine, *, now: Callable[[], datetime]) -> None:
        self._engine = engine
        self._reading = databases.reading(engine)
        self._now = now

    def find(self, key: PredictionKey) -> Outcome | None:
        """Return an answer, or None."""
        with Session(self._reading) as session, session.begin():
            row = session.get(PredictionRow, tuple(key))
            return documents.read(row.outcome, Outcome) if row else None

    def find_all(self, subjects: Collection[str], items: Collection[ItemDigest]) -> Mapping[PredictionKey, Outcome]:
        """Return all answers of revisions about items."""
        query = select(PredictionRow).where(PredictionRow.subject.in_(subjects), PredictionRow.item.in_(items))
        with Session(self._reading) as session, session.begin():
            return {
                PredictionKey(row.subject, ItemDigest(row.item), row.how, row.repeat): documents.read(
                    row.outcome, Outcome
                )
                for row in session.scalars(query)
            }

    def keep(self, key: PredictionKey, outcome: Outcome) -> None:
        """Keep an answer; the first one stays."""
        made_at = self._now().astimezone(UTC).replace(tzinfo=None)
        row = PredictionRow(**key._asdict(), outcome=documents.write(outcome), made_at=made_at)
        try:
            with Session(self._engine) as session, session.begin():
                if session.get(PredictionRow, tuple(key)) is None:
                    session.add(row)
        except IntegrityError:
            pass  # another run asked the same at the same time; either answer is as good
