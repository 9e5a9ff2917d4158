"""The scale subresource: one number of an object as autoscaling/v1 Scale. Pure."""

from touchstone_local.apiserver import errors
from touchstone_local.apiserver.core import objects
from touchstone_local.apiserver.core.kinds import Scale
from touchstone_local.apiserver.core.objects import JsonObject, JsonValue


def read(obj: JsonObject, paths: Scale) -> JsonObject:
    """Return the Scale of an object."""
    metadata = obj["metadata"]
    kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    status: JsonObject = {"replicas": objects.at(obj, *paths.status_path) or 0}
    selector = _selector_text(objects.at(obj, *paths.selector_path)) if paths.selector_path else ""
    if selector:
        status["selector"] = selector
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {key: metadata[key] for key in kept if key in metadata},
        "spec": {"replicas": objects.at(obj, *paths.spec_path) or 0},
        "status": status,
    }


def write(obj: JsonObject, scale: JsonObject, paths: Scale) -> JsonObject:
    """Return an object with the number of a Scale; the one given is not changed.

    Raises:
        BadRequest: The Scale holds no number.
    """
    replicas = objects.at(scale, "spec", "replicas") or 0
    if not isinstance(replicas, int) or isinstance(replicas, bool) or replicas < 0:
        raise errors.BadRequest("spec.replicas of a Scale must be a number of at least 0")
    changed: JsonObject = objects.clone(obj)
    node = changed
    for key in paths.spec_path[:-1]:
        node = node.setdefault(key, {})
    node[paths.spec_path[-1]] = replicas
    version = objects.at(scale, "metadata", "resourceVersion")
    if version:
        changed["metadata"]["resourceVersion"] = version
    return changed


def _selector_text(selector: JsonValue) -> str:
    if isinstance(selector, str):
        return selector
    labels = objects.at(selector, "matchLabels") or {}
    return ",".join(f"{key}={value}" for key, value in sorted(labels.items()))
