"""The tables of evaluation, beside the runtime's jobs."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Boolean, DateTime, Float, Index, Integer, String, Text, false
from sqlalchemy.orm import Mapped, mapped_column
from touchstone_runtime.jobs import Base


class RunRow(Base):
    """One run. Its counters change in the transaction that records the scores they count."""

    __tablename__ = "evaluation_runs"
    __table_args__ = (Index("evaluation_runs_by_state", "state"),)

    dispatch_id: Mapped[str] = mapped_column(String(128), primary_key=True)
    spec: Mapped[dict[str, Any]] = mapped_column(JSON)
    state: Mapped[str] = mapped_column(String(16))
    conclusion: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True), default=None)
    stopped: Mapped[str] = mapped_column(Text, default="")
    is_over_budget: Mapped[bool] = mapped_column(Boolean, default=False, server_default=false())
    settled: Mapped[dict[str, int] | None] = mapped_column(JSON(none_as_null=True), default=None)
    suites: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    suite_digest: Mapped[str] = mapped_column(String(80), default="")
    artifacts: Mapped[list[dict[str, Any]]] = mapped_column(JSON, default=list)
    done: Mapped[int] = mapped_column(Integer, default=0)
    total: Mapped[int] = mapped_column(Integer, default=0)
    reused: Mapped[int] = mapped_column(Integer, default=0)
    failed: Mapped[int] = mapped_column(Integer, default=0)
    input_tokens: Mapped[int] = mapped_column(Integer, default=0)
    output_tokens: Mapped[int] = mapped_column(Integer, default=0)
    judge_tokens: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=False))
    started_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=False), default=None)
    finished_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=False), default=None)
    heartbeat_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=False), default=None)


class ItemRow(Base):
    """One item of a suite of a run."""

    __tablename__ = "evaluation_items"

    dispatch_id: Mapped[str] = mapped_column(String(128), primary_key=True)
    suite: Mapped[str] = mapped_column(String(64), primary_key=True)
    digest: Mapped[str] = mapped_column(String(80), primary_key=True)
    place: Mapped[int] = mapped_column(Integer)
    item: Mapped[dict[str, Any]] = mapped_column(JSON)


class ShardRow(Base):
    """One shard of a run."""

    __tablename__ = "evaluation_shards"

    dispatch_id: Mapped[str] = mapped_column(String(128), primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True)
    suite: Mapped[str] = mapped_column(String(64))
    items: Mapped[list[str]] = mapped_column(JSON)
    is_load: Mapped[bool] = mapped_column(Boolean)
    state: Mapped[str] = mapped_column(String(16))


class ScoreRow(Base):
    """The score of one asking; the key lets each be scored once."""

    __tablename__ = "evaluation_scores"

    dispatch_id: Mapped[str] = mapped_column(String(128), primary_key=True)
    suite: Mapped[str] = mapped_column(String(64), primary_key=True)
    item: Mapped[str] = mapped_column(String(80), primary_key=True)
    side: Mapped[str] = mapped_column(String(16), primary_key=True)
    repeat: Mapped[int] = mapped_column(Integer, primary_key=True)
    values: Mapped[dict[str, float]] = mapped_column(JSON)
    error: Mapped[str] = mapped_column(Text)
    is_reused: Mapped[bool] = mapped_column(Boolean)
    input_tokens: Mapped[int] = mapped_column(Integer)
    output_tokens: Mapped[int] = mapped_column(Integer)
    judge_tokens: Mapped[int] = mapped_column(Integer, server_default="0")
    latency_millis: Mapped[float] = mapped_column(Float)
    answer: Mapped[str] = mapped_column(Text)


class PredictionRow(Base):
    """One answer that was paid for."""

    __tablename__ = "evaluation_predictions"

    subject: Mapped[str] = mapped_column(String(80), primary_key=True)
    item: Mapped[str] = mapped_column(String(80), primary_key=True)
    how: Mapped[str] = mapped_column(String(80), primary_key=True)
    repeat: Mapped[int] = mapped_column(Integer, primary_key=True)
    outcome: Mapped[dict[str, Any]] = mapped_column(JSON)
    made_at: Mapped[datetime] = mapped_column(DateTime(timezone=False), index=True)
