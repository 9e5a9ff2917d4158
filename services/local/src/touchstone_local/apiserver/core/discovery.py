"""Discovery documents: which groups, versions, kinds and verbs there are. Pure."""

from collections.abc import Iterable, Sequence

from touchstone_local.apiserver.core.kinds import Kind
from touchstone_local.apiserver.core.objects import JsonObject

_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
_SUBRESOURCE_VERBS = ("get", "patch", "update")


def versions(*, address: str) -> JsonObject:
    """Return the document of /api."""
    served = [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}]
    return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": served}


def groups(kinds: Iterable[Kind]) -> JsonObject:
    """Return the document of /apis."""
    by_group = _versions_by_group(kinds)
    return {
        "kind": "APIGroupList",
        "apiVersion": "v1",
        "groups": [group(name, found) for name, found in by_group.items() if name],
    }


def group(name: str, found: Sequence[str]) -> JsonObject:
    """Return the entry of one group with its versions, the preferred one first."""
    entries = [{"groupVersion": f"{name}/{version}", "version": version} for version in found]
    return {"kind": "APIGroup", "apiVersion": "v1", "name": name, "versions": entries, "preferredVersion": entries[0]}


def group_document(name: str, kinds: Iterable[Kind]) -> JsonObject | None:
    """Return the document of /apis/GROUP; None if there is no such group."""
    found = _versions_by_group(kinds).get(name)
    return group(name, found) if found else None


def resources(group_version: str, kinds: Iterable[Kind]) -> JsonObject | None:
    """Return the document of a group version; None if there is no such one."""
    chosen = [kind for kind in kinds if kind.api_version == group_version]
    if not chosen:
        return None
    entries = [entry for kind in chosen for entry in _entries(kind)]
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": entries}


def aggregated(kinds: Iterable[Kind], *, is_core: bool) -> JsonObject:
    """Return all kinds of the core group, or of all other groups, as one document (apidiscovery.k8s.io/v2)."""
    chosen = [kind for kind in kinds if (kind.group == "") == is_core]
    items = [
        {
            "metadata": {"name": name, "creationTimestamp": None},
            "versions": [_aggregated_version(name, version, chosen) for version in found],
        }
        for name, found in _versions_by_group(chosen).items()
    ]
    return {"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items}


def _versions_by_group(kinds: Iterable[Kind]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for kind in kinds:
        known = found.setdefault(kind.group, [])
        if kind.version not in known:
            known.append(kind.version)
    return {name: sorted(known, key=_age_of_version) for name, known in found.items()}


def _age_of_version(version: str) -> tuple[int, int, str]:
    """Sort stable versions first, then beta, then alpha; newer ones before older ones."""
    stage = 2 if "alpha" in version else 1 if "beta" in version else 0
    digits = "".join(
        character
        for character in version.split("alpha", maxsplit=1)[0].split("beta", maxsplit=1)[0]
        if character.isdigit()
    )
    return stage, -int(digits or 0), version


def _verbs(kind: Kind) -> list[str]:
    return ["create"] if kind.is_review else list(_VERBS)


def _entries(kind: Kind) -> Iterable[JsonObject]:
    entry: JsonObject = {
        "name": kind.plural,
        "singularName": kind.singular,
        "namespaced": kind.is_namespaced,
        "kind": kind.kind,
        "verbs": _verbs(kind),
    }
    if kind.short_names:
        entry["shortNames"] = list(kind.short_names)
    if kind.categories:
        entry["categories"] = list(kind.categories)
    yield entry
    for subresource in kind.subresources:
        below: JsonObject = {
            "name": f"{kind.plural}/{subresource}",
            "singularName": "",
            "namespaced": kind.is_namespaced,
            "kind": kind.kind,
            "verbs": list(_SUBRESOURCE_VERBS),
        }
        if subresource == "scale":
            below |= {"group": "autoscaling", "version": "v1", "kind": "Scale"}
        yield below


def _aggregated_version(group_name: str, version: str, kinds: Iterable[Kind]) -> JsonObject:
    found = [_aggregated_entry(kind) for kind in kinds if (kind.group, kind.version) == (group_name, version)]
    return {"version": version, "resources": found, "freshness": "Current"}


def _aggregated_entry(kind: Kind) -> JsonObject:
    entry: JsonObject = {
        "resource": kind.plural,
        "responseKind": {"group": kind.group, "version": kind.version, "kind": kind.kind},
        "scope": "Namespaced" if kind.is_namespaced else "Cluster",
        "singularResource": kind.singular,
        "verbs": _verbs(kind),
    }
    if kind.short_names:
        entry["shortNames"] = list(kind.short_names)
    if kind.categories:
        entry["categories"] = list(kind.categories)
    if kind.subresources:
        entry["subresources"] = [_aggregated_subresource(kind, name) for name in kind.subresources]
    return entry


def _aggregated_subresource(kind: Kind, name: str) -> JsonObject:
    of_kind = {"group": kind.group, "version": kind.version, "kind": kind.kind}
    if name == "scale":
        of_kind = {"group": "autoscaling", "version": "v1", "kind": "Scale"}
    return {"subresource": name, "responseKind": of_kind, "verbs": list(_SUBRESOURCE_VERBS)}
