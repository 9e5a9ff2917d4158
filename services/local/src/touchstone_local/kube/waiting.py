"""Waiting until an object is as one wants it."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from touchstone_local import fields
from touchstone_local.errors import DomainError, ObjectNotFound, WaitExpired
from touchstone_local.fields import Object
from touchstone_local.kube.cluster import Cluster
from touchstone_local.kube.resources import Resource

Claim = Callable[[Object], bool]
"""What is waited for; an empty mapping stands for an object that does not exist."""
RETRY_SECONDS = 0.5
WATCH_SECONDS = 60


def condition_is(kind: str, status: str = "True", *, reason: str = "") -> Claim:
    """Claim that a condition of the object's present generation has a status, and a reason if one is given.

    A kind that does not tell which generation it has observed, as Pods do, is taken at its word.
    """

    def holds(obj: Object) -> bool:
        found = fields.condition(obj, kind)
        generation = fields.integer(obj, "metadata", "generation")
        whole = fields.integer(obj, "status", "observedGeneration", default=generation)
        if fields.integer(found, "observedGeneration", default=whole) < generation:
            return False
        return fields.text(found, "status") == status and reason in ("", fields.text(found, "reason"))

    return holds


def is_gone(obj: Object) -> bool:
    """Claim that the object does not exist."""
    return not obj


async def wait_for(
    cluster: Cluster,
    resource: Resource,
    *,
    name: str,
    namespace: str,
    claim: Claim,
    timeout_seconds: float,
    describe: str = "the condition",
    on_change: Callable[[Object], None] | None = None,
) -> Object:
    """Return the object as soon as the claim holds; `on_change` sees each state on the way.

    Raises:
        WaitExpired: The claim did not hold in time.
    """
    last: Object = {}
    try:
        async with asyncio.timeout(timeout_seconds):
            while True:
                async with aclosing(_states(cluster, resource, name=name, namespace=namespace)) as states:
                    async for last in states:
                        if on_change is not None:
                            on_change(last)
                        if claim(last):
                            return last
                await asyncio.sleep(RETRY_SECONDS)
    except TimeoutError as error:
        state = _summary(last)
        raise WaitExpired(
            f"{resource.kind} {namespace}/{name}: {describe} did not hold within {timeout_seconds:g} s. {state}"
        ) from error


async def _states(cluster: Cluster, resource: Resource, *, name: str, namespace: str) -> AsyncGenerator[Object, None]:
    """Yield the object now and after each change, until the watch ends or the server goes away."""
    try:
        try:
            obj = await cluster.get(resource, name=name, namespace=namespace)
        except ObjectNotFound:
            yield {}
            return
        yield obj
        version = fields.text(obj, "metadata", "resourceVersion")
        watch = cluster.watch(resource, namespace=namespace, name=name, resource_version=version, seconds=WATCH_SECONDS)
        async with aclosing(watch) as events:
            async for event in events:
                if event.type != "BOOKMARK":
                    yield {} if event.type == "DELETED" else event.object
    except DomainError as error:
        if not error.is_retryable:
            raise


def _summary(obj: Object) -> str:
    """Say in one sentence where an object stands."""
    if not obj:
        return "It does not exist."
    conditions = ", ".join(
        f"{fields.text(entry, 'type')}={fields.text(entry, 'status')} ({fields.text(entry, 'reason')})"
        for entry in fields.items(obj, "status", "conditions")
    )
    return f"It has {conditions}." if conditions else "It has no conditions yet."
