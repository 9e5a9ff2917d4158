"""What the server keeps whatever a client sends: its own metadata, and what lies behind another door. Pure."""

from touchstone_local.apiserver.core import objects
from touchstone_local.apiserver.core.kinds import Kind
from touchstone_local.apiserver.core.objects import JsonObject, Key


def set_new_metadata(obj: JsonObject, kind: Kind, key: Key, *, uid: str, time: str) -> None:
    """Give a new object the metadata that only the server sets, in place."""
    metadata = obj["metadata"]
    for field in ("selfLink", "resourceVersion", "deletionTimestamp", "deletionGracePeriodSeconds", "generation"):
        metadata.pop(field, None)
    metadata.pop("managedFields", None)
    metadata.pop("namespace", None)
    if kind.is_namespaced:
        metadata["namespace"] = key.namespace
    metadata["uid"] = uid
    metadata["creationTimestamp"] = time
    if kind.has_generation:
        metadata["generation"] = 1


def keep_metadata(obj: JsonObject, live: JsonObject) -> None:
    """Carry over the metadata that no client can change, in place."""
    metadata, current = obj["metadata"], live["metadata"]
    for field in (
        "name",
        "namespace",
        "uid",
        "resourceVersion",
        "generation",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "generateName",
        "selfLink",
    ):
        if field in current:
            metadata[field] = current[field]
        else:
            metadata.pop(field, None)


def restrict(obj: JsonObject, live: JsonObject, kind: Kind, subresource: str) -> JsonObject:
    """Return the object with only that changed which the request's door reaches."""
    if not kind.has_status:
        return obj
    if subresource == "status":
        restricted: JsonObject = objects.clone({key: value for key, value in live.items() if key != "status"})
        source = obj
    else:
        restricted, source = {key: value for key, value in obj.items() if key != "status"}, live
    if "status" in source:
        restricted["status"] = objects.clone(source["status"])
    return restricted


def has_new_intent(obj: JsonObject, live: JsonObject, kind: Kind) -> bool:
    """Whether anything but metadata and status differs, so that the generation counts on."""
    ignored = {"metadata", "status"} if kind.has_status else {"metadata"}
    return not objects.is_equal(
        {key: value for key, value in obj.items() if key not in ignored},
        {key: value for key, value in live.items() if key not in ignored},
    )
