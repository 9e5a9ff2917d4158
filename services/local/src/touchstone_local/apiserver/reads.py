"""Reading objects: one, many, in pages."""

import base64
import binascii
import json
from collections import OrderedDict
from collections.abc import Sequence
from typing import NamedTuple

from touchstone_local.apiserver import errors
from touchstone_local.apiserver.core.kinds import Kind
from touchstone_local.apiserver.core.selectors import Selector
from touchstone_local.apiserver.store import Entry, Store

KEPT_SNAPSHOTS = 64
"""Unfinished paged lists that can be continued at once; the oldest expires first."""


class ListQuery(NamedTuple):
    """What to list."""

    namespace: str = ""
    selector: Selector = Selector()
    limit: int = 0
    token: str = ""
    """The continue token of the page before."""
    version: str = ""
    version_match: str = ""
    """Exact or NotOlderThan."""


class Page(NamedTuple):
    """Objects at one version."""

    entries: Sequence[Entry]
    version: int
    token: str = ""
    """Not empty: there is more."""
    remaining: int | None = None


class Reads:
    """Lists objects; pages of one list show one version, whatever is written between them."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._snapshots: OrderedDict[int, tuple[int, Sequence[Entry]]] = OrderedDict()
        self._next_snapshot = 1

    def list(self, kind: Kind, query: ListQuery) -> Page:
        """Return the objects of a kind.

        Raises:
            Expired: The token or the version is no longer kept.
            VersionUnknown: The version lies in the future.
        """
        if query.token:
            return self._continue(query)
        self._check_version(query)
        entries = self._store.list(kind.storage, query.namespace)
        if not query.selector.is_empty:
            entries = [entry for entry in entries if query.selector.matches(entry.subject)]
        return self._page(entries, self._store.version, query.limit, has_selector=not query.selector.is_empty)

    def _check_version(self, query: ListQuery) -> None:
        check_version(query.version, self._store)
        if query.version_match == "Exact" and int(query.version or 0) != self._store.version:
            message = f"The resourceVersion for the provided list is too old: {query.version}; only the newest is kept."
            raise errors.Expired(message)

    def _continue(self, query: ListQuery) -> Page:
        try:
            number, start = json.loads(base64.urlsafe_b64decode(query.token))
        except (ValueError, TypeError, binascii.Error) as error:
            raise errors.BadRequest("continue key is not valid") from error
        snapshot = self._snapshots.get(number)
        if snapshot is None:
            raise errors.Expired(
                "The provided continue parameter is too old to display a consistent list result. "
                "You must start a new list without the continue parameter."
            )
        version, entries = snapshot
        return self._cut(entries, version, start, query.limit, number=number, has_selector=False)

    def _page(self, entries: Sequence[Entry], version: int, limit: int, *, has_selector: bool) -> Page:
        if not limit or len(entries) <= limit:
            return Page(entries, version)
        number = self._next_snapshot
        self._next_snapshot += 1
        self._snapshots[number] = (version, entries)
        if len(self._snapshots) > KEPT_SNAPSHOTS:
            self._snapshots.popitem(last=False)
        return self._cut(entries, version, 0, limit, number=number, has_selector=has_selector)

    def _cut(
        self, entries: Sequence[Entry], version: int, start: int, limit: int, *, number: int, has_selector: bool
    ) -> Page:
        end = start + limit if limit else len(entries)
        if end >= len(entries):
            return Page(entries[start:], version)
        token = base64.urlsafe_b64encode(json.dumps([number, end]).encode()).decode()
        remaining = None if has_selector else len(entries) - end
        return Page(entries[start:end], version, token, remaining)


def check_version(version: str, store: Store) -> None:
    """Refuse a resourceVersion that is not a number, or that lies in the future.

    Raises:
        BadRequest: It is not a number.
        VersionUnknown: It lies in the future.
    """
    if not version:
        return
    if not version.isdecimal():
        raise errors.BadRequest(f'resourceVersion: Invalid value: "{version}": strconv.ParseUint: invalid syntax')
    if int(version) > store.version:
        cause = errors.Cause("ResourceVersionTooLarge", "Too large resource version")
        message = f"Too large resource version: {version}, current: {store.version}"
        raise errors.VersionUnknown(message, details={"retryAfterSeconds": 1}, causes=[cause])
