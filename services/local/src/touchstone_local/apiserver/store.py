"""The state of the server: every object in memory, each write on disk before it is known to anyone."""

import asyncio
import json
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from touchstone_local.apiserver.adapters.sqlite import SqliteFile
from touchstone_local.apiserver.core import events, objects
from touchstone_local.apiserver.core.events import Event, EventLog
from touchstone_local.apiserver.core.objects import JsonObject, Key
from touchstone_local.apiserver.core.selectors import Selectable

KEPT_EVENTS = 10_000
ALL = ""
"""Stands for every storage where changes are waited for."""


class Entry(NamedTuple):
    """One stored object. Its body must not be changed: it is shared by all readers."""

    key: Key
    version: int
    body: JsonObject
    encoded: bytes
    subject: Selectable


Listener = Callable[[Event, JsonObject], None]


class Store:
    """Objects by key, and the log of their changes. Not safe for threads: it lives on the event loop."""

    def __init__(self, path: Path, *, kept_events: int = KEPT_EVENTS) -> None:
        self._file = SqliteFile(path)
        self._log = EventLog(capacity=kept_events)
        self._entries: defaultdict[str, dict[Key, Entry]] = defaultdict(dict)
        self._signals: dict[str, asyncio.Event] = {}
        self._listeners: list[Listener] = []
        self.version = 1
        """The version of the newest change."""
        self._load()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    @property
    def compacted(self) -> int:
        """The newest version whose changes are no longer kept."""
        return self._log.compacted

    def dropped(self, storage: str) -> int:
        """Return the newest version of a storage's changes that was dropped since the start."""
        return self._log.dropped(storage)

    def wake_all(self) -> None:
        """Wake everyone who waits for a change, so that they can see that the server stops."""
        for name in list(self._signals):
            self._signals.pop(name).set()

    def subscribe(self, listener: Listener) -> None:
        """Call a listener after each change that has been stored."""
        self._listeners.append(listener)

    def get(self, key: Key) -> Entry | None:
        """Return the object of a key."""
        return self._entries[key.storage].get(key)

    def list(self, storage: str, namespace: str = "") -> list[Entry]:
        """Return the objects of a storage in the order of their keys, of one namespace or of all."""
        entries = self._entries[storage]
        chosen: Iterable[Key] = [key for key in entries if key.namespace == namespace] if namespace else entries
        return [entries[key] for key in sorted(chosen)]

    def storages(self) -> Iterable[str]:
        """Return the names of the storages that hold something."""
        return [storage for storage, entries in self._entries.items() if entries]

    def put(self, key: Key, body: JsonObject, subject: Selectable) -> Entry:
        """Store a new or changed object durably; the body gets its resourceVersion and belongs to the store then."""
        known = self.get(key)
        version = self.version + 1
        body["metadata"]["resourceVersion"] = str(version)
        entry = Entry(key, version, body, objects.encode(body), subject)
        kind = events.ADDED if known is None else events.MODIFIED
        self._record(Event(version, kind, key, entry.encoded, subject, known.subject if known else None), body)
        self._entries[key.storage][key] = entry
        self._announce(key.storage, body)
        return entry

    def remove(self, entry: Entry) -> JsonObject:
        """Remove an object durably and return it as it was last, with the version of its removal."""
        version = self.version + 1
        metadata = {**entry.body["metadata"], "resourceVersion": str(version)}
        body = {**entry.body, "metadata": metadata}
        event = Event(version, events.DELETED, entry.key, objects.encode(body), entry.subject, entry.subject)
        self._record(event, body)
        del self._entries[entry.key.storage][entry.key]
        self._announce(entry.key.storage, body)
        return body

    def changes_after(self, version: int, storage: str | None = None) -> Iterable[Event]:
        """Return the kept events after a version."""
        return self._log.after(version, storage)

    async def changed(self, storage: str) -> None:
        """Wait until something changes in a storage, or in any (ALL). Read the log first, without a pause between."""
        await self._signals.setdefault(storage, asyncio.Event()).wait()

    def _load(self) -> None:
        for event in self._file.events():
            self._log.append(event)
            self.version = event.version
        first = next(iter(self._log.after(0)), None)
        self._log.compacted = first.version - 1 if first is not None else 1
        for row in self._file.objects():
            body = json.loads(row.body)
            version = int(body["metadata"]["resourceVersion"])
            entry = Entry(row.key, version, body, row.body, Selectable(objects.labels(body), {}))
            self._entries[row.key.storage][row.key] = entry

    def reindex(self, storage: str, subject_of: Callable[[JsonObject], Selectable]) -> None:
        """Compute anew what selectors see of the objects of a storage: after a start, or when its kind changed."""
        entries = self._entries[storage]
        for key, entry in list(entries.items()):
            entries[key] = entry._replace(subject=subject_of(entry.body))

    def _record(self, event: Event, body: JsonObject) -> None:
        self._file.write(event)
        self.version = event.version
        self._log.append(event)
        compacted = self._log.trim()
        if compacted is not None:
            self._file.compact(compacted)

    def _announce(self, storage: str, body: JsonObject) -> None:
        newest = self._log.after(self.version - 1)[-1]
        for listener in self._listeners:
            listener(newest, body)
        for name in (storage, ALL):
            signal = self._signals.pop(name, None)
            if signal is not None:
                signal.set()
