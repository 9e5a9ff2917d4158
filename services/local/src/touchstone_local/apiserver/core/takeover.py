"""What lets `kubectl apply --server-side` follow `kubectl apply`: the configuration that the latter wrote down. Pure.

Client-side apply keeps its last configuration in an annotation. A server-side apply by kubectl may change a field that
still has the value of that configuration, whoever owns it: it is the same person's. The annotation follows, so that a
later client-side apply does not bring old values back.
"""

import json

from touchstone_local.apiserver.core import objects, ownership
from touchstone_local.apiserver.core.fieldsets import FieldSet
from touchstone_local.apiserver.core.objects import JsonObject
from touchstone_local.apiserver.core.schema import Schema

MANAGER = "kubectl"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def forgiven(live: JsonObject, schema: Schema, *, has_status: bool) -> FieldSet:
    """Return the paths that kubectl may take: those that are as the last client-side apply left them."""
    try:
        last = json.loads(_annotation(live) or "{}")
    except ValueError:
        return frozenset()
    if not isinstance(last, dict):
        return frozenset()
    before = ownership.owned(last, schema, subresource="", has_status=has_status)
    now = ownership.owned(live, schema, subresource="", has_status=has_status)
    return frozenset(path for path, value in before.items() if path in now and objects.is_equal(value, now[path]))


def remember(obj: JsonObject, config: JsonObject) -> None:
    """Write the configuration into the annotation of an object that has one."""
    if _annotation(obj) is None:
        return
    last = objects.clone(config)
    annotations = objects.meta(last).get("annotations")
    if annotations:
        annotations.pop(LAST_APPLIED, None)
    objects.meta(obj)["annotations"][LAST_APPLIED] = objects.canonical(last) + "\n"


def _annotation(obj: JsonObject) -> str | None:
    found = objects.at(obj, "metadata", "annotations", LAST_APPLIED)
    return found if isinstance(found, str) else None
