"""Applying objects, and telling what that changed."""

from collections.abc import AsyncIterator, Iterable
from enum import StrEnum
from typing import NamedTuple

from touchstone_local import fields
from touchstone_local.errors import ObjectNotFound
from touchstone_local.fields import Object
from touchstone_local.kube.cluster import Cluster
from touchstone_local.kube.discovery import Discovery
from touchstone_local.kube.resources import Resource

DEFAULT_NAMESPACE = "default"


class Outcome(StrEnum):
    """What applying did to an object."""

    CREATED = "created"
    CONFIGURED = "configured"
    UNCHANGED = "unchanged"


class Applied(NamedTuple):
    """An object that was applied."""

    resource: Resource
    object: Object
    outcome: Outcome


async def apply(
    cluster: Cluster, objects: Iterable[Object], *, namespace: str = DEFAULT_NAMESPACE, manager: str = "touchstone"
) -> AsyncIterator[Applied]:
    """Apply objects in their order by server-side apply, and yield each as it was answered.

    Args:
        cluster: Where to.
        objects: What.
        namespace: For objects that name none.
        manager: Who owns the fields.

    Raises:
        DomainError: The server refused an object; those before it stay applied.
    """
    discovery = await Discovery.load(cluster)
    for obj in objects:
        resource = discovery.of(obj)
        where = (fields.namespace(obj) or namespace) if resource.is_namespaced else ""
        before = await _version(cluster, resource, obj, namespace=where)
        answer = await cluster.apply(resource, obj, namespace=where, manager=manager)
        yield Applied(resource, answer, _outcome(before, answer))


async def _version(cluster: Cluster, resource: Resource, obj: Object, *, namespace: str) -> str:
    try:
        found = await cluster.get(resource, name=fields.name(obj), namespace=namespace)
    except ObjectNotFound:
        return ""
    return fields.text(found, "metadata", "resourceVersion")


def _outcome(before: str, answer: Object) -> Outcome:
    if not before:
        return Outcome.CREATED
    is_same = before == fields.text(answer, "metadata", "resourceVersion")
    return Outcome.UNCHANGED if is_same else Outcome.CONFIGURED
