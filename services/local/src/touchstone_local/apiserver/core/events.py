"""The log of changes that watches read. Pure: it knows events, not where they are stored."""

import bisect
from collections import defaultdict
from collections.abc import Sequence
from operator import attrgetter
from typing import NamedTuple

from touchstone_local.apiserver.core.objects import Key
from touchstone_local.apiserver.core.selectors import Selectable, Selector

ADDED, MODIFIED, DELETED = "ADDED", "MODIFIED", "DELETED"


class Event(NamedTuple):
    """One change of one object."""

    version: int
    type: str
    key: Key
    encoded: bytes
    """The object after the change, or as it was last."""
    subject: Selectable
    """What selectors see of that object."""
    earlier: Selectable | None
    """What they saw before the change; None for a new object."""

    def seen_through(self, selector: Selector) -> str:
        """Return what this is to a watcher with a selector: an event type, or nothing.

        An object that comes into the selection is ADDED and one that leaves it is DELETED, whatever happened to it.
        """
        was_seen = self.earlier is not None and selector.matches(self.earlier)
        if self.type == DELETED:
            return DELETED if was_seen else ""
        if selector.matches(self.subject):
            return MODIFIED if was_seen else ADDED
        return DELETED if was_seen else ""


class EventLog:
    """The last events, in order, by storage."""

    def __init__(self, *, capacity: int) -> None:
        self._capacity = capacity
        self._all: list[Event] = []
        self._by_storage: defaultdict[str, list[Event]] = defaultdict(list)
        self.compacted = 0
        """The newest version that is no longer kept."""
        self._dropped: defaultdict[str, int] = defaultdict(int)

    def append(self, event: Event) -> None:
        """Add the newest event."""
        self._all.append(event)
        self._by_storage[event.key.storage].append(event)

    def after(self, version: int, storage: str | None = None) -> Sequence[Event]:
        """Return the events after a version, of one storage or of all."""
        events = self._all if storage is None else self._by_storage[storage]
        return events[bisect.bisect_right(events, version, key=attrgetter("version")) :]

    def dropped(self, storage: str) -> int:
        """Return the newest version of a storage's events that was dropped since the start; 0 if none was."""
        return self._dropped[storage]

    def trim(self) -> int | None:
        """Drop the oldest events once there are a tenth too many; return the newest version dropped, if any."""
        if len(self._all) <= self._capacity + self._capacity // 10:
            return None
        self.compacted = self._all[-self._capacity - 1].version
        for event in self._all[: -self._capacity]:
            self._dropped[event.key.storage] = event.version
        self._all = list(self.after(self.compacted))
        for storage in list(self._by_storage):
            self._by_storage[storage] = list(self.after(self.compacted, storage))
        return self.compacted
