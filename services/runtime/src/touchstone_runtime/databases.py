"""Databases as services use them: SQLite for one machine, PostgreSQL for many.

SQLite runs in WAL mode, so readers never wait. Its transactions take the write lock at their beginning, so that two
never deadlock by upgrading a read lock; those that only read say so (`reading`) and take none.
"""

from typing import Any

from sqlalchemy import Connection, Engine, MetaData, create_engine, event, func, select

BUSY_TIMEOUT_MILLIS = 30_000
CREATION_LOCK = 7_308_604_759_612_253_026
"""Any number that nobody else locks by in the same database."""


def connect(database_url: str) -> Engine:
    """Connect to a database by its SQLAlchemy URL."""
    engine = create_engine(database_url, pool_pre_ping=not database_url.startswith("sqlite"))
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _on_connect)
        event.listen(engine, "begin", _on_begin)
    return engine


def reading(engine: Engine) -> Engine:
    """Use the same connections for transactions that only read."""
    return engine.execution_options(touchstone_reads=True)


def create_tables(engine: Engine, metadata: MetaData) -> None:
    """Create the tables that are not there yet; of several processes that begin at once, one creates them."""
    with engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(select(func.pg_advisory_xact_lock(CREATION_LOCK)))
        metadata.create_all(connection)


def _on_connect(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # pysqlite's own BEGIN is late; ours is sent by the listener below
    connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MILLIS}")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")


def _on_begin(connection: Connection) -> None:
    reads = connection.get_execution_options().get("touchstone_reads", False)
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")
