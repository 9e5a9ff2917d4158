"""The job table."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Boolean, Index, Integer, String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import DateTime


class Base(DeclarativeBase):
    """The tables of a service's database; a service adds its own to it."""


class JobRow(Base):
    """One job."""

    __tablename__ = "jobs"
    __table_args__ = (Index("jobs_by_kind_and_state", "kind", "state"),)

    id: Mapped[str] = mapped_column(String(160), primary_key=True)
    kind: Mapped[str] = mapped_column(String(64))
    state: Mapped[str] = mapped_column(String(16))
    payload: Mapped[dict[str, Any]] = mapped_column(JSON)
    progress: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    result: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    error: Mapped[dict[str, Any] | None] = mapped_column(JSON, default=None)
    attempts: Mapped[int] = mapped_column(Integer, default=0)
    token: Mapped[int] = mapped_column(Integer, default=0)
    worker: Mapped[str] = mapped_column(String(128), default="")
    cancel_requested: Mapped[bool] = mapped_column(Boolean, default=False)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=False))
    started_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=False), default=None)
    finished_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=False), default=None)
    heartbeat_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=False), default=None)
    claimable_at: Mapped[datetime] = mapped_column(DateTime(timezone=False))
    """Before this, nobody may claim it: the end of a lease, or of a pause after a failure."""
    preemptions: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    max_attempts: Mapped[int | None] = mapped_column(Integer, default=None)
    max_preemptions: Mapped[int | None] = mapped_column(Integer, default=None)
    priority: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
