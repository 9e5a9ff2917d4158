"""Databases that are away, or come late."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from touchstone_runtime import databases, errors
from touchstone_runtime.databases import DatabaseUnavailable
from touchstone_runtime.jobs import JobStore

METADATA = sa.MetaData()
TABLE = sa.Table("things", METADATA, sa.Column("name", sa.String(8), primary_key=True))


@pytest.fixture
def engine(postgresql_url: str) -> Iterator[sa.Engine]:
    engine = databases.connect(postgresql_url)
    yield engine
    engine.dispose()


def test_a_database_that_is_away_is_unavailable_in_a_sentence() -> None:
    engine = databases.connect("postgresql+psycopg://nobody:nothing@127.0.0.1:9/none?connect_timeout=1")
    with pytest.raises(DatabaseUnavailable, match=r"did not answer: .*Check that it runs") as caught, engine.connect():
        pass
    assert caught.value.kind is errors.Kind.UNAVAILABLE
    assert "nothing" not in caught.value.message, "passwords are not told"


def test_processes_that_begin_at_once_create_the_tables_once(postgresql_url: str) -> None:
    faults: list[str] = []
    barrier = threading.Barrier(4)

    def begin() -> None:
        engine = databases.connect(postgresql_url)
        barrier.wait()
        try:
            databases.create_tables(engine, METADATA)
        except sa.exc.SQLAlchemyError as error:
            faults.append(str(error))
        engine.dispose()

    threads = [threading.Thread(target=begin) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []


def test_a_connection_that_the_server_ended_is_replaced(engine: sa.Engine) -> None:
    store = JobStore(engine)
    store.create("j", "echo", {})
    with engine.connect() as connection:
        others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> "
        connection.exec_driver_sql(others + "pg_backend_pid()")
    assert store.get("j").id == "j"


def test_what_is_wrong_in_a_statement_is_no_outage(engine: sa.Engine) -> None:
    databases.create_tables(engine, METADATA)
    with engine.begin() as connection:
        connection.execute(sa.insert(TABLE).values(name="one"))
    with pytest.raises(sa.exc.IntegrityError), engine.begin() as connection:
        connection.execute(sa.insert(TABLE).values(name="one"))


def test_a_client_that_is_gone_does_not_hold_locks_for_ever(engine: sa.Engine) -> None:
    with engine.connect() as connection:
        timeout = connection.exec_driver_sql("SHOW idle_in_transaction_session_timeout").scalar_one()
    assert timeout == "1min"


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_column_of_a_newer_version_is_added_and_rows_of_the_older_one_stay(
    kind: str, postgresql_url: str, tmp_path: Path
) -> None:
    engine = databases.connect(postgresql_url if kind == "postgresql" else f"sqlite:///{tmp_path}/older.sqlite")
    databases.create_tables(engine, METADATA)
    newer = sa.MetaData()
    table = sa.Table(
        "things", newer, sa.Column("name", sa.String(8), primary_key=True),
        sa.Column("count", sa.Integer, nullable=False, server_default="7"), sa.Column("note", sa.Text),
    )  # fmt: skip
    with engine.begin() as connection:
        connection.execute(sa.insert(TABLE).values(name="old"))
    for _ in range(2):
        databases.create_tables(engine, newer)
    with engine.begin() as connection:
        assert connection.execute(sa.select(table)).all() == [("old", 7, None)]
        connection.execute(sa.insert(TABLE).values(name="older"))
    engine.dispose()


def test_what_was_sent_is_not_in_errors(database_url: str) -> None:
    engine, metadata = databases.connect(database_url), sa.MetaData()
    notes = sa.Table("notes", metadata, sa.Column("name", sa.String(8), primary_key=True), sa.Column("text", sa.Text))
    databases.create_tables(engine, metadata)
    twice = [{"name": "one", "text": "between us"}] * 2
    with pytest.raises(sa.exc.IntegrityError) as caught, engine.begin() as connection:
        connection.execute(notes.insert(), twice)
    engine.dispose()
    assert "INSERT INTO notes" in str(caught.value)
    assert "between us" not in str(caught.value)
