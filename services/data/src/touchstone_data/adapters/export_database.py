"""The record of exports over SQLAlchemy: which feedback is in which, so that forgetting reaches them. Blocking.

An export is recorded in the transaction that reads what is in it, before its file is written. Whoever wrote a file asks
afterwards whether it is still valid; the file of an export that is not is removed by whoever sees it first.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence

import orjson
from sqlalchemy import Engine, delete, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session
from touchstone_runtime import databases, revisions
from touchstone_runtime.jobs import Base

from touchstone_data import errors
from touchstone_data.adapters.curation_tables import ExportedRow, ExportRow, FeedbackRow, ItemRow
from touchstone_data.adapters.feedback_database import filtered, recorded
from touchstone_data.adapters.queue_database import BATCH, locked_spec, submitted
from touchstone_data.core import feedback, queues
from touchstone_data.core.feedback import Filter, Layout
from touchstone_data.core.queues import Item
from touchstone_data.core.records import Drop, Json, value_at
from touchstone_data.ports import Exporting

MAX_BYTES = 64 * 1024 * 1024
"""Of one export: it is in memory while it is written."""
INCOMPLETE = "annotations are missing"


class ExportDatabase:
    """Exports in a database; several processes may use one."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._reading = databases.reading(engine)
        databases.create_tables(engine, Base.metadata)

    def of_feedback(self, chosen: Filter, layout: Layout, uri: Callable[[str], str]) -> Exporting:
        """Read feedback as training records and record the export."""
        query = filtered(select(FeedbackRow), chosen).order_by(FeedbackRow.id)

        def export(session: Session) -> Exporting:
            rows = session.scalars(query.with_for_update(read=True, key_share=True).execution_options(yield_per=BATCH))
            records = (feedback.exported(recorded(row).feedback, layout) for row in rows)
            return _record(session, records, uri)

        return self._in_transaction(export)

    def of_queue(self, name: str, uri: Callable[[str], str]) -> Exporting:
        """Read the complete items of a queue with their annotations and record the export."""

        def export(session: Session) -> Exporting:
            spec = locked_spec(session, name)
            given = defaultdict(list)
            for one in submitted(session, name):
                given[one.item_id].append(one)
            query = select(ItemRow).where(ItemRow.queue == name).order_by(ItemRow.id)
            rows = session.scalars(query.execution_options(yield_per=BATCH))
            records = (
                Drop(reason=INCOMPLETE)
                if row.is_open
                else queues.record(spec, Item(id=row.id, fields=row.fields, lineage=row.lineage), given[row.id])
                for row in rows
            )
            return _record(session, records, uri)

        return self._in_transaction(export)

    def is_valid(self, digest: str) -> bool:
        """Say whether nothing of an export was forgotten."""
        with Session(self._reading) as session, session.begin():
            row = session.get(ExportRow, digest)
            return row is not None and not row.is_withdrawn

    def withdrawn(self) -> Sequence[str]:
        """Name withdrawn exports."""
        query = select(ExportRow.digest).where(ExportRow.is_withdrawn.is_(True)).order_by(ExportRow.digest)
        with Session(self._reading) as session, session.begin():
            return list(session.scalars(query))

    def remove(self, digest: str) -> None:
        """Forget a withdrawn export."""
        with Session(self._engine) as session, session.begin():
            session.execute(delete(ExportedRow).where(ExportedRow.digest == digest))
            session.execute(delete(ExportRow).where(ExportRow.digest == digest))

    def _in_transaction(self, export: Callable[[Session], Exporting]) -> Exporting:
        try:
            with Session(self._engine) as session, session.begin():
                return export(session)
        except IntegrityError:  # another process recorded the same export first: now it is found
            with Session(self._engine) as session, session.begin():
                return export(session)


def _record(session: Session, records: Iterable[Mapping[str, Json] | Drop], uri: Callable[[str], str]) -> Exporting:
    """Write records as JSON lines, and note what is in them."""
    lines, held, left_out, size = list[bytes](), set[str](), Counter[str](), 0
    for record in records:
        if isinstance(record, Drop):
            left_out[record.reason] += 1
            continue
        line = orjson.dumps(record, option=orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE)
        size += len(line)
        if size > MAX_BYTES:
            raise errors.ExportTooLarge(MAX_BYTES)
        lines.append(line)
        held.add(str(value_at(record, "lineage.feedback_id") or ""))
    if not lines:
        raise errors.ExportEmpty(", ".join(f"{count} {reason}" for reason, count in sorted(left_out.items())))
    content = b"".join(sorted(lines))  # databases have several orders of their own
    digest = revisions.digest_bytes(content)
    if session.get(ExportRow, digest) is None:
        session.add(ExportRow(digest=digest, uri=uri(digest), is_withdrawn=False))
        session.add_all(ExportedRow(digest=digest, feedback_id=one) for one in sorted(held) if one)
    return Exporting(uri(digest), digest, len(lines), dict(sorted(left_out.items())), content)
