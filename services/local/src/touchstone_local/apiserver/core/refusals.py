"""Reasons to refuse a write before its content is looked at. Pure."""

from touchstone_local.apiserver import errors
from touchstone_local.apiserver.core import faults, objects
from touchstone_local.apiserver.core.kinds import Kind
from touchstone_local.apiserver.core.objects import JsonObject, Key


def not_found(kind: Kind, name: str) -> errors.NotFound:
    """Return the error for an object that does not exist."""
    return errors.NotFound(f'{kind.qualified_plural} "{name}" not found', details=details(kind, name))


def conflict(kind: Kind, name: str, why: str) -> errors.Conflict:
    """Return the error for a write that came too late."""
    message = f'Operation cannot be fulfilled on {kind.qualified_plural} "{name}": {why}'
    return errors.Conflict(message, details=details(kind, name))


def namespace_terminating(kind: Kind, key: Key) -> errors.Forbidden:
    """Return the error for a new object in a namespace that is going."""
    why = f"namespace {key.namespace} is being terminated"
    return errors.Forbidden(
        f'{kind.qualified_plural} "{key.name}" is forbidden: '
        f"unable to create new content in namespace {key.namespace} because it is being terminated",
        details=details(kind, key.name),
        causes=[errors.Cause("NamespaceTerminating", why, "metadata.namespace")],
    )


def check_type(obj: JsonObject, kind: Kind, *, is_strict: bool = False) -> None:
    """Refuse an object that says it is of another kind; fill in what it does not say, unless strict.

    Raises:
        BadRequest: It is of another version, or does not say its kind.
        Invalid: It is of another kind than the resource, of a custom resource.
    """
    if not is_strict and not kind.is_custom:
        obj.setdefault("apiVersion", kind.api_version)
        obj.setdefault("kind", kind.kind)
    if obj.get("apiVersion") != kind.api_version:
        raise errors.BadRequest(
            f"the API version in the data ({obj.get('apiVersion')}) does not match the expected API version "
            f"({kind.api_version})"
        )
    said = obj.get("kind")
    if said and said != kind.kind and kind.is_custom and not is_strict:
        fault = faults.invalid("kind", said, f"must be {kind.kind}")
        faults.raise_if_any([fault], kind=str(said), group=kind.group, name=objects.name(obj))
    if said != kind.kind:
        raise errors.BadRequest(f"the object provided is unrecognized: it must be of type {kind.kind}, not {said}")


def check_place(obj: JsonObject, kind: Kind, key: Key) -> None:
    """Refuse an object whose name or namespace is not that of the request.

    Raises:
        BadRequest: It says another one.
    """
    metadata = obj["metadata"]
    if metadata.get("name") and metadata["name"] != key.name:
        raise errors.BadRequest(
            f"the name of the object ({metadata['name']}) does not match the name on the URL ({key.name})"
        )
    if kind.is_namespaced and metadata.get("namespace") and metadata["namespace"] != key.namespace:
        raise errors.BadRequest(
            f"the namespace of the provided object does not match the namespace sent on the request "
            f"({metadata['namespace']} and {key.namespace})"
        )


def check_version(obj: JsonObject, live: JsonObject, kind: Kind) -> None:
    """Refuse a change of another incarnation, or of another version than the live one.

    Raises:
        Conflict: It is one.
    """
    metadata, current = obj["metadata"], live["metadata"]
    uid, version = metadata.get("uid"), metadata.get("resourceVersion")
    if uid and uid != current["uid"]:
        why = f"Precondition failed: UID in precondition: {uid}, UID in object meta: {current['uid']}"
        raise conflict(kind, current["name"], why)
    if version and version != current["resourceVersion"]:
        why = "the object has been modified; please apply your changes to the latest version and try again"
        raise conflict(kind, current["name"], why)


def check_finalizers(obj: JsonObject, live: JsonObject, kind: Kind) -> None:
    """Refuse new finalizers of an object that is going.

    Raises:
        Invalid: There are some.
    """
    if not objects.is_terminating(live):
        return
    added = sorted(set(objects.finalizers(obj)) - set(objects.finalizers(live)))
    if added:
        detail = f"no new finalizers can be added if the object is being deleted, found new finalizers {added}"
        fault = faults.forbidden("metadata.finalizers", detail)
        faults.raise_if_any([fault], kind=kind.kind, group=kind.group, name=objects.name(live))


def details(kind: Kind, name: str) -> dict[str, str | int]:
    """Return the details of a Status that speaks of one object."""
    group = {"group": kind.group} if kind.group else {}
    return {"name": name, **group, "kind": kind.plural}
