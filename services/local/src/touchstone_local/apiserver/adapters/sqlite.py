"""The durable side of the store: one SQLite file in WAL mode, one transaction a write.

`synchronous=NORMAL`: a committed write survives the end of the process, however sudden; a power cut may lose the last
ones, as SQLite then writes the log without waiting for the disk. The file is locked exclusively, so that two servers
cannot share it.
"""

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from touchstone_local.apiserver import errors
from touchstone_local.apiserver.core.events import Event
from touchstone_local.apiserver.core.objects import Key
from touchstone_local.apiserver.core.selectors import Selectable

_SCHEMA = """
CREATE TABLE IF NOT EXISTS objects (
    storage TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL, body BLOB NOT NULL,
    PRIMARY KEY (storage, namespace, name)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS events (
    version INTEGER PRIMARY KEY, type TEXT NOT NULL, storage TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL,
    body BLOB NOT NULL, subject TEXT NOT NULL, earlier TEXT
);
"""


class Row(NamedTuple):
    """A stored object."""

    key: Key
    body: bytes


class SqliteFile:
    """The file. All methods block for the time of a local write: well under a millisecond."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._connection = sqlite3.connect(path, isolation_level=None, timeout=1.0)
        path.chmod(0o600)
        try:
            self._connection.execute("PRAGMA locking_mode=EXCLUSIVE")
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute("PRAGMA synchronous=NORMAL")
            self._connection.executescript(_SCHEMA)
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.execute("COMMIT")
        except sqlite3.OperationalError as error:
            self._connection.close()
            raise errors.StateBusy(str(path)) from error

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def objects(self) -> Iterator[Row]:
        """Yield every stored object."""
        for storage, namespace, name, body in self._connection.execute("SELECT * FROM objects"):
            yield Row(Key(storage, namespace, name), body)

    def events(self) -> Iterator[Event]:
        """Yield the kept events in order."""
        query = "SELECT version, type, storage, namespace, name, body, subject, earlier FROM events ORDER BY version"
        for version, kind, storage, namespace, name, body, subject, earlier in self._connection.execute(query):
            yield Event(
                version=version,
                type=kind,
                key=Key(storage, namespace, name),
                encoded=body,
                subject=_selectable(subject),
                earlier=_selectable(earlier) if earlier else None,
            )

    def write(self, event: Event) -> None:
        """Store an object or its removal with the event, durably and as one."""
        cursor = self._connection
        cursor.execute("BEGIN IMMEDIATE")
        try:
            if event.type == "DELETED":
                cursor.execute("DELETE FROM objects WHERE storage = ? AND namespace = ? AND name = ?", event.key)
            else:
                cursor.execute("INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?)", (*event.key, event.encoded))
            earlier = json.dumps(event.earlier) if event.earlier is not None else None
            values = (event.version, event.type, *event.key, event.encoded, json.dumps(event.subject), earlier)
            cursor.execute("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values)
        except BaseException:
            cursor.execute("ROLLBACK")
            raise
        cursor.execute("COMMIT")

    def compact(self, version: int) -> None:
        """Drop the events up to and with a version."""
        self._connection.execute("DELETE FROM events WHERE version <= ?", (version,))


def _selectable(text: str) -> Selectable:
    labels, fields = json.loads(text)
    return Selectable(labels, fields)
