"""The tables of feedback, annotation queues and exports, beside those of pipelines."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Boolean, DateTime, Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column
from touchstone_runtime.jobs import Base


class FeedbackRow(Base):
    """One piece of feedback."""

    __tablename__ = "data_feedback"
    __table_args__ = (
        Index("data_feedback_by_revision", "revision_digest", "recorded_at"),
        Index("data_feedback_by_end_user", "end_user"),
        Index("data_feedback_by_recording", "recorded_at", "id"),
        Index("data_feedback_by_expiry", "expires_at"),
    )

    id: Mapped[str] = mapped_column(String(128), primary_key=True)
    digest: Mapped[str] = mapped_column(String(71))
    """Of what the caller sent: tells the same again from something else."""
    revision_digest: Mapped[str] = mapped_column(String(71))
    signal: Mapped[str] = mapped_column(String(16))
    end_user: Mapped[str] = mapped_column(String(128))
    document: Mapped[dict[str, Any]] = mapped_column(JSON)
    recorded_at: Mapped[datetime] = mapped_column(DateTime(timezone=False))
    expires_at: Mapped[datetime] = mapped_column(DateTime(timezone=False))


class QueueRow(Base):
    """One queue. Whoever changes its items or slots locks it first."""

    __tablename__ = "data_queues"

    name: Mapped[str] = mapped_column(String(63), primary_key=True)
    spec: Mapped[dict[str, Any]] = mapped_column(JSON)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=False))


class ItemRow(Base):
    """One item of a queue."""

    __tablename__ = "data_items"
    __table_args__ = (
        Index("data_items_open", "queue", "is_open", "place", "id"),
        Index("data_items_by_feedback", "feedback_id"),
    )

    queue: Mapped[str] = mapped_column(String(63), primary_key=True)
    id: Mapped[str] = mapped_column(String(256), primary_key=True)
    place: Mapped[int] = mapped_column(BigInteger)
    """Items are given out in this order: random, and the same for everybody, so that items become complete."""
    fields: Mapped[dict[str, Any]] = mapped_column(JSON)
    lineage: Mapped[dict[str, Any]] = mapped_column(JSON)
    feedback_id: Mapped[str] = mapped_column(String(128))
    """Empty: of a file."""
    wanted: Mapped[int] = mapped_column(Integer)
    """How many people are to annotate it."""
    submitted: Mapped[int] = mapped_column(Integer)
    """How many have."""
    is_open: Mapped[bool] = mapped_column(Boolean)
    """Whether annotations are missing."""


class SlotRow(Base):
    """What one annotator has to do with one item."""

    __tablename__ = "data_slots"
    __table_args__ = (
        Index("data_slots_by_annotator", "queue", "annotator", "state"),
        Index("data_slots_by_state", "queue", "state", "until"),
    )

    queue: Mapped[str] = mapped_column(String(63), primary_key=True)
    item_id: Mapped[str] = mapped_column(String(256), primary_key=True)
    annotator: Mapped[str] = mapped_column(String(128), primary_key=True)
    state: Mapped[str] = mapped_column(String(16))
    until: Mapped[datetime] = mapped_column(DateTime(timezone=False))
    """When a claim ends."""
    label: Mapped[str] = mapped_column(Text)
    reason: Mapped[str] = mapped_column(Text)
    """Why it was skipped."""


class ExportRow(Base):
    """One export."""

    __tablename__ = "data_exports"

    digest: Mapped[str] = mapped_column(String(71), primary_key=True)
    uri: Mapped[str] = mapped_column(Text)
    is_withdrawn: Mapped[bool] = mapped_column(Boolean)
    """Something in it was forgotten: its file is to be removed."""


class ExportedRow(Base):
    """Feedback that is in an export."""

    __tablename__ = "data_exported"
    __table_args__ = (Index("data_exported_by_feedback", "feedback_id"),)

    digest: Mapped[str] = mapped_column(String(71), primary_key=True)
    feedback_id: Mapped[str] = mapped_column(String(128), primary_key=True)
