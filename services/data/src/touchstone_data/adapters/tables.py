"""The tables of data, beside the runtime's jobs."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, DateTime, Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column
from touchstone_runtime.jobs import Base


class PipelineRow(Base):
    """One pipeline."""

    __tablename__ = "data_pipelines"
    __table_args__ = (Index("data_pipelines_by_state", "state"),)

    dispatch_id: Mapped[str] = mapped_column(String(128), primary_key=True)
    spec: Mapped[dict[str, Any]] = mapped_column(JSON)
    state: Mapped[str] = mapped_column(String(16))
    stage: Mapped[int] = mapped_column(Integer, default=0)
    shards: Mapped[int] = mapped_column(Integer, default=0)
    error: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True), default=None)
    snapshot: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True), default=None)
    snapshot_uri: Mapped[str] = mapped_column(Text, default="")
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=False))
    finished_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=False), default=None)


class UnitRow(Base):
    """A unit that is done."""

    __tablename__ = "data_units"

    dispatch_id: Mapped[str] = mapped_column(String(128), primary_key=True)
    stage: Mapped[int] = mapped_column(Integer, primary_key=True)
    shard: Mapped[int] = mapped_column(Integer, primary_key=True)
    account: Mapped[dict[str, Any]] = mapped_column(JSON)
