"""The catalogue of indexes and revisions in SQL: SQLite on one machine, PostgreSQL in a cluster.

One row an index says which revision is active; changing it is the activation. Rows are locked in the order index, then
revision, so that an activation and a deletion of the same revision cannot both succeed.
"""

import contextlib
from collections.abc import Sequence
from functools import lru_cache

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import IntegrityError
from touchstone_runtime import databases

from touchstone_retrieval import errors
from touchstone_retrieval.core.manifest import Manifest
from touchstone_retrieval.ports import IndexRecord

_METADATA = sa.MetaData()

_INDEXES = sa.Table(
    "retrieval_indexes",
    _METADATA,
    sa.Column("name", sa.String(320), primary_key=True),
    sa.Column("active_revision", sa.String(320), nullable=False),
    sa.Column("previous_revision", sa.String(320), nullable=False),
)

_REVISIONS = sa.Table(
    "retrieval_revisions",
    _METADATA,
    sa.Column("index_name", sa.String(320), primary_key=True),
    sa.Column("name", sa.String(320), primary_key=True),
    sa.Column("built_at", sa.String(40), nullable=False),
    sa.Column("manifest", sa.Text, nullable=False),
)


class SqlCatalogue:
    """Indexes and revisions in a database."""

    def __init__(self, engine: Engine) -> None:
        """Use a database; its tables are made where they are missing."""
        self._writing = engine
        self._reading = databases.reading(engine)
        databases.create_tables(engine, _METADATA)

    def add(self, manifest: Manifest) -> None:
        """Record a finished revision and its index; what another process recorded first stays."""
        index = {"name": manifest.index, "active_revision": "", "previous_revision": ""}
        revision = {
            "index_name": manifest.index,
            "name": manifest.name,
            "built_at": manifest.built_at.isoformat(),
            "manifest": manifest.to_json(),
        }
        for table, row in ((_INDEXES, index), (_REVISIONS, revision)):
            with contextlib.suppress(IntegrityError), self._writing.begin() as connection:
                connection.execute(sa.insert(table).values(row))

    def index(self, index: str) -> IndexRecord:
        """Read an index."""
        with self._reading.begin() as connection:
            row = _existing_row(connection, index)
            rows = connection.execute(
                sa.select(_REVISIONS.c.manifest)
                .where(_REVISIONS.c.index_name == index)
                .order_by(_REVISIONS.c.built_at.desc(), _REVISIONS.c.name)
            )
            manifests = [_read(text) for (text,) in rows]
        return IndexRecord(index, row.active_revision, row.previous_revision, manifests)

    def manifest(self, index: str, revision: str) -> Manifest:
        """Read a revision; an empty name means the active one."""
        with self._reading.begin() as connection:
            row = _existing_row(connection, index)
            if not (revision or row.active_revision):
                raise errors.NotActivated(index)
            found = _manifest(connection, index, revision or row.active_revision)
        if found is None:
            raise errors.RevisionNotFound(index, revision)
        return _read(found)

    def activate(self, index: str, revision: str) -> None:
        """Make a revision the active one."""
        with self._writing.begin() as connection:
            row = _existing_row(connection, index, lock=True)
            if _manifest(connection, index, revision) is None:
                raise errors.RevisionNotFound(index, revision)
            if row.active_revision != revision:
                connection.execute(
                    sa.update(_INDEXES)
                    .where(_INDEXES.c.name == index)
                    .values(active_revision=revision, previous_revision=row.active_revision)
                )

    def remove(self, index: str, revision: str) -> None:
        """Forget a revision."""
        with self._writing.begin() as connection:
            row = _index_row(connection, index, lock=True)
            if row is None:
                return
            if row.active_revision == revision:
                raise errors.RevisionActive(index, revision)
            if row.previous_revision == revision:
                connection.execute(sa.update(_INDEXES).where(_INDEXES.c.name == index).values(previous_revision=""))
            connection.execute(
                sa.delete(_REVISIONS).where(_REVISIONS.c.index_name == index, _REVISIONS.c.name == revision)
            )

    def remove_index(self, index: str) -> Sequence[str]:
        """Forget an index."""
        with self._writing.begin() as connection:
            _index_row(connection, index, lock=True)
            rows = connection.execute(sa.select(_REVISIONS.c.name).where(_REVISIONS.c.index_name == index)).all()
            connection.execute(sa.delete(_REVISIONS).where(_REVISIONS.c.index_name == index))
            connection.execute(sa.delete(_INDEXES).where(_INDEXES.c.name == index))
        return [name for (name,) in rows]


def _index_row(connection: Connection, index: str, *, lock: bool = False) -> sa.Row[tuple[str, str, str]] | None:
    query = sa.select(_INDEXES).where(_INDEXES.c.name == index)
    return connection.execute(query.with_for_update() if lock else query).one_or_none()


def _existing_row(connection: Connection, index: str, *, lock: bool = False) -> sa.Row[tuple[str, str, str]]:
    row = _index_row(connection, index, lock=lock)
    if row is None:
        raise errors.IndexNotFound(index)
    return row


def _manifest(connection: Connection, index: str, revision: str) -> str | None:
    query = sa.select(_REVISIONS.c.manifest).where(_REVISIONS.c.index_name == index, _REVISIONS.c.name == revision)
    found: str | None = connection.execute(query).scalar_one_or_none()
    return found


@lru_cache(maxsize=64)
def _read(text: str) -> Manifest:
    return Manifest.from_json(text)
