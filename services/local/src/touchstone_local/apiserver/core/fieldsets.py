"""Sets of field paths, as server-side apply keeps them in managedFields. Pure.

A path is a tuple of elements in the notation of fieldsV1: `f:NAME`, `k:{KEYS}` for an entry of a list map, `v:VALUE`
for a member of a set. The rules are those of KEP-555 and structured-merge-diff: scalars, atomic lists, atomic maps and
empty containers are leaves; entries of list maps and of free-form maps are members themselves.
"""

import functools
import json
from collections.abc import Iterable
from typing import Final

from touchstone_local.apiserver.core import objects
from touchstone_local.apiserver.core.objects import JsonObject, JsonValue
from touchstone_local.apiserver.core.schema import MISSING, Schema

Path = tuple[str, ...]
FieldSet = frozenset[Path]
EMPTY: Final[FieldSet] = frozenset()


class _Item:
    """The type of ITEM."""


ITEM: Final = _Item()
"""The value of a path that stands for an entry as such; what lies below has paths of its own."""


def leaves(value: JsonValue, schema: Schema) -> dict[Path, JsonValue]:
    """Return every owned path of a value with what lies there."""
    found: dict[Path, JsonValue] = {}
    _walk(value, schema, (), found)
    return found


def entry_key(entry: JsonObject, schema: Schema) -> str:
    """Return the element of an entry of a list map; a missing key counts as its default."""
    keys: JsonObject = {}
    for name in schema.list_keys:
        value = entry.get(name)
        if value is None:
            default = schema.element.child(name).default
            value = None if default is MISSING else default
        if value is not None:
            keys[name] = value
    return f"k:{objects.canonical(keys)}"


def member_key(value: JsonValue) -> str:
    """Return the element of a member of a set."""
    return f"v:{objects.canonical(value)}"


def encode(paths: Iterable[Path]) -> JsonObject:
    """Return a set as fieldsV1."""
    root: JsonObject = {}
    for path in sorted(paths):
        node = root
        for element in path:
            node = node.setdefault(element, {})
        node["."] = {}
    return _without_lone_dots(root)


def decode(encoded: JsonObject) -> FieldSet:
    """Return the set of a fieldsV1."""
    return _decode_text(objects.canonical(encoded))


def show(path: Path) -> str:
    """Return a path as conflict messages write it: `.spec.ports[containerPort=80].name`."""
    shown = ""
    for element in path:
        kind, _, rest = element.partition(":")
        if kind == "f":
            shown += f".{rest}"
        elif kind == "k":
            pairs = json.loads(rest).items()
            shown += "[" + ",".join(f"{key}={json.dumps(value)}" for key, value in pairs) + "]"
        else:
            shown += f"[={rest}]" if kind == "v" else f"[{rest}]"
    return shown


def _walk(value: JsonValue, schema: Schema, path: Path, found: dict[Path, JsonValue]) -> None:
    if isinstance(value, dict) and value and not schema.is_atomic_map:
        for key, entry in value.items():
            below = (*path, f"f:{key}")
            if key not in schema.properties:
                found[below] = ITEM
            _walk(entry, schema.child(key), below, found)
    elif isinstance(value, list) and value and schema.list_type == "map":
        for entry in value:
            below = (*path, entry_key(entry, schema) if isinstance(entry, dict) else member_key(entry))
            found[below] = ITEM
            if entry:
                _walk(entry, schema.element, below, found)
    elif isinstance(value, list) and value and schema.list_type == "set":
        for entry in value:
            found[(*path, member_key(entry))] = entry
    else:
        found[path] = value


def _without_lone_dots(node: JsonObject) -> JsonObject:
    return {
        element: _without_lone_dots(below) if set(below) != {"."} else {} for element, below in sorted(node.items())
    }


@functools.lru_cache(maxsize=2048)
def _decode_text(text: str) -> FieldSet:
    found: set[Path] = set()
    _collect(json.loads(text), (), found)
    return frozenset(found)


def _collect(node: JsonObject, path: Path, found: set[Path]) -> None:
    for element, below in node.items():
        if element == ".":
            found.add(path)
        elif below:
            _collect(below, (*path, element), found)
        else:
            found.add((*path, element))
