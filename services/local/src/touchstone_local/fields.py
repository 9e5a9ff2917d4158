"""Reading Kubernetes objects, which are loosely typed, without losing the types. Pure.

A missing or wrongly typed field reads as empty: what an object must hold is the API server's business.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

Object = Mapping[str, object]
"""A Kubernetes object, or a part of one, as decoded JSON."""


def at(value: object, *path: str) -> object:
    """Return what lies at a path of keys, or None."""
    for key in path:
        if not isinstance(value, Mapping):
            return None
        value = value.get(key)
    return value


def mapping(value: object, *path: str) -> Object:
    """Return the mapping at a path, or an empty one."""
    found = at(value, *path)
    return found if isinstance(found, Mapping) else {}


def items(value: object, *path: str) -> tuple[Object, ...]:
    """Return the mappings of the list at a path."""
    return tuple(entry for entry in sequence(value, *path) if isinstance(entry, Mapping))


def sequence(value: object, *path: str) -> Sequence[object]:
    """Return the list at a path, or an empty one."""
    found = at(value, *path)
    return found if isinstance(found, Sequence) and not isinstance(found, str | bytes) else ()


def text(value: object, *path: str, default: str = "") -> str:
    """Return the scalar at a path as text, or the default."""
    found = at(value, *path)
    if isinstance(found, bool):
        return "true" if found else "false"
    return str(found) if isinstance(found, str | int | float) else default


def integer(value: object, *path: str, default: int = 0) -> int:
    """Return the whole number at a path, or the default."""
    found = at(value, *path)
    return found if isinstance(found, int) and not isinstance(found, bool) else default


def flag(value: object, *path: str, default: bool = False) -> bool:
    """Return the boolean at a path, or the default."""
    found = at(value, *path)
    return found if isinstance(found, bool) else default


def texts(value: object, *path: str) -> dict[str, str]:
    """Return the mapping at a path as names and texts."""
    return {str(key): text(entry) for key, entry in mapping(value, *path).items()}


def time(value: object, *path: str) -> datetime | None:
    """Return the RFC 3339 time at a path, or None."""
    found = at(value, *path)
    if not isinstance(found, str):
        return None
    try:
        parsed = datetime.fromisoformat(found)
    except ValueError:
        return None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


def timestamp(moment: datetime) -> str:
    """Return a time as Kubernetes writes it, to the second."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def name(obj: Object) -> str:
    """Return an object's name."""
    return text(obj, "metadata", "name")


def namespace(obj: Object) -> str:
    """Return an object's namespace; empty for one that has none."""
    return text(obj, "metadata", "namespace")


def uid(obj: Object) -> str:
    """Return an object's uid."""
    return text(obj, "metadata", "uid")


def key(obj: Object) -> str:
    """Return `NAMESPACE/NAME`."""
    return f"{namespace(obj)}/{name(obj)}"


def is_terminating(obj: Object) -> bool:
    """Whether the object has been asked to go."""
    return bool(text(obj, "metadata", "deletionTimestamp"))


def controller_uid(obj: Object) -> str:
    """Return the uid of the owner that controls the object; empty if none does."""
    owners = items(obj, "metadata", "ownerReferences")
    return next((text(owner, "uid") for owner in owners if flag(owner, "controller")), "")


def condition(obj: Object, kind: str) -> Object:
    """Return the condition of a type, or an empty mapping."""
    return next((entry for entry in items(obj, "status", "conditions") if text(entry, "type") == kind), {})
