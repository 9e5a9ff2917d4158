"""Kubernetes objects as decoded JSON. Pure.

An object is arbitrary JSON by nature, so its values are `Any` here, once, and checked by schemas rather than by types.
"""

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, NamedTuple

JsonValue = Any
"""Any decoded JSON value."""
JsonObject = dict[str, Any]
"""A decoded JSON object."""

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), check_circular=False).encode
_encode_sorted = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode


class Key(NamedTuple):
    """Where an object is stored."""

    storage: str
    """`GROUP/PLURAL`."""
    namespace: str
    """Empty for a kind without namespaces."""
    name: str


class Owner(NamedTuple):
    """An owner that an object names."""

    uid: str
    api_version: str
    kind: str
    name: str
    blocks_deletion: bool


def encode(value: JsonValue) -> bytes:
    """Return a value as compact JSON."""
    return _encode(value).encode()


def canonical(value: JsonValue) -> str:
    """Return a value as compact JSON with sorted keys."""
    return _encode_sorted(value)


def clone(value: JsonValue) -> JsonValue:
    """Return a deep copy of a JSON value; faster than copy.deepcopy, which looks for cycles."""
    if isinstance(value, dict):
        return {key: clone(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [clone(entry) for entry in value]
    return value


def is_equal(left: JsonValue, right: JsonValue) -> bool:
    """Whether two JSON values are the same; unlike `==`, true is not 1."""
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(is_equal(entry, right[key]) for key, entry in left.items())
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(is_equal, left, right))
    return isinstance(left, bool) == isinstance(right, bool) and bool(left == right)


def at(value: JsonValue, *path: str) -> JsonValue:
    """Return what lies at a path of keys, or None."""
    for key in path:
        if not isinstance(value, dict):
            return None
        value = value.get(key)
    return value


def meta(obj: JsonObject) -> JsonObject:
    """Return the metadata of an object; an empty mapping is put in place where there is none."""
    found = obj.get("metadata")
    if not isinstance(found, dict):
        found = obj["metadata"] = {}
    return found


def name(obj: JsonObject) -> str:
    """Return the name of an object, or an empty text."""
    return at(obj, "metadata", "name") or ""


def namespace(obj: JsonObject) -> str:
    """Return the namespace of an object, or an empty text."""
    return at(obj, "metadata", "namespace") or ""


def uid(obj: JsonObject) -> str:
    """Return the uid of an object, or an empty text."""
    return at(obj, "metadata", "uid") or ""


def labels(obj: JsonObject) -> dict[str, str]:
    """Return the labels of an object."""
    return at(obj, "metadata", "labels") or {}


def finalizers(obj: JsonObject) -> list[str]:
    """Return the finalizers of an object."""
    return at(obj, "metadata", "finalizers") or []


def is_terminating(obj: JsonObject) -> bool:
    """Whether an object has been asked to go."""
    return bool(at(obj, "metadata", "deletionTimestamp"))


def owners(obj: JsonObject) -> list[Owner]:
    """Return the owners that an object names."""
    references: Iterable[JsonObject] = at(obj, "metadata", "ownerReferences") or []
    return [
        Owner(
            uid=reference.get("uid", ""),
            api_version=reference.get("apiVersion", ""),
            kind=reference.get("kind", ""),
            name=reference.get("name", ""),
            blocks_deletion=bool(reference.get("blockOwnerDeletion")),
        )
        for reference in references
    ]


def timestamp(moment: datetime) -> str:
    """Return a time as Kubernetes writes it, to the second."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_time(text: JsonValue) -> datetime | None:
    """Return an RFC 3339 time, or None for what is not one."""
    if not isinstance(text, str) or len(text) < len("2000-01-01T00:00:00Z"):
        return None
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        return None
    return parsed if parsed.tzinfo else None
