"""Kinds: what a server must know of one to store, validate, print and document it. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from touchstone_local.apiserver.core import metadata, objects
from touchstone_local.apiserver.core.metadata import NameRule
from touchstone_local.apiserver.core.objects import JsonObject, JsonValue, Key
from touchstone_local.apiserver.core.schema import Schema
from touchstone_local.apiserver.core.selectors import Selectable

BACKGROUND = "Background"
FOREGROUND = "Foreground"
ORPHAN = "Orphan"


class Column(NamedTuple):
    """One column of a table of objects."""

    name: str
    type: str
    description: str
    read: Callable[[JsonObject, datetime], JsonValue]
    """Returns the cell of an object, given what time it is."""
    format: str = ""
    priority: int = 0
    """Above 0: shown by `-o wide` only."""


class Scale(NamedTuple):
    """Where the scale subresource finds its numbers."""

    spec_path: tuple[str, ...]
    status_path: tuple[str, ...]
    selector_path: tuple[str, ...]
    """Empty if there is none."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Kind:
    """A kind in one version."""

    group: str
    version: str
    kind: str
    plural: str
    singular: str
    schema: Schema
    list_kind: str = ""
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    description: str = ""
    is_namespaced: bool = True
    has_status: bool = False
    has_generation: bool = False
    is_custom: bool = False
    is_review: bool = False
    """Answered at once and never stored."""
    is_graceful: bool = False
    """A deletion waits for what runs (Pods on a node)."""
    deletion_default: str = BACKGROUND
    scale: Scale | None = None
    columns: tuple[Column, ...] = ()
    selectable: tuple[str, ...] = ()
    """Paths in the stored shape that field selectors may name, beside metadata.name and metadata.namespace."""
    name_rule: NameRule = metadata.subdomain
    stored_as: str = ""
    """The storage of another kind of which this is a view."""
    stored_version: str = ""
    """The apiVersion in which objects are stored; default: this one."""
    renames: Mapping[str, str] = field(default_factory=dict)
    """Top-level fields by their stored name, with the name that this version gives them."""

    @property
    def api_version(self) -> str:
        """`GROUP/VERSION`, or `VERSION` in the core group."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def qualified_plural(self) -> str:
        """`PLURAL.GROUP`, or `PLURAL` in the core group."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def storage(self) -> str:
        """The name of the kind's place in the store."""
        return self.stored_as or f"{self.group}/{self.plural}"

    @property
    def is_view(self) -> bool:
        """Whether objects are stored in another shape than this version's."""
        return bool(self.renames) or self.stored_version not in ("", self.api_version)

    @property
    def subresources(self) -> tuple[str, ...]:
        """The names of the subresources."""
        return (*(("status",) if self.has_status else ()), *(("scale",) if self.scale else ()))

    def key(self, namespace: str, name: str) -> Key:
        """Return where an object of this kind is stored."""
        return Key(self.storage, namespace if self.is_namespaced else "", name)

    @property
    def field_names(self) -> dict[str, str]:
        """What field selectors of this version may name, with the path in the stored shape."""
        names = {"metadata.name": "metadata.name", "metadata.namespace": "metadata.namespace"}
        for path in self.selectable:
            head, dot, rest = path.partition(".")
            names[f"{self.renames.get(head, head)}{dot}{rest}"] = path
        return names

    def selectable_of(self, stored: JsonObject) -> Selectable:
        """Return what selectors see of an object in its stored shape."""
        fields = {path: _text(objects.at(stored, *path.split("."))) for path in self.selectable}
        fields["metadata.name"] = objects.name(stored)
        fields["metadata.namespace"] = objects.namespace(stored)
        return Selectable(objects.labels(stored), fields)

    def served(self, stored: JsonObject) -> JsonObject:
        """Return a stored object in this version's shape; the stored one is not changed."""
        if not self.is_view:
            return stored
        renamed = {self.renames.get(key, key): value for key, value in stored.items()}
        return {**renamed, "apiVersion": self.api_version, "kind": self.kind}

    def to_stored(self, obj: JsonObject) -> JsonObject:
        """Return an object of this version in the stored shape."""
        if not self.is_view:
            return obj
        back = {served: stored for stored, served in self.renames.items()}
        renamed = {back.get(key, key): value for key, value in obj.items()}
        return {**renamed, "apiVersion": self.stored_version or self.api_version}


def _text(value: JsonValue) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None or isinstance(value, dict | list) else str(value)
