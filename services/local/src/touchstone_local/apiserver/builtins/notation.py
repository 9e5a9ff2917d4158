"""Reads the notation of schemas.yaml into OpenAPI. Pure."""

import re
from collections.abc import Mapping

import yaml

from touchstone_local.apiserver.core import objects
from touchstone_local.apiserver.core.objects import JsonObject, JsonValue

_SCALARS: Mapping[str, JsonObject] = {
    "string": {"type": "string"},
    "integer": {"type": "integer", "format": "int64"},
    "boolean": {"type": "boolean"},
    "time": {"type": "string", "format": "date-time", "nullable": True},
    "microtime": {"type": "string", "format": "date-time", "nullable": True},
    "int-or-string": {"x-kubernetes-int-or-string": True},
    "any": {"x-kubernetes-preserve-unknown-fields": True},
    "texts": {"type": "object", "additionalProperties": {"type": "string"}},
    "atomic-texts": {
        "type": "object",
        "additionalProperties": {"type": "string"},
        "x-kubernetes-map-type": "atomic",
    },
}
_FIELD = re.compile(r"(?P<type>[\w-]+)(?P<required>!)?(?:\s*=\s*(?P<default>.+))?")


class Types:
    """The named types of a document, as OpenAPI."""

    def __init__(self, document: Mapping[str, JsonValue]) -> None:
        self._document = document

    def structure(
        self, fields: Mapping[str, JsonValue], *, is_open: bool = False, is_atomic: bool = False
    ) -> JsonObject:
        """Return an object type with the given fields."""
        schema: JsonObject = {"type": "object", "properties": {name: self.field(text) for name, text in fields.items()}}
        needed = [name for name, text in fields.items() if isinstance(text, str) and "!" in text.split("=")[0]]
        if needed:
            schema["required"] = needed
        if is_open:
            schema["x-kubernetes-preserve-unknown-fields"] = True
        if is_atomic:
            schema["x-kubernetes-map-type"] = "atomic"
        return schema

    def field(self, notation: JsonValue) -> JsonObject:
        """Return the schema of one field.

        Raises:
            ValueError: The notation cannot be read.
        """
        if isinstance(notation, list):
            return {"type": "array", "items": self.field(notation[0])}
        if isinstance(notation, dict):
            return self._list(notation)
        found = _FIELD.fullmatch(notation)
        if found is None:
            raise ValueError(f"'{notation}' is not a field; see the notation in schemas.yaml.")
        schema = self._named(found["type"])
        if found["default"] is not None:
            schema["default"] = _default(found["default"], schema)
        return schema

    def _named(self, name: str) -> JsonObject:
        if name in _SCALARS:
            return dict(objects.clone(_SCALARS[name]))
        declared = self._document[name]
        if isinstance(declared.get("fields"), dict):
            return self.structure(
                declared["fields"], is_open=bool(declared.get("open")), is_atomic=bool(declared.get("atomic"))
            )
        return self.structure(declared)

    def _list(self, notation: JsonObject) -> JsonObject:
        schema: JsonObject = {"type": "array", "items": self.field(notation["list"])}
        if "keys" in notation:
            schema["x-kubernetes-list-type"] = "map"
            schema["x-kubernetes-list-map-keys"] = notation["keys"]
        if notation.get("set"):
            schema["x-kubernetes-list-type"] = "set"
        if "merge" in notation:
            schema["x-kubernetes-patch-strategy"] = "merge"
            if notation["merge"]:
                schema["x-kubernetes-patch-merge-key"] = notation["merge"]
        return schema


def _default(text: str, schema: JsonObject) -> JsonValue:
    return text if schema.get("type") == "string" else yaml.safe_load(text)
