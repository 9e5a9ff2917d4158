"""Merging an applied configuration into a live object, and taking fields out again, by the schema. Pure."""

from collections.abc import Iterable, Mapping, Sequence

from touchstone_local.apiserver.core import fieldsets
from touchstone_local.apiserver.core.fieldsets import Path
from touchstone_local.apiserver.core.objects import JsonObject, JsonValue
from touchstone_local.apiserver.core.schema import Schema


def merge(live: JsonValue, applied: JsonValue, schema: Schema) -> JsonValue:
    """Return the live value with the applied one over it; neither is changed, parts of both are shared."""
    if isinstance(live, dict) and isinstance(applied, dict) and not schema.is_atomic_map:
        merged = dict(live)
        for key, entry in applied.items():
            merged[key] = merge(live[key], entry, schema.child(key)) if key in live else entry
        return merged
    if isinstance(live, list) and isinstance(applied, list) and schema.list_type in ("map", "set"):
        return _merge_lists(live, applied, schema)
    return applied


def remove(value: JsonValue, paths: Iterable[Path], schema: Schema) -> JsonValue:
    """Return a value without the given paths; a container that this empties goes too."""
    tree: dict[str, JsonObject] = {}
    for path in paths:
        node = tree
        for element in path:
            node = node.setdefault(element, {})
        node["."] = {}
    return _remove(value, tree, schema)


def _merge_lists(live: Sequence[JsonValue], applied: Sequence[JsonValue], schema: Schema) -> list[JsonValue]:
    old = {_element(entry, schema): entry for entry in live}
    new = {_element(entry, schema): entry for entry in applied}
    return [
        merge(old[key], new[key], schema.element) if key in old and key in new else new.get(key, old.get(key))
        for key in _interleave(list(old), list(new))
    ]


def _interleave(old: Sequence[str], new: Sequence[str]) -> list[str]:
    """Order keys as the applied list does, with those only in the live list where they stood relative to it."""
    order: list[str] = []
    position = 0
    places = {key: index for index, key in enumerate(old)}
    known = set(new)
    for key in new:
        place = places.get(key, -1)
        shared = (index for index in range(position, len(old)) if old[index] in known)
        stop = place if place >= position else next(shared, len(old))
        order.extend(kept for kept in old[position:stop] if kept not in known)
        position = stop + 1 if place == stop else stop
        order.append(key)
    order.extend(kept for kept in old[position:] if kept not in known)
    return order


def _element(entry: JsonValue, schema: Schema) -> str:
    if schema.list_type == "map" and isinstance(entry, dict):
        return fieldsets.entry_key(entry, schema)
    return fieldsets.member_key(entry)


def _remove(value: JsonValue, tree: Mapping[str, JsonObject], schema: Schema) -> JsonValue:
    if isinstance(value, dict):
        kept: JsonObject = {}
        for key, entry in value.items():
            below = tree.get(f"f:{key}")
            left = entry if below is None else _left(entry, below, schema.child(key))
            if left is not None or (below is None and entry is None):
                kept[key] = left
        return kept
    if isinstance(value, list):
        pairs = [(entry, tree.get(_element(entry, schema))) for entry in value]
        lefts = [entry if below is None else _left(entry, below, schema.element) for entry, below in pairs]
        return [entry for entry in lefts if entry is not None]
    return value


def _left(entry: JsonValue, below: Mapping[str, JsonObject], schema: Schema) -> JsonValue:
    """Return what is left of an entry; None where nothing is."""
    if "." in below:
        return None
    left = _remove(entry, below, schema)
    return left if left or not isinstance(left, dict | list) else None
