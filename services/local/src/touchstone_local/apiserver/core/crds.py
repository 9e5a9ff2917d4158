"""CustomResourceDefinitions: the kinds that they declare, and the conditions that say so. Pure."""

from collections.abc import Iterable

from touchstone_local.apiserver.core import columns, objects, roots
from touchstone_local.apiserver.core.kinds import Kind, Scale
from touchstone_local.apiserver.core.objects import JsonObject

CLEANUP_FINALIZER = "customresourcecleanup.apiextensions.k8s.io"
STORAGE = "apiextensions.k8s.io/customresourcedefinitions"


def kinds_of(crd: JsonObject) -> list[Kind]:
    """Return a kind for each served version of a CRD whose spec was found valid."""
    return [_kind(crd["spec"], version) for version in crd["spec"]["versions"] if version.get("served")]


def is_established(crd: JsonObject) -> bool:
    """Whether the kinds of a CRD are served."""
    conditions = objects.at(crd, "status", "conditions") or []
    return any(entry.get("type") == "Established" and entry.get("status") == "True" for entry in conditions)


def complete_names(spec: JsonObject) -> None:
    """Fill in the names that have a default, in place."""
    names = spec.get("names")
    if isinstance(names, dict) and isinstance(names.get("kind"), str):
        names.setdefault("singular", names["kind"].lower())
        names.setdefault("listKind", f"{names['kind']}List")


def status_of(crd: JsonObject, others: Iterable[JsonObject], *, time: str) -> JsonObject:
    """Return the status of a CRD beside the others of its server."""
    taken = _taken_by(crd, others)
    known = objects.at(crd, "status", "conditions") or []
    accepted = ("False", "NameConflict", taken) if taken else ("True", "NoConflicts", "no conflicts found")
    established = (
        ("False", "NotAccepted", "not all names are accepted")
        if taken
        else ("True", "InitialNamesAccepted", "the initial names have been accepted")
    )
    storage = next(version["name"] for version in crd["spec"]["versions"] if version.get("storage"))
    stored = objects.at(crd, "status", "storedVersions") or []
    return {
        "conditions": [
            _condition("NamesAccepted", accepted, known, time),
            _condition("Established", established, known, time),
            *(entry for entry in known if entry.get("type") not in ("NamesAccepted", "Established")),
        ],
        "acceptedNames": {} if taken else crd["spec"]["names"],
        "storedVersions": stored if storage in stored else [*stored, storage],
    }


def terminating_condition(time: str) -> JsonObject:
    """Return the condition of a CRD that is being deleted."""
    facts = ("True", "InstanceDeletionInProgress", "CustomResource deletion is in progress")
    return _condition("Terminating", facts, [], time)


def scale_of(declared: JsonObject) -> Scale:
    """Return the paths of a scale subresource."""
    return Scale(
        spec_path=_plain_path(declared["specReplicasPath"]),
        status_path=_plain_path(declared["statusReplicasPath"]),
        selector_path=_plain_path(declared.get("labelSelectorPath") or ""),
    )


def _kind(spec: JsonObject, version: JsonObject) -> Kind:
    names, subresources = spec["names"], version.get("subresources") or {}
    storage = next(entry["name"] for entry in spec["versions"] if entry.get("storage"))
    declared = version["schema"]["openAPIV3Schema"]
    selectable = [entry["jsonPath"].lstrip(".") for entry in version.get("selectableFields") or []]
    return Kind(
        group=spec["group"],
        version=version["name"],
        kind=names["kind"],
        list_kind=names["listKind"],
        plural=names["plural"],
        singular=names["singular"],
        schema=roots.compile_whole(declared),
        short_names=tuple(names.get("shortNames") or ()),
        categories=tuple(names.get("categories") or ()),
        description=declared.get("description", ""),
        is_namespaced=spec["scope"] == "Namespaced",
        has_status="status" in subresources,
        has_generation=True,
        is_custom=True,
        scale=scale_of(subresources["scale"]) if subresources.get("scale") else None,
        columns=tuple(columns.from_json_path(entry) for entry in version.get("additionalPrinterColumns") or ()),
        selectable=tuple(selectable),
        stored_version=f"{spec['group']}/{storage}",
    )


def _plain_path(path: str) -> tuple[str, ...]:
    return tuple(filter(None, path.split(".")))


def _taken_by(crd: JsonObject, others: Iterable[JsonObject]) -> str:
    spec = crd["spec"]
    wanted = _names(spec)
    for other in others:
        if (
            objects.name(other) != objects.name(crd)
            and other["spec"]["group"] == spec["group"]
            and is_established(other)
        ):
            shared = sorted(wanted & _names(other["spec"]))
            if shared:
                return f'"{shared[0]}" is already in use'
    return ""


def _names(spec: JsonObject) -> set[str]:
    names = spec["names"]
    return {names["plural"], names["singular"], names["kind"], names["listKind"], *(names.get("shortNames") or ())}


def _condition(kind: str, facts: tuple[str, str, str], known: Iterable[JsonObject], time: str) -> JsonObject:
    status, reason, message = facts
    before = next((entry for entry in known if entry.get("type") == kind), {})
    since = before.get("lastTransitionTime", time) if before.get("status") == status else time
    return {"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": since}
