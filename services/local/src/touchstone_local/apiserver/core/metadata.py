"""The rules of names, labels, annotations, finalizers and owner references. Pure."""

import re
from collections.abc import Callable, Iterator

from touchstone_local.apiserver.core import faults
from touchstone_local.apiserver.core.faults import Fault, join
from touchstone_local.apiserver.core.objects import JsonObject, JsonValue
from touchstone_local.apiserver.core.schema import Schema, compile_schema

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_QUALIFIED = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")
_LABEL_RULE = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end "
    "with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
_SUBDOMAIN_RULE = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start "
    "and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
_QUALIFIED_RULE = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
    "character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)
_VALUE_RULE = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
    "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)
ANNOTATIONS_LIMIT_BYTES = 256 * 1024

_TEXT: JsonObject = {"type": "string"}
_TEXTS: JsonObject = {"type": "object", "additionalProperties": _TEXT}
METADATA_OPENAPI: JsonObject = {
    "type": "object",
    "description": "Standard object metadata: name, namespace, labels, annotations and what the server keeps.",
    "properties": {
        "name": _TEXT,
        "generateName": _TEXT,
        "namespace": _TEXT,
        "selfLink": _TEXT,
        "uid": _TEXT,
        "resourceVersion": _TEXT,
        "generation": {"type": "integer", "format": "int64"},
        "creationTimestamp": {"type": "string", "format": "date-time", "nullable": True},
        "deletionTimestamp": {"type": "string", "format": "date-time", "nullable": True},
        "deletionGracePeriodSeconds": {"type": "integer", "format": "int64"},
        "labels": _TEXTS,
        "annotations": _TEXTS,
        "finalizers": {
            "type": "array",
            "items": _TEXT,
            "x-kubernetes-list-type": "set",
            "x-kubernetes-patch-strategy": "merge",
        },
        "ownerReferences": {
            "type": "array",
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["uid"],
            "x-kubernetes-patch-strategy": "merge",
            "x-kubernetes-patch-merge-key": "uid",
            "items": {
                "type": "object",
                "properties": {
                    "apiVersion": _TEXT,
                    "kind": _TEXT,
                    "name": _TEXT,
                    "uid": _TEXT,
                    "controller": {"type": "boolean"},
                    "blockOwnerDeletion": {"type": "boolean"},
                },
                "required": ["apiVersion", "kind", "name", "uid"],
            },
        },
        "managedFields": {"type": "array", "items": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
    },
}
METADATA: Schema = compile_schema(METADATA_OPENAPI)

NameRule = Callable[[str], str]
"""Returns why a name is not allowed; empty if it is."""


def subdomain(name: str) -> str:
    """The rule of most kinds: a DNS subdomain of at most 253 characters."""
    if len(name) > 253:
        return "must be no more than 253 characters"
    return "" if _SUBDOMAIN.fullmatch(name) else _SUBDOMAIN_RULE


def label(name: str) -> str:
    """The rule of namespaces and services: one DNS label of at most 63 characters."""
    if len(name) > 63:
        return "must be no more than 63 characters"
    return "" if _LABEL.fullmatch(name) else _LABEL_RULE


def qualified(name: str) -> str:
    """The rule of the keys of labels and annotations: an optional DNS subdomain, a slash, a short name."""
    prefix, slash, short = name.rpartition("/")
    if slash and (not prefix or "/" in prefix or subdomain(prefix)):
        return f"prefix part {_SUBDOMAIN_RULE}"
    if not short:
        return "name part must be non-empty"
    if len(short) > 63:
        return "name part must be no more than 63 characters"
    return "" if _QUALIFIED.fullmatch(short) else _QUALIFIED_RULE


def label_value(value: str) -> str:
    """The rule of the values of labels."""
    if len(value) > 63:
        return "must be no more than 63 characters"
    return "" if not value or _QUALIFIED.fullmatch(value) else _VALUE_RULE


def validate(metadata: JsonObject, *, name_rule: NameRule) -> Iterator[Fault]:
    """Yield every fault of an object's metadata, whose types the schema has checked already."""
    name = metadata.get("name") or ""
    if not name:
        yield faults.required("metadata.name", "name or generateName is required")
    elif why := name_rule(name):
        yield faults.invalid("metadata.name", name, why)
    yield from validate_labels(metadata.get("labels") or {}, field="metadata.labels")
    yield from _annotations(metadata.get("annotations") or {})
    for index, finalizer in enumerate(metadata.get("finalizers") or []):
        if why := qualified(finalizer):
            yield faults.invalid(f"metadata.finalizers[{index}]", finalizer, why)
    yield from _owners(metadata.get("ownerReferences") or [])


def validate_labels(labels: JsonObject, *, field: str) -> Iterator[Fault]:
    """Yield every fault of a map of labels."""
    for key, value in labels.items():
        if why := qualified(key):
            yield faults.invalid(field, key, why)
        if isinstance(value, str) and (why := label_value(value)):
            yield faults.invalid(field, value, why)


def _annotations(annotations: JsonObject) -> Iterator[Fault]:
    for key in annotations:
        if why := qualified(key.lower()):
            yield faults.invalid("metadata.annotations", key, why)
    if sum(len(key) + len(str(value)) for key, value in annotations.items()) > ANNOTATIONS_LIMIT_BYTES:
        body = f"Too long: may not be more than {ANNOTATIONS_LIMIT_BYTES} bytes"
        yield Fault("FieldValueTooLong", "metadata.annotations", body)


def _owners(references: list[JsonValue]) -> Iterator[Fault]:
    controllers = 0
    for index, reference in enumerate(references):
        field = f"metadata.ownerReferences[{index}]"
        for key in ("apiVersion", "kind", "name", "uid"):
            if not reference.get(key):
                yield faults.invalid(join(field, key), reference.get(key, ""), "must not be empty")
        controllers += bool(reference.get("controller"))
    if controllers > 1:
        detail = "Only one reference can have Controller set to true."
        yield faults.invalid("metadata.ownerReferences", references, detail)
