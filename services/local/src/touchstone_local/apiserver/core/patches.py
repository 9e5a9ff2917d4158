"""JSON patch (RFC 6902) and JSON merge patch (RFC 7396). Pure."""

import jsonpatch

from touchstone_local.apiserver import errors
from touchstone_local.apiserver.core import objects
from touchstone_local.apiserver.core.objects import JsonObject, JsonValue


def json_patch(live: JsonObject, operations: JsonValue) -> JsonValue:
    """Return the object after a list of operations.

    Raises:
        BadRequest: It is not a list of operations.
        Invalid: An operation cannot be done, or a test fails.
    """
    if not isinstance(operations, list):
        raise errors.BadRequest("json: cannot unmarshal object into Go value of type jsonpatch.Patch")
    try:
        return jsonpatch.JsonPatch(operations).apply(objects.clone(live))
    except jsonpatch.InvalidJsonPatch as error:
        raise errors.BadRequest(f"The patch is not a JSON patch: {error}") from error
    except (jsonpatch.JsonPatchException, jsonpatch.JsonPointerException) as error:
        message = f"the server rejected our request due to an error in our request: {error}"
        raise errors.Invalid(message) from error


def merge_patch(live: JsonValue, patch: JsonValue) -> JsonValue:
    """Return the value after a merge patch: null removes, objects merge, everything else replaces."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(live) if isinstance(live, dict) else {}
    for key, entry in patch.items():
        if entry is None:
            merged.pop(key, None)
        else:
            merged[key] = merge_patch(merged.get(key), entry)
    return merged
