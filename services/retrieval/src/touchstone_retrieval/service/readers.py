"""Open revisions, shared by searches. The least recently used are closed, but none while a search still uses it."""

import contextlib
import threading
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass

from touchstone_retrieval.ports import RevisionReader, Store


@dataclass(slots=True)
class _Open:
    reader: RevisionReader
    users: int = 0
    is_retired: bool = False


class Readers:
    """Opens revisions once and lends them. Safe to use from several threads."""

    def __init__(self, store: Store, *, capacity: int) -> None:
        """Share what the store opens.

        Args:
            store: Opens revisions.
            capacity: How many stay open without a user.
        """
        self._store = store
        self._capacity = capacity
        self._open: OrderedDict[tuple[str, str], _Open] = OrderedDict()
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def lend(self, index: str, revision: str) -> Iterator[RevisionReader]:
        """Lend a reader: it stays open until the block is left, whatever is activated or deleted meanwhile."""
        entry = self._take((index, revision))
        try:
            yield entry.reader
        finally:
            self._give_back(entry)

    def retire(self, index: str, revision: str = "") -> None:
        """Close a revision, or all of an index, as soon as nobody uses it."""
        with self._lock:
            for key in [k for k in self._open if k[0] == index and revision in ("", k[1])]:
                self._retire(key)

    def close(self) -> None:
        """Close all that nobody uses; the rest when they are given back."""
        with self._lock:
            for key in list(self._open):
                self._retire(key)

    def _take(self, key: tuple[str, str]) -> _Open:
        with self._lock:
            entry = self._open.get(key)
            if entry is None:
                entry = self._open[key] = _Open(self._store.open(*key))
            self._open.move_to_end(key)
            entry.users += 1
            while len(self._open) > self._capacity:
                self._retire(next(iter(self._open)))
            return entry

    def _give_back(self, entry: _Open) -> None:
        with self._lock:
            entry.users -= 1
            if entry.is_retired and not entry.users:
                entry.reader.close()

    def _retire(self, key: tuple[str, str]) -> None:
        entry = self._open.pop(key)
        entry.is_retired = True
        if not entry.users:
            entry.reader.close()
