"""Keeping the view: lists and watches three kinds, for ever, and keeps the last good view whatever happens.

Each kind is listed once and then followed from the list's version. A broken connection goes on from the last version
seen; a version that is too old (410) begins again with a list. Waits between attempts grow to half a minute, with
jitter.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from touchstone_runtime.errors import DomainError

from touchstone_inference import errors
from touchstone_inference.router.core import observing
from touchstone_inference.router.core.observing import Json
from touchstone_inference.router.core.view import ReplicaRecord, Snapshot, View
from touchstone_inference.router.ports import Cluster, Event, EventType, Kind

log = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """How long to wait after the n-th failure in a row."""

    first_seconds: float = 0.2
    most_seconds: float = 30.0

    def delay_seconds(self, failures: int, jitter: float) -> float:
        """Give a wait: doubled each time, cut, and spread by jitter (0 to 1) over its upper half."""
        whole: float = min(self.most_seconds, self.first_seconds * 2.0 ** min(failures - 1, 16))
        return whole * (0.5 + jitter / 2)


class Watching:
    """Follows the cluster and publishes snapshots."""

    def __init__(
        self,
        cluster: Cluster,
        *,
        default_namespace: str,
        random: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        backoff: Backoff | None = None,
    ) -> None:
        self._cluster = cluster
        self._view = View(default_namespace)
        self._random = random
        self._sleep = sleep
        self._backoff = backoff or Backoff()
        self._unlisted = set(Kind)
        self._snapshot: Snapshot | None = None
        self._listeners: list[Callable[[Snapshot], None]] = []
        self._synced = asyncio.Event()

    def current(self) -> Snapshot:
        """Give the last good view. Raises ViewNotRead before each kind was listed once."""
        if self._snapshot is None:
            raise errors.ViewNotRead
        return self._snapshot

    def subscribe(self, listener: Callable[[Snapshot], None]) -> None:
        """Call a function with each new snapshot."""
        self._listeners.append(listener)

    async def wait_until_synced(self) -> None:
        """Wait until each kind was listed once."""
        await self._synced.wait()

    async def run(self) -> None:
        """Follow all kinds until cancelled."""
        async with asyncio.TaskGroup() as group:
            for kind in Kind:
                group.create_task(self._follow(kind), name=f"watch {kind}")

    async def _follow(self, kind: Kind) -> None:
        version, failures = "", 0
        while True:
            try:
                if not version:
                    version = await self._list(kind)
                async with self._cluster.watch(kind, version) as events:
                    async for event in events:
                        failures = 0
                        version = observing.resource_version(event.object) or version
                        self._apply(kind, event)
            except errors.VersionGone:
                log.info("the version of %s is too old; listing again", kind)
                version, failures = "", failures + 1
            except DomainError as error:
                failures += 1
                log.warning("following %s failed, attempt %d: %s", kind, failures, error.message)
            # A watch that just ended waits too, a little: a proxy that ends it at once must not make this a busy loop.
            await self._sleep(self._backoff.delay_seconds(max(failures, 1), self._random()))

    async def _list(self, kind: Kind) -> str:
        listing = await self._cluster.list(kind)
        self._replace(kind, listing.objects)
        self._unlisted.discard(kind)
        self._publish()
        return listing.resource_version

    def _replace(self, kind: Kind, objects: Sequence[Json]) -> None:
        match kind:
            case Kind.DEPLOYMENT:
                self._view.deployments.replace(_readable(observing.deployment, objects))
            case Kind.REVISION:
                self._view.revisions.replace(_readable(observing.revision, objects))
            case Kind.REPLICA:
                replicas = _readable(observing.replica, objects)
                self._view.replicas.replace(replica for replica in replicas if replica is not None)

    def _apply(self, kind: Kind, event: Event) -> None:
        if event.type is EventType.BOOKMARK:
            return
        if event.type is EventType.DELETED:
            tables = {
                Kind.DEPLOYMENT: self._view.deployments.remove,
                Kind.REVISION: self._view.revisions.remove,
                Kind.REPLICA: self._view.replicas.remove,
            }
            tables[kind](observing.identity(event.object))
        else:
            self._put(kind, event.object)
        self._publish()

    def _put(self, kind: Kind, document: Json) -> None:
        """Take an object; one that cannot be read leaves what was known of it untouched."""
        match kind:
            case Kind.DEPLOYMENT:
                for deployment in _readable(observing.deployment, [document]):
                    self._view.deployments.put(deployment)
            case Kind.REVISION:
                for revision in _readable(observing.revision, [document]):
                    self._view.revisions.put(revision)
            case Kind.REPLICA:
                self._put_replica(document, observing.replica(document))

    def _put_replica(self, document: Json, replica: ReplicaRecord | None) -> None:
        if replica is None:
            self._view.replicas.remove(observing.identity(document))
        else:
            self._view.replicas.put(replica)

    def _publish(self) -> None:
        if self._unlisted:
            return
        snapshot = self._view.snapshot()
        if snapshot is self._snapshot:
            return
        self._snapshot = snapshot
        self._synced.set()
        for listener in self._listeners:
            listener(snapshot)


def _readable(read: Callable[[Json], T], objects: Sequence[Json]) -> list[T]:
    records: list[T] = []
    for document in objects:
        try:
            records.append(read(document))
        except DomainError as error:
            log.error("refused: %s", error.message, extra={"object": observing.identity(document)})
    return records
