"""Finding a kind by what people call it: plural, kind, short name, `PLURAL.GROUP` or category."""

import asyncio
from collections.abc import Iterable, Sequence

from touchstone_local import fields
from touchstone_local.errors import DomainError, KindUnknown
from touchstone_local.fields import Object
from touchstone_local.kube.cluster import Cluster
from touchstone_local.kube.resources import Resource


class Discovery:
    """The kinds of a server, as it listed them."""

    def __init__(self, resources: Iterable[Resource]) -> None:
        self._resources = tuple(resources)

    @classmethod
    async def load(cls, cluster: Cluster) -> "Discovery":
        """Ask a server which kinds it has; groups that do not answer are left out."""
        groups = await cluster.request("GET", "/apis", what="list the API groups")
        versions = [fields.text(group, "preferredVersion", "groupVersion") for group in fields.items(groups, "groups")]
        paths = ["/api/v1", *(f"/apis/{version}" for version in versions if version)]
        lists = await asyncio.gather(*(_resource_list(cluster, path) for path in paths))
        return cls(resource for listing in lists for resource in parse(listing))

    def find(self, name: str) -> Resource:
        """Return the kind that a name means.

        Raises:
            KindUnknown: The server has no such kind.
        """
        wanted = name.lower()
        for resource in self._resources:
            if wanted in _names(resource):
                return resource
        raise KindUnknown(name, sorted({resource.plural for resource in self._resources}))

    def find_all(self, name: str) -> Sequence[Resource]:
        """Return the kinds that a name or a category means."""
        members = [resource for resource in self._resources if name.lower() in resource.categories]
        return members or [self.find(name)]

    def of(self, obj: Object) -> Resource:
        """Return the kind of an object.

        Raises:
            KindUnknown: The server has no such kind.
        """
        api_version, kind = fields.text(obj, "apiVersion"), fields.text(obj, "kind")
        for resource in self._resources:
            if resource.kind == kind and resource.api_version == api_version:
                return resource
        raise KindUnknown(f"{kind} ({api_version})", sorted({resource.kind for resource in self._resources}))


def parse(listing: Object) -> list[Resource]:
    """Return the kinds of an APIResourceList, subresources left out. Pure."""
    group, _, version = fields.text(listing, "groupVersion").rpartition("/")
    return [
        Resource(
            group=group,
            version=version,
            plural=fields.text(entry, "name"),
            kind=fields.text(entry, "kind"),
            is_namespaced=fields.flag(entry, "namespaced"),
            short_names=tuple(str(name) for name in fields.sequence(entry, "shortNames")),
            categories=tuple(str(name) for name in fields.sequence(entry, "categories")),
        )
        for entry in fields.items(listing, "resources")
        if "/" not in fields.text(entry, "name")
    ]


def _names(resource: Resource) -> set[str]:
    singular = resource.kind.lower()
    return {resource.plural, singular, resource.full_name, f"{singular}.{resource.group}", *resource.short_names}


async def _resource_list(cluster: Cluster, path: str) -> Object:
    try:
        return await cluster.request("GET", path, what=f"list the kinds of {path}")
    except DomainError as error:
        if error.is_retryable:
            return {}
        raise
