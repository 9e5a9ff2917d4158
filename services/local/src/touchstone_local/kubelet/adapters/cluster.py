"""The API server as the kubelet sees it: caches that follow watches, and writes that are put into them."""

import asyncio
from collections.abc import Callable

from touchstone_local import fields
from touchstone_local.errors import ObjectNotFound
from touchstone_local.fields import Object
from touchstone_local.kube.cache import Cache, Reflector
from touchstone_local.kube.cluster import Cluster
from touchstone_local.kube.resources import CONFIG_MAPS, DEPLOYMENTS, JOBS, PODS, SECRETS, Resource


class CachedCluster:
    """Implements the ports `Pods` and `Workloads`."""

    def __init__(self, cluster: Cluster, changed: Callable[[], None]) -> None:
        self._cluster = cluster
        self._changed = changed
        self._caches = {resource: Cache() for resource in (DEPLOYMENTS, JOBS, PODS)}
        self._reflectors = [Reflector(cluster, each, cache, changed) for each, cache in self._caches.items()]
        self._configuration: dict[tuple[Resource, str, str], Object | None] = {}

    async def follow(self) -> None:
        """Keep the caches until cancelled."""
        async with asyncio.TaskGroup() as group:
            for reflector in self._reflectors:
                group.create_task(reflector.run())

    async def synced(self) -> None:
        """Return once each cache holds a first list."""
        for reflector in self._reflectors:
            await reflector.has_synced.wait()

    def deployments(self) -> tuple[Object, ...]:
        """Return the Deployments."""
        return self._caches[DEPLOYMENTS].all()

    def jobs(self) -> tuple[Object, ...]:
        """Return the Jobs."""
        return self._caches[JOBS].all()

    def pods(self) -> tuple[Object, ...]:
        """Return the Pods."""
        return self._caches[PODS].all()

    def config_map(self, namespace: str, name: str) -> Object | None:
        """Return a ConfigMap that was fetched."""
        return self._configuration.get((CONFIG_MAPS, namespace, name))

    def secret(self, namespace: str, name: str) -> Object | None:
        """Return a Secret that was fetched."""
        return self._configuration.get((SECRETS, namespace, name))

    async def fetch(self, namespace: str, config_maps: frozenset[str], secrets: frozenset[str]) -> None:
        """Read ConfigMaps and Secrets as they are now."""
        wanted = [(CONFIG_MAPS, name) for name in config_maps] + [(SECRETS, name) for name in secrets]
        for resource, name in wanted:
            found: Object | None
            try:
                found = await self._cluster.get(resource, name=name, namespace=namespace)
            except ObjectNotFound:
                found = None
            self._configuration[resource, namespace, name] = found

    async def create_pod(self, pod: Object) -> None:
        """Create a Pod."""
        self._note(PODS, await self._cluster.create(PODS, pod, namespace=fields.namespace(pod)))

    async def delete_pod(self, pod: Object) -> None:
        """Ask a Pod to go."""
        await self._delete(PODS, pod, grace_seconds=None)

    async def remove(self, pod: Object) -> None:
        """Remove a Pod that has stopped."""
        await self._delete(PODS, pod, grace_seconds=0)

    async def delete_job(self, job: Object) -> None:
        """Delete a Job; its Pods follow as their owner is gone."""
        await self._delete(JOBS, job, grace_seconds=None)

    async def report(self, obj: Object, status: Object) -> Object:
        """Write the status of a Pod, a Deployment or a Job and return the object as it then is."""
        resource = next(each for each in self._caches if each.kind == fields.text(obj, "kind"))
        body = {"metadata": {"uid": fields.uid(obj)}, "status": status}
        answer = await self._cluster.merge(
            resource, body, name=fields.name(obj), namespace=fields.namespace(obj), subresource="status"
        )
        self._note(resource, answer)
        return answer

    def _note(self, resource: Resource, obj: Object) -> None:
        """Take an answer into the cache and tell: the watch's event for it will bring nothing new."""
        self._caches[resource].put(obj)
        self._changed()

    async def _delete(self, resource: Resource, obj: Object, *, grace_seconds: int | None) -> None:
        try:
            answer = await self._cluster.delete(
                resource,
                name=fields.name(obj),
                namespace=fields.namespace(obj),
                uid=fields.uid(obj),
                grace_seconds=grace_seconds,
            )
        except ObjectNotFound:
            self._caches[resource].remove(obj)
            raise
        if fields.uid(answer) == fields.uid(obj) and fields.is_terminating(answer) and grace_seconds != 0:
            self._note(resource, answer)
        elif not fields.sequence(obj, "metadata", "finalizers"):
            self._caches[resource].remove(obj)
            self._changed()
