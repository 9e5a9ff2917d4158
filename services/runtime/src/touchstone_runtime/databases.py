"""Databases as services use them: SQLite for one machine, PostgreSQL for many.

SQLite runs in WAL mode, so readers never wait. Its transactions take the write lock at their beginning, so that two
never deadlock by upgrading a read lock; those that only read say so (`reading`) and take none.
"""

import logging
from typing import Any

import tenacity
from sqlalchemy import (
    Column,
    Connection,
    Engine,
    ExceptionContext,
    MetaData,
    create_engine,
    event,
    func,
    inspect,
    select,
)
from sqlalchemy.engine.interfaces import ReflectedColumn
from sqlalchemy.exc import OperationalError

from touchstone_runtime.errors import Unavailable

BUSY_TIMEOUT_MILLIS = 30_000
CREATION_LOCK = 7_308_604_759_612_253_026
"""Any number that nobody else locks by in the same database."""
START_SECONDS = 120.0
"""How long a process that starts waits for its database, which may be starting too."""

_PATIENCE = {
    # Without these a client waits two minutes for a server whose address leads nowhere, …
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    # … and a server keeps the locks of a client that is gone with its node for hours.
    "options": "-c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3 "
    "-c idle_in_transaction_session_timeout=60000",
}
"""How long libpq and PostgreSQL wait for each other, in seconds; the session's timeout in milliseconds."""

logger = logging.getLogger(__name__)


class DatabaseUnavailable(Unavailable):
    """The database did not answer."""

    reason = "DATABASE_UNAVAILABLE"

    def __init__(self, cause: str) -> None:
        super().__init__(
            f"The database did not answer: {cause}. Check that it runs and can be reached; then try again."
        )


def connect(database_url: str) -> Engine:
    """Connect to a database by its SQLAlchemy URL. Errors leave out what was sent: people wrote it."""
    if database_url.startswith("sqlite"):
        engine = create_engine(database_url, hide_parameters=True)
        event.listen(engine, "connect", _on_connect)
        event.listen(engine, "begin", _on_begin)
    else:
        engine = create_engine(database_url, hide_parameters=True, pool_pre_ping=True, connect_args=_PATIENCE)
        event.listen(engine, "handle_error", _on_error)
    return engine


def reading(engine: Engine) -> Engine:
    """Use the same connections for transactions that only read."""
    return engine.execution_options(touchstone_reads=True)


def create_tables(engine: Engine, metadata: MetaData) -> None:
    """Create the tables and columns that are not there yet; of several processes that begin at once, one does it.

    A newer version finds the tables of an older one: a column that came later is added with its server default, so it
    has to have one or to be nullable. Nothing is ever dropped: the older version may still be running.

    A database that is away is waited for.

    Raises:
        DatabaseUnavailable: It did not come.
    """
    patience = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(DatabaseUnavailable),
        stop=tenacity.stop_after_delay(START_SECONDS),
        wait=tenacity.wait_exponential_jitter(multiplier=0.25, max=5),
        before_sleep=_tell,
        reraise=True,
    )
    patience(_create_tables, engine, metadata)


def _create_tables(engine: Engine, metadata: MetaData) -> None:
    with engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(select(func.pg_advisory_xact_lock(CREATION_LOCK)))
        present = {table: {column["name"] for column in columns} for table, columns in _columns(connection).items()}
        metadata.create_all(connection)
        missing = [
            column
            for table in metadata.sorted_tables
            for column in table.columns
            if table.name in present and column.name not in present[table.name]
        ]
        if missing:
            _add(connection, missing)


def _add(connection: Connection, columns: list[Column[Any]]) -> None:
    from alembic.migration import MigrationContext  # noqa: PLC0415 - a third of a second, needed after upgrades only
    from alembic.operations import Operations  # noqa: PLC0415

    operations = Operations(MigrationContext.configure(connection))
    for column in columns:
        operations.add_column(column.table.name, column._copy())


def _columns(connection: Connection) -> dict[str, list[ReflectedColumn]]:
    return {table: columns for (_, table), columns in inspect(connection).get_multi_columns().items()}


def _tell(attempt: tenacity.RetryCallState) -> None:
    fault = attempt.outcome.exception() if attempt.outcome else None
    logger.warning("waiting for the database", extra={"attempt": attempt.attempt_number, "fault": str(fault)})


def _on_error(context: ExceptionContext) -> None:
    """Translate a connection that failed; the check of a pooled connection before its use minds that itself."""
    fault = context.sqlalchemy_exception
    if isinstance(fault, OperationalError) and not context.is_pre_ping:
        raise DatabaseUnavailable(str(fault.orig).splitlines()[0]) from fault


def _on_connect(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # pysqlite's own BEGIN is late; ours is sent by the listener below
    connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MILLIS}")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")


def _on_begin(connection: Connection) -> None:
    reads = connection.get_execution_options().get("touchstone_reads", False)
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")
