"""The record of feedback over SQLAlchemy. Blocking.

Forgetting deletes feedback first and then looks for what was made of it. What makes something of feedback reads it with
a lock that such a deletion waits for, in the transaction that records what was made: so nothing escapes. SQLite's
transactions follow one another anyway.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Engine, delete, func, select, tuple_, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session
from touchstone_runtime import databases, revisions
from touchstone_runtime.jobs import Base

from touchstone_data import errors
from touchstone_data.adapters.curation_tables import ExportedRow, ExportRow, FeedbackRow, ItemRow, QueueRow, SlotRow
from touchstone_data.core.feedback import Feedback, Filter, Recorded, Signal, Turn
from touchstone_data.ports import Forgotten


class FeedbackDatabase:
    """Feedback in a database; several processes may use one."""

    def __init__(self, engine: Engine, *, now: Callable[[], datetime]) -> None:
        self._engine = engine
        self._reading = databases.reading(engine)
        self._now = now
        databases.create_tables(engine, Base.metadata)

    def record(self, feedback: Feedback, retention: timedelta) -> Recorded:
        """Record feedback, or return what is recorded."""
        now, sent = self._now(), _document(feedback)
        row = FeedbackRow(
            id=feedback.id,
            digest=revisions.digest_json(sent),
            revision_digest=feedback.revision_digest,
            signal=feedback.signal,
            end_user=feedback.end_user,
            document={**sent, "given_at": sent["given_at"] or now.isoformat()},
            recorded_at=naive(now),
            expires_at=naive(now + retention),
        )
        try:
            with Session(self._engine, expire_on_commit=False) as session, session.begin():
                if session.get(FeedbackRow, feedback.id) is None:
                    session.add(row)
                    session.flush()
                    return recorded(row)
        except IntegrityError:
            pass  # another process was first: what it recorded is read below
        with Session(self._reading) as session, session.begin():
            found = session.get(FeedbackRow, feedback.id)
            if found is None:  # it was recorded, and forgotten since: that stays so
                return recorded(row)
            if found.digest != row.digest:
                raise errors.FeedbackIdTaken(feedback.id)
            return recorded(found)

    def page(self, chosen: Filter, size: int, after: str) -> Sequence[Recorded]:
        """Read feedback in the order of recording."""
        query = filtered(select(FeedbackRow), chosen).order_by(FeedbackRow.recorded_at, FeedbackRow.id).limit(size)
        with Session(self._reading) as session, session.begin():
            if after:
                last = session.get(FeedbackRow, after)
                if last is None:
                    return []
                query = query.where(tuple_(FeedbackRow.recorded_at, FeedbackRow.id) > (last.recorded_at, last.id))
            return [recorded(row) for row in session.scalars(query)]

    def counts(self, chosen: Filter) -> Mapping[str, Mapping[Signal, int]]:
        """Count feedback by revision and signal."""
        query = filtered(select(FeedbackRow.revision_digest, FeedbackRow.signal, func.count()), chosen).group_by(
            FeedbackRow.revision_digest, FeedbackRow.signal
        )
        found: defaultdict[str, dict[Signal, int]] = defaultdict(dict)
        with Session(self._reading) as session, session.begin():
            for digest, signal, count in session.execute(query):
                found[digest][Signal(signal)] = count
        return dict(sorted(found.items()))

    def expired(self, most: int) -> Sequence[str]:
        """Name feedback whose time is over."""
        query = select(FeedbackRow.id).where(FeedbackRow.expires_at <= naive(self._now())).limit(most)
        with Session(self._reading) as session, session.begin():
            return list(session.scalars(query.order_by(FeedbackRow.expires_at)))

    def ids(self, chosen: Filter) -> Sequence[str]:
        """Name feedback, in the order of ids."""
        query = filtered(select(FeedbackRow.id), chosen).order_by(FeedbackRow.id)
        with Session(self._reading) as session, session.begin():
            return list(session.scalars(query))

    def forget(self, ids: Sequence[str]) -> Forgotten:
        """Remove feedback with all that was made of it in the record, and withdraw the exports that hold it."""
        with Session(self._engine) as session, session.begin():
            # Everybody locks in the order of ids, or two could wait for each other.
            chosen = FeedbackRow.id.in_(ids)
            session.execute(select(FeedbackRow.id).where(chosen).order_by(FeedbackRow.id).with_for_update())
            gone = _count(session, delete(FeedbackRow).where(chosen))
            made = ItemRow.feedback_id.in_(ids)
            queues = select(ItemRow.queue).where(made).distinct()
            session.execute(
                select(QueueRow.name).where(QueueRow.name.in_(queues)).order_by(QueueRow.name).with_for_update()
            )
            items = select(ItemRow.id).where(made, ItemRow.queue == SlotRow.queue, ItemRow.id == SlotRow.item_id)
            session.execute(delete(SlotRow).where(items.exists()), execution_options={"synchronize_session": False})
            count = _count(session, delete(ItemRow).where(made))
            held = select(ExportedRow.digest).where(ExportedRow.feedback_id.in_(ids))
            session.execute(update(ExportRow).where(ExportRow.digest.in_(held)).values(is_withdrawn=True))
            uris = session.scalars(select(ExportRow.uri).where(ExportRow.digest.in_(held)).order_by(ExportRow.uri))
            return Forgotten(gone, count, tuple(uris))


def filtered(query: Any, chosen: Filter) -> Any:
    """Narrow a query of feedback."""
    if chosen.revision_digest:
        query = query.where(FeedbackRow.revision_digest == chosen.revision_digest)
    if chosen.end_user:
        query = query.where(FeedbackRow.end_user == chosen.end_user)
    if chosen.signals:
        query = query.where(FeedbackRow.signal.in_(chosen.signals))
    if chosen.recorded_after:
        query = query.where(FeedbackRow.recorded_at >= naive(chosen.recorded_after))
    if chosen.recorded_before:
        query = query.where(FeedbackRow.recorded_at < naive(chosen.recorded_before))
    return query


def recorded(row: FeedbackRow) -> Recorded:
    """Read a row."""
    fields = row.document
    feedback = Feedback(
        id=row.id,
        revision_digest=row.revision_digest,
        request_id=fields["request_id"],
        trace_id=fields["trace_id"],
        messages=tuple(Turn(**turn) for turn in fields["messages"]),
        response=fields["response"],
        signal=Signal(row.signal),
        edited=fields["edited"],
        corrections=fields["corrections"],
        comment=fields["comment"],
        end_user=row.end_user,
        has_consent=True,
        retention_days=(row.expires_at - row.recorded_at).days,
        given_at=datetime.fromisoformat(fields["given_at"]),
    )
    return Recorded(feedback=feedback, recorded_at=aware(row.recorded_at), expires_at=aware(row.expires_at))


def naive(time: datetime) -> datetime:
    """A time in UTC as the database holds it: SQLite has no time zones."""
    return time.astimezone(UTC).replace(tzinfo=None)


def aware(time: datetime) -> datetime:
    """A time of the database as all else has it."""
    return time.replace(tzinfo=UTC)


def _document(feedback: Feedback) -> dict[str, Any]:
    """Write all that the caller sent."""
    return {
        "id": feedback.id,
        "revision_digest": feedback.revision_digest,
        "request_id": feedback.request_id,
        "trace_id": feedback.trace_id,
        "messages": [turn._asdict() for turn in feedback.messages],
        "response": feedback.response,
        "signal": str(feedback.signal),
        "edited": feedback.edited,
        "corrections": dict(feedback.corrections),
        "comment": feedback.comment,
        "end_user": feedback.end_user,
        "retention_days": feedback.retention_days,
        "given_at": feedback.given_at.isoformat() if feedback.given_at else "",
    }


def _count(session: Session, statement: Any) -> int:
    return int(session.connection().execute(statement).rowcount)
