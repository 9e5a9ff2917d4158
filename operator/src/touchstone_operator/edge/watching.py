"""Kopf: watches, reconnections, credentials. Its handlers only put keys into the queue."""

import asyncio
import itertools
import logging
import random
from collections.abc import Iterator
from typing import Any

import kopf

from touchstone_operator import objects
from touchstone_operator.edge.queue import WorkQueue
from touchstone_operator.edge.routing import OWN_KINDS, WATCHED_CHILDREN, Routes
from touchstone_operator.objects import Key, Kind

FIRST_BACKOFF_SECONDS = 0.5
LONGEST_BACKOFF_SECONDS = 30.0


class EndlessBackoff:
    """Pauses between tries, for ever: an API server that is away must not end the process."""

    def __iter__(self) -> Iterator[float]:
        for attempt in itertools.count():
            pause = min(LONGEST_BACKOFF_SECONDS, FIRST_BACKOFF_SECONDS * 2 ** min(attempt, 16))
            yield pause * (0.5 + random.random())  # noqa: S311 - jitter


async def watch(queue: WorkQueue, *, namespace: str, has_ray: bool, ready: asyncio.Event, stop: asyncio.Event) -> None:
    """Watch until told to stop.

    Args:
        queue: Where the keys go.
        namespace: The one namespace to watch; empty: all.
        has_ray: Whether RayServices are watched: their kind must be there.
        ready: Set when the watches run.
        stop: Ends the watching.
    """
    for name in ("kopf.objects", "kopf._core.reactor.processing", "kopf._core.engines.activities"):
        logging.getLogger(name).setLevel(logging.WARNING)
    scope: dict[str, Any] = {"namespaces": [namespace]} if namespace else {"clusterwide": True}
    await kopf.operator(
        registry=registry(queue, Routes(), has_ray=has_ray),
        settings=settings(),
        standalone=True,
        ready_flag=ready,
        stop_flag=stop,
        **scope,
    )


def registry(queue: WorkQueue, routes: Routes, *, has_ray: bool) -> kopf.OperatorRegistry:
    """Register one event handler for each kind."""
    found = kopf.OperatorRegistry()
    kopf.on.login(registry=found)(kopf.login_with_kubeconfig)
    kopf.on.login(registry=found)(kopf.login_with_service_account)
    for kind in (*OWN_KINDS, *WATCHED_CHILDREN, *((objects.RAY_SERVICE,) if has_ray else ())):
        kopf.on.event(*_selector(kind), registry=found, id=kind.plural)(_handler(kind, queue, routes))
    return found


def settings() -> kopf.OperatorSettings:
    """Return Kopf's settings: long watches with time limits, no event flood, endless patience."""
    found = kopf.OperatorSettings()
    # Not ours: Kopf takes its own finalizer off objects that no handler of its wants to keep.
    found.persistence.finalizer = "operator.touchstone.dev/kopf"
    found.persistence.progress_storage = kopf.AnnotationsProgressStorage(prefix="operator.touchstone.dev")
    found.persistence.diffbase_storage = kopf.AnnotationsDiffBaseStorage(prefix="operator.touchstone.dev")
    # Our kinds were found before Kopf starts; it need not watch for new ones, nor be allowed to.
    found.scanning.disabled = True
    found.watching.server_timeout = 240
    found.watching.client_timeout = 300
    found.networking.request_timeout = 30
    found.networking.error_backoffs = EndlessBackoff()
    found.queueing.exit_timeout = 5
    found.posting.enabled = False
    found.process.ultimate_exiting_timeout = 20
    return found


def _selector(kind: Kind) -> tuple[str, str, str]:
    group, _, version = kind.api_version.rpartition("/")
    return group, version, kind.plural


def _handler(kind: Kind, queue: WorkQueue, routes: Routes) -> Any:
    async def handle(body: kopf.Body, event: dict[str, Any], **_: Any) -> None:
        is_deleted = event.get("type") == "DELETED"
        obj = dict(body)
        for key in routes.concerned(kind, obj, is_deleted=is_deleted):
            queue.add(key)
        if is_deleted:
            metadata = obj["metadata"]
            queue.forget(Key(kind.name, metadata["namespace"], metadata["name"]))

    return handle
