"""Strategic merge patch, for built-in kinds only: lists merge by the key that the schema names. Pure.

Directives: `$patch: replace|delete|merge`, `$deleteFromPrimitiveList/FIELD`, `$setElementOrder/FIELD`, `$retainKeys`.
"""

from collections.abc import Sequence

from touchstone_local.apiserver import errors
from touchstone_local.apiserver.core import objects
from touchstone_local.apiserver.core.objects import JsonObject, JsonValue
from touchstone_local.apiserver.core.schema import Schema

_DIRECTIVE = "$patch"
_DELETE = "$deleteFromPrimitiveList/"
_ORDER = "$setElementOrder/"
_RETAIN = "$retainKeys"


def strategic_merge(live: JsonObject, patch: JsonObject, schema: Schema) -> JsonObject:
    """Return an object after a strategic merge patch.

    Raises:
        BadRequest: A directive cannot be read, or an entry lacks its merge key.
    """
    if patch.get(_DIRECTIVE) == "replace":
        replaced: JsonObject = _plain(patch)
        return replaced
    merged = dict(live)
    if _RETAIN in patch:
        merged = {key: value for key, value in merged.items() if key in patch[_RETAIN]}
    for key, entry in patch.items():
        if not key.startswith("$"):
            _merge_key(merged, key, entry, schema.child(key))
    for key, values in patch.items():
        if key.startswith(_DELETE):
            field = key.removeprefix(_DELETE)
            merged[field] = [value for value in merged.get(field) or [] if value not in values]
        elif key.startswith(_ORDER):
            field = key.removeprefix(_ORDER)
            merged[field] = _ordered(merged.get(field) or [], values, schema.child(field))
    return merged


def _merge_key(merged: JsonObject, key: str, entry: JsonValue, schema: Schema) -> None:
    current = merged.get(key)
    if entry is None or (isinstance(entry, dict) and entry.get(_DIRECTIVE) == "delete"):
        merged.pop(key, None)
    elif isinstance(entry, dict) and "replace" not in schema.merge_strategies:
        merged[key] = strategic_merge(current if isinstance(current, dict) else {}, entry, schema)
    elif isinstance(entry, list) and "merge" in schema.merge_strategies:
        merged[key] = _merge_list(current if isinstance(current, list) else [], entry, schema)
    else:
        merged[key] = _plain(entry)


def _merge_list(current: Sequence[JsonValue], patch: Sequence[JsonValue], schema: Schema) -> list[JsonValue]:
    if not schema.merge_key:
        return [*current, *(entry for entry in patch if entry not in current)]
    if any(isinstance(entry, dict) and entry.get(_DIRECTIVE) == "replace" for entry in patch):
        return [_plain(entry) for entry in patch if not (isinstance(entry, dict) and _DIRECTIVE in entry)]
    merged = list(current)
    for entry in patch:
        if not isinstance(entry, dict) or schema.merge_key not in entry:
            raise errors.BadRequest(f"map: {entry} does not contain declared merge key: {schema.merge_key}")
        identity = entry[schema.merge_key]
        places = [index for index, known in enumerate(merged) if known.get(schema.merge_key) == identity]
        if entry.get(_DIRECTIVE) == "delete":
            merged = [known for index, known in enumerate(merged) if index not in places]
        elif places:
            merged[places[0]] = strategic_merge(merged[places[0]], entry, schema.element)
        else:
            merged.append(strategic_merge({}, entry, schema.element))
    return merged


def _ordered(values: Sequence[JsonValue], order: Sequence[JsonValue], schema: Schema) -> list[JsonValue]:
    """Sort entries by a wanted order; those that it does not name keep their place after what stood before them."""

    def identity(entry: JsonValue) -> str:
        return objects.canonical(entry.get(schema.merge_key) if isinstance(entry, dict) else entry)

    wanted = {identity(entry): index for index, entry in enumerate(order)}
    ranks: list[tuple[int, int]] = []
    last = -1
    for position, entry in enumerate(values):
        last = wanted.get(identity(entry), last)
        ranks.append((last, position))
    by_rank = sorted(range(len(values)), key=lambda index: ranks[index])
    return [values[index] for index in by_rank]


def _plain(value: JsonValue) -> JsonValue:
    """Return a value without directives."""
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items() if not key.startswith("$")}
    if isinstance(value, list):
        return [_plain(entry) for entry in value]
    return value
