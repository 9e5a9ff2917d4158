"""Watches: the changes of a kind after a version, as a stream of lines."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from typing import NamedTuple

from touchstone_local.apiserver import errors, reads
from touchstone_local.apiserver.core import events, objects
from touchstone_local.apiserver.core.kinds import Kind
from touchstone_local.apiserver.core.objects import JsonObject
from touchstone_local.apiserver.core.selectors import Selector
from touchstone_local.apiserver.store import Store

BOOKMARK_SECONDS = 20.0
"""Idle time after which a bookmark tells a watcher how far it is."""
Encode = Callable[[bytes], bytes]
"""Turns a stored object into what the client asked for."""


class WatchQuery(NamedTuple):
    """What to watch."""

    timeout_seconds: float
    namespace: str = ""
    selector: Selector = Selector()
    version: str = ""
    """Watch after this version; empty or 0: send the present state first."""
    has_bookmarks: bool = False
    sends_state: bool = False
    """Send the present state first and mark its end with a bookmark."""


class Watches:
    """Serves watches from the store's log; a slow reader costs no memory."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._is_stopping = False

    def stop(self) -> None:
        """End all watches."""
        self._is_stopping = True
        self._store.wake_all()

    def check(self, query: WatchQuery) -> None:
        """Refuse a query before the stream begins.

        Raises:
            ApiError: Its version is not one, or lies in the future.
        """
        reads.check_version(query.version, self._store)

    async def stream(self, kind: Kind, query: WatchQuery, encode: Encode) -> AsyncIterator[bytes]:
        """Yield lines, one event each, several at once where several are ready."""
        end = time.monotonic() + query.timeout_seconds
        version = int(query.version or 0)
        if query.sends_state or version == 0:
            version = self._store.version
            yield self._state(kind, query, encode)
        elif version < self._store.compacted:
            yield _expired(version, self._store.compacted)
            return
        while not self._is_stopping:
            if version < self._store.dropped(kind.storage):
                yield _expired(version, self._store.compacted)
                return
            lines, version = self._changes(kind, query, encode, version)
            if lines:
                yield lines
                continue
            left = end - time.monotonic()
            if left <= 0:
                return
            if not await self._wait(kind.storage, min(left, BOOKMARK_SECONDS)) and query.has_bookmarks:
                version = max(version, self._store.version)
                yield _bookmark(kind, version)

    def _state(self, kind: Kind, query: WatchQuery, encode: Encode) -> bytes:
        entries = self._store.list(kind.storage, query.namespace)
        chosen = [entry for entry in entries if query.selector.matches(entry.subject)]
        lines = [_line(events.ADDED, encode(entry.encoded)) for entry in chosen]
        if query.sends_state and query.has_bookmarks:
            lines.append(_bookmark(kind, self._store.version, is_end_of_state=True))
        return b"".join(lines)

    def _changes(self, kind: Kind, query: WatchQuery, encode: Encode, version: int) -> tuple[bytes, int]:
        lines: list[bytes] = []
        for event in self._store.changes_after(version, kind.storage):
            version = event.version
            if query.namespace and event.key.namespace != query.namespace:
                continue
            seen = event.seen_through(query.selector)
            if seen:
                lines.append(_line(seen, encode(event.encoded)))
        return b"".join(lines), version

    async def _wait(self, storage: str, timeout_seconds: float) -> bool:
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._store.changed(storage)
        except TimeoutError:
            return False
        return True


def _line(kind: str, encoded: bytes) -> bytes:
    return b'{"type":"%s","object":%s}\n' % (kind.encode(), encoded)


def _bookmark(kind: Kind, version: int, *, is_end_of_state: bool = False) -> bytes:
    metadata: JsonObject = {"resourceVersion": str(version), "creationTimestamp": None}
    if is_end_of_state:
        metadata["annotations"] = {"k8s.io/initial-events-end": "true"}
    bookmark = {"kind": kind.kind, "apiVersion": kind.api_version, "metadata": metadata}
    return _line("BOOKMARK", objects.encode(bookmark))


def _expired(version: int, compacted: int) -> bytes:
    error = errors.Expired(f"too old resource version: {version} ({compacted + 1})")
    return _line("ERROR", json.dumps(error.status()).encode())
