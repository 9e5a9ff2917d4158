"""Pruning and defaulting by a structural schema. Pure, but for the object given, which is changed in place."""

from touchstone_local.apiserver.core import objects
from touchstone_local.apiserver.core.faults import join
from touchstone_local.apiserver.core.objects import JsonObject, JsonValue
from touchstone_local.apiserver.core.schema import MISSING, Schema


def prune(value: JsonValue, schema: Schema, *, field: str = "") -> list[str]:
    """Remove what the schema does not declare and return the paths of what was removed."""
    unknown: list[str] = []
    _prune(value, schema, field, unknown)
    return unknown


def apply_defaults(value: JsonValue, schema: Schema) -> None:
    """Fill in declared defaults; a null that is not allowed counts as absent where there is a default."""
    if not schema.has_defaults:
        return
    if isinstance(value, dict):
        for key, child in schema.properties.items():
            _default_key(value, key, child)
        if schema.additional is not None and schema.additional.has_defaults:
            for key in [key for key in value if key not in schema.properties]:
                _default_key(value, key, schema.additional)
    elif isinstance(value, list) and schema.items is not None:
        for index, entry in enumerate(value):
            if entry is None and not schema.items.nullable and schema.items.default is not MISSING:
                value[index] = objects.clone(schema.items.default)
            apply_defaults(value[index], schema.items)


def drop_nulls(value: JsonValue, schema: Schema) -> None:
    """Remove the nulls of declared fields that cannot be null: in an object, null means absent."""
    if isinstance(value, dict):
        for key in [key for key, entry in value.items() if entry is None and _means_absent(key, schema)]:
            del value[key]
        for key, entry in value.items():
            drop_nulls(entry, schema.child(key))
    elif isinstance(value, list):
        for entry in value:
            drop_nulls(entry, schema.element)


def _means_absent(key: str, schema: Schema) -> bool:
    declared = schema.properties.get(key) or schema.additional
    return declared is not None and not declared.nullable


def _default_key(value: JsonObject, key: str, child: Schema) -> None:
    present = key in value and (value[key] is not None or child.nullable)
    if not present and child.default is not MISSING:
        value[key] = objects.clone(child.default)
    if child.has_defaults and key in value:
        apply_defaults(value[key], child)


def _prune(value: JsonValue, schema: Schema, field: str, unknown: list[str]) -> None:
    if isinstance(value, dict):
        for key in [key for key in value if not schema.knows(key) and not (schema.is_embedded and _is_type(key))]:
            del value[key]
            unknown.append(join(field, key))
        for key, entry in value.items():
            if isinstance(entry, dict | list) and not (schema.is_embedded and key == "metadata"):
                child = schema.child(key)
                if not child.preserves_unknown or child.properties or child.additional or child.items:
                    _prune(entry, child, join(field, key), unknown)
    elif isinstance(value, list) and schema.items is not None:
        for index, entry in enumerate(value):
            if isinstance(entry, dict | list):
                _prune(entry, schema.items, f"{field}[{index}]", unknown)


def _is_type(key: str) -> bool:
    return key in ("apiVersion", "kind", "metadata")
