"""The record of annotation queues over SQLAlchemy. Blocking.

Each change of a queue's items or slots locks the queue's row first, so changes follow one another. A place of an item
is taken by an annotation, or by a claim that lasts; there are as many places as people are to annotate the item.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Engine, and_, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session
from touchstone_runtime import databases
from touchstone_runtime.jobs import Base

from touchstone_data import errors
from touchstone_data.adapters import documents
from touchstone_data.adapters.curation_tables import FeedbackRow, ItemRow, QueueRow, SlotRow
from touchstone_data.adapters.feedback_database import aware, naive, recorded
from touchstone_data.core import feedback, similarity
from touchstone_data.core.queues import MAX_ITEMS, Annotation, Item, Progress, QueueSpec
from touchstone_data.ports import ClaimedItem, Queue

BATCH = 500
"""Rows that are in memory at once."""


class State(StrEnum):
    """What an annotator has to do with an item."""

    CLAIMED = "Claimed"
    SUBMITTED = "Submitted"
    SKIPPED = "Skipped"


class QueueDatabase:
    """Queues in a database; several processes may use one."""

    def __init__(self, engine: Engine, *, now: Callable[[], datetime]) -> None:
        self._engine = engine
        self._reading = databases.reading(engine)
        self._now = now
        databases.create_tables(engine, Base.metadata)

    def create(self, spec: QueueSpec) -> Queue:
        """Record a queue, or return the one that is recorded."""
        row = QueueRow(name=spec.name, spec=documents.write(spec), created_at=naive(self._now()))
        try:
            with Session(self._engine) as session, session.begin():
                if session.get(QueueRow, spec.name) is None:
                    session.add(row)
        except IntegrityError:
            pass  # another process was first: what it recorded is read below
        return self.get(spec.name)

    def get(self, name: str) -> Queue:
        """Read a queue."""
        with Session(self._reading) as session, session.begin():
            row = session.get(QueueRow, name)
            if row is None:
                raise errors.QueueNotFound(name)
            return Queue(_spec(row), aware(row.created_at))

    def names(self) -> Sequence[str]:
        """Name all queues."""
        with Session(self._reading) as session, session.begin():
            return list(session.scalars(select(QueueRow.name).order_by(QueueRow.name)))

    def add(self, name: str, items: Sequence[Item]) -> int:
        """Add items."""
        with Session(self._engine) as session, session.begin():
            spec = locked_spec(session, name)
            return _add(session, spec, items, _present(session, name))

    def add_feedback(self, name: str, ids: Sequence[str]) -> int:
        """Add items of feedback."""
        with Session(self._engine) as session, session.begin():
            # Everybody locks feedback before queues, and in the order of ids.
            there = select(FeedbackRow.id).where(FeedbackRow.id.in_(ids)).order_by(FeedbackRow.id)
            session.execute(there.with_for_update(read=True, key_share=True))
            spec, added = locked_spec(session, name), 0
            present = _present(session, name)
            for start in range(0, len(ids), BATCH):
                rows = session.scalars(select(FeedbackRow).where(FeedbackRow.id.in_(ids[start : start + BATCH])))
                added += _add(session, spec, [_item(row) for row in rows], present)
                session.expunge_all()
            return added

    def claim(self, name: str, annotator: str) -> ClaimedItem | None:
        """Give an item; the one that the annotator holds, if he does."""
        with Session(self._engine) as session, session.begin():
            spec, now = locked_spec(session, name), naive(self._now())
            item = _held(session, name, annotator, now) or _free(session, name, annotator, now)
            if item is None:
                return None
            slot = session.get(SlotRow, (name, item.id, annotator))
            if slot is None:
                slot = SlotRow(queue=name, item_id=item.id, annotator=annotator, label="", reason="")
                session.add(slot)
            slot.state, slot.until = State.CLAIMED, now + timedelta(seconds=spec.lease_seconds)
            return ClaimedItem(Item(id=item.id, fields=item.fields, lineage=item.lineage), aware(slot.until))

    def submit(self, name: str, annotation: Annotation) -> None:
        """Take a label."""
        with Session(self._engine) as session, session.begin():
            locked_spec(session, name)
            item, slot = _slot(session, name, annotation.item_id, annotation.annotator)
            if slot.state == State.SUBMITTED:
                if slot.label != annotation.label:
                    raise errors.AnnotationTaken(item.id, slot.annotator)
                return
            self._check_held(session, item, slot)
            slot.state, slot.label = State.SUBMITTED, annotation.label
            item.submitted += 1
            item.is_open = item.submitted < item.wanted

    def skip(self, name: str, item_id: str, annotator: str, reason: str) -> None:
        """Give an item back."""
        with Session(self._engine) as session, session.begin():
            locked_spec(session, name)
            item, slot = _slot(session, name, item_id, annotator)
            if slot.state == State.SKIPPED:
                return
            if slot.state == State.SUBMITTED:
                raise errors.NotClaimed(item.id, annotator, "it is annotated already")
            slot.state, slot.reason = State.SKIPPED, reason

    def progress(self, name: str) -> Progress:
        """Count."""
        with Session(self._reading) as session, session.begin():
            if session.get(QueueRow, name) is None:
                raise errors.QueueNotFound(name)
            slots, items = SlotRow.queue == name, ItemRow.queue == name
            submitted = SlotRow.state == State.SUBMITTED

            def count(what: Any, *conditions: ColumnElement[bool]) -> int:
                return session.scalar(select(func.count(what)).where(*conditions)) or 0

            return Progress(
                items=count(ItemRow.id, items),
                complete=count(ItemRow.id, items, ItemRow.is_open.is_(False)),
                annotations=count(SlotRow.item_id, slots, submitted),
                claimed=count(SlotRow.item_id, slots, _lasts(naive(self._now()))),
                skipped=count(SlotRow.item_id, slots, SlotRow.state == State.SKIPPED),
                annotators=count(SlotRow.annotator.distinct(), slots, submitted),
            )

    def annotations(self, name: str) -> Sequence[Annotation]:
        """Read all annotations, by item and annotator."""
        with Session(self._reading) as session, session.begin():
            return submitted(session, name)

    def _check_held(self, session: Session, item: ItemRow, slot: SlotRow) -> None:
        now = naive(self._now())
        if slot.state == State.SKIPPED:
            raise errors.NotClaimed(item.id, slot.annotator, "it was skipped")
        others = select(func.count()).where(_of(item), SlotRow.annotator != slot.annotator, _lasts(now))
        if slot.until <= now and item.submitted + (session.scalar(others) or 0) >= item.wanted:
            raise errors.NotClaimed(item.id, slot.annotator, "the claim ended and others have it now")


def locked_spec(session: Session, name: str) -> QueueSpec:
    """Lock a queue until the transaction ends, and read what is asked. Raises QueueNotFound."""
    row = session.get(QueueRow, name, with_for_update=True)
    if row is None:
        raise errors.QueueNotFound(name)
    return _spec(row)


def submitted(session: Session, name: str) -> list[Annotation]:
    """Read all annotations of a queue, by item and annotator."""
    query = select(SlotRow).where(SlotRow.queue == name, SlotRow.state == State.SUBMITTED)
    rows = session.scalars(query.order_by(SlotRow.item_id, SlotRow.annotator))
    return [Annotation(item_id=row.item_id, annotator=row.annotator, label=row.label) for row in rows]


def _spec(row: QueueRow) -> QueueSpec:
    return documents.read(row.spec, QueueSpec)


def _present(session: Session, name: str) -> set[str]:
    return set(session.scalars(select(ItemRow.id).where(ItemRow.queue == name)))


def _add(session: Session, spec: QueueSpec, items: Sequence[Item], present: set[str]) -> int:
    """Add what is not present, and note that it is now."""
    new = {item.id: item for item in items if item.id not in present}
    present |= new.keys()
    if len(present) > MAX_ITEMS:
        raise errors.QueueFull(spec.name, MAX_ITEMS)
    session.add_all(
        ItemRow(
            queue=spec.name,
            id=item.id,
            place=similarity.number(f"{spec.name}/place/{item.id}") >> 1,
            fields=dict(item.fields),
            lineage=dict(item.lineage),
            feedback_id=item.lineage["feedback_id"],
            wanted=spec.wanted(item.id),
            submitted=0,
            is_open=True,
        )
        for item in new.values()
    )
    session.flush()
    return len(new)


def _item(row: FeedbackRow) -> Item:
    found = recorded(row).feedback
    lineage = {"feedback_id": found.id, "revision_digest": found.revision_digest, "source_digest": ""}
    return Item(id=found.id, fields=feedback.item_fields(found), lineage=lineage)


def _of(item: ItemRow | type[ItemRow]) -> ColumnElement[bool]:
    return and_(SlotRow.queue == item.queue, SlotRow.item_id == item.id)


def _lasts(now: datetime) -> ColumnElement[bool]:
    return and_(SlotRow.state == State.CLAIMED, SlotRow.until > now)


def _held(session: Session, name: str, annotator: str, now: datetime) -> ItemRow | None:
    slots = select(SlotRow.item_id).where(SlotRow.queue == name, SlotRow.annotator == annotator, _lasts(now))
    held = session.scalars(slots.limit(1)).first()
    return None if held is None else session.get(ItemRow, (name, held))


def _free(session: Session, name: str, annotator: str, now: datetime) -> ItemRow | None:
    """Find the first item with a free place that the annotator has neither labelled nor skipped.

    Three plain queries: as one it takes a database that has no statistics of the tables minutes.
    """
    slots = SlotRow.queue == name
    is_through = SlotRow.state.in_([State.SUBMITTED, State.SKIPPED])
    his = set(session.scalars(select(SlotRow.item_id).where(slots, SlotRow.annotator == annotator, is_through)))
    claimed = Counter(session.scalars(select(SlotRow.item_id).where(slots, _lasts(now))))
    items = select(ItemRow.id, ItemRow.wanted - ItemRow.submitted).where(ItemRow.queue == name, ItemRow.is_open)
    with session.execute(items.order_by(ItemRow.place, ItemRow.id).execution_options(yield_per=BATCH)) as rows:
        for item_id, places in rows:
            if item_id not in his and claimed[item_id] < places:
                return session.get(ItemRow, (name, item_id))
    return None


def _slot(session: Session, name: str, item_id: str, annotator: str) -> tuple[ItemRow, SlotRow]:
    item = session.get(ItemRow, (name, item_id))
    if item is None:
        raise errors.ItemNotFound(name, item_id)
    slot = session.get(SlotRow, (name, item_id, annotator))
    if slot is None:
        raise errors.NotClaimed(item_id, annotator, "it was not claimed")
    return item, slot
