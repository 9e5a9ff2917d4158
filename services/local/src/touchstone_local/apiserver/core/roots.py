"""The schema of a whole object: what a kind declares, with apiVersion, kind and metadata added. Pure."""

from touchstone_local.apiserver.core import metadata
from touchstone_local.apiserver.core.objects import JsonObject
from touchstone_local.apiserver.core.schema import Schema, compile_schema

_TYPE_FIELDS: JsonObject = {
    "apiVersion": {"type": "string", "description": "Group and version of the kind."},
    "kind": {"type": "string", "description": "The kind."},
}


def whole(declared: JsonObject) -> JsonObject:
    """Return the OpenAPI of an object whose kind declares the given schema."""
    properties = {**(declared.get("properties") or {}), **_TYPE_FIELDS, "metadata": metadata.METADATA_OPENAPI}
    return {**declared, "type": "object", "properties": properties}


def compile_whole(declared: JsonObject) -> Schema:
    """Compile the schema of an object whose kind declares the given one.

    Raises:
        re.error: A pattern cannot be read.
    """
    return compile_schema(whole(declared))
