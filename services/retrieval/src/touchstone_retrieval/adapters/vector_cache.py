"""Embeddings by content in one SQLite file, so that a rebuild or a retried build computes none twice.

The keys come from the encoder's digest and the text, so entries never go stale; the oldest are dropped when there are
too many. Several processes may use the file at once.
"""

import sqlite3
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from touchstone_retrieval.ports import Vectors

_SCHEMA = """
CREATE TABLE IF NOT EXISTS vectors (key BLOB PRIMARY KEY, vector BLOB NOT NULL, put_at INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS vectors_by_age ON vectors (put_at);
"""
_KEYS_A_QUERY = 500


class SqliteVectorCache:
    """Vectors in a file."""

    def __init__(self, path: Path, *, max_entries: int) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._max_entries = max_entries
        self._lock = threading.Lock()
        self._database = sqlite3.connect(path, timeout=30, check_same_thread=False, isolation_level=None)
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = NORMAL")
        self._database.executescript(_SCHEMA)

    def get(self, keys: Sequence[bytes]) -> Mapping[bytes, Vectors]:
        """Return those that are there."""
        found: dict[bytes, Vectors] = {}
        for low in range(0, len(keys), _KEYS_A_QUERY):
            some = keys[low : low + _KEYS_A_QUERY]
            marks = ",".join("?" * len(some))
            with self._lock:
                rows = self._database.execute(
                    f"SELECT key, vector FROM vectors WHERE key IN ({marks})",  # noqa: S608 question marks only
                    some,
                ).fetchall()
            found |= {key: np.frombuffer(vector, dtype=np.float32) for key, vector in rows}
        return found

    def put(self, vectors: Mapping[bytes, Vectors]) -> None:
        """Keep vectors, in place of those that are there."""
        now = time.time_ns()
        rows = [(key, np.asarray(vector, dtype=np.float32).tobytes(), now) for key, vector in vectors.items()]
        with self._lock:
            self._database.execute("BEGIN IMMEDIATE")
            self._database.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?, ?)", rows)
            self._database.execute("COMMIT")

    def prune(self) -> int:
        """Drop the oldest entries above the limit; returns how many."""
        with self._lock:
            (count,) = self._database.execute("SELECT count(*) FROM vectors").fetchone()
            surplus = max(0, count - self._max_entries)
            if surplus:
                self._database.execute(
                    "DELETE FROM vectors WHERE key IN (SELECT key FROM vectors ORDER BY put_at LIMIT ?)", (surplus,)
                )
        return int(surplus)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._database.close()
