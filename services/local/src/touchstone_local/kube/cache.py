"""A kind's objects as a watch shows them, and the loop that keeps them so.

Writes are put into the cache as they are answered, so that a reader that has just written sees its own write; an
event older than what is stored is left out. Resource versions are compared as numbers, as an API server over one
store hands them out (Kubernetes 1.35 promises this).
"""

import asyncio
import logging
from collections.abc import Callable

from touchstone_local import fields
from touchstone_local.errors import DomainError, ObjectConflict
from touchstone_local.fields import Object
from touchstone_local.kube.cluster import Cluster
from touchstone_local.kube.resources import Resource

RETRY_SECONDS = (0.2, 0.5, 1.0, 2.0, 5.0)
WATCH_SECONDS = 240
REOPEN_SECONDS = 0.05
"""Pause before a watch that the server ended is opened again: a server that ends each at once must not be stormed."""
_log = logging.getLogger(__name__)


class Cache:
    """Objects of one kind by `NAMESPACE/NAME`."""

    def __init__(self) -> None:
        self._objects: dict[str, Object] = {}
        self._gone: set[str] = set()

    def all(self) -> tuple[Object, ...]:
        """Return the objects, in no order."""
        return tuple(self._objects.values())

    def get(self, key: str) -> Object | None:
        """Return the object of a key."""
        return self._objects.get(key)

    def put(self, obj: Object) -> bool:
        """Store an object unless a newer one is known; return whether it was stored."""
        if fields.uid(obj) in self._gone:
            return False
        known = self._objects.get(fields.key(obj))
        if known is not None and _version(known) >= _version(obj):
            return False
        self._objects[fields.key(obj)] = obj
        return True

    def remove(self, obj: Object) -> None:
        """Forget an object that is gone; late events of it are left out."""
        self._gone.add(fields.uid(obj))
        known = self._objects.get(fields.key(obj))
        if known is not None and fields.uid(known) == fields.uid(obj):
            del self._objects[fields.key(obj)]

    def replace(self, objects: tuple[Object, ...], *, version: int) -> None:
        """Take a list read at a version as the truth, but for what was written after it."""
        newer = {key: obj for key, obj in self._objects.items() if _version(obj) > version}
        listed = {fields.key(obj): obj for obj in objects if fields.uid(obj) not in self._gone}
        self._objects = listed | newer


def _version(obj: Object) -> int:
    version = fields.text(obj, "metadata", "resourceVersion")
    return int(version) if version.isdecimal() else 0


class Reflector:
    """Follows one kind for ever: list, watch, list again when the watch is too old or the server was away."""

    def __init__(self, cluster: Cluster, resource: Resource, cache: Cache, changed: Callable[[], None]) -> None:
        self._cluster = cluster
        self._resource = resource
        self._cache = cache
        self._changed = changed
        self.has_synced = asyncio.Event()
        """Set once the first list is stored."""

    async def run(self) -> None:
        """Follow until cancelled."""
        attempt = 0
        while True:
            try:
                version = await self._list()
                attempt = 0
                await self._watch(version)
            except ObjectConflict:
                _log.info("The watch of %s is too old; listing again.", self._resource.plural)
            except DomainError as error:
                delay = RETRY_SECONDS[min(attempt, len(RETRY_SECONDS) - 1)]
                _log.warning("%s Trying again in %s s.", error.message, delay)
                attempt += 1
                await asyncio.sleep(delay)

    async def _list(self) -> str:
        listing = await self._cluster.list(self._resource)
        version = int(listing.resource_version) if listing.resource_version.isdecimal() else 0
        self._cache.replace(tuple(_with_kind(item, self._resource) for item in listing.items), version=version)
        self.has_synced.set()
        self._changed()
        return listing.resource_version

    async def _watch(self, version: str) -> None:
        while True:
            watch = self._cluster.watch(self._resource, resource_version=version, seconds=WATCH_SECONDS)
            async for event in watch:
                version = fields.text(event.object, "metadata", "resourceVersion") or version
                self._store(event.type, event.object)
            await asyncio.sleep(REOPEN_SECONDS)

    def _store(self, kind: str, obj: Object) -> None:
        if kind == "BOOKMARK":
            return
        if kind == "DELETED":
            self._cache.remove(obj)
        elif not self._cache.put(obj):
            return
        self._changed()


def _with_kind(obj: Object, resource: Resource) -> Object:
    return {"apiVersion": resource.api_version, "kind": resource.kind, **obj}
