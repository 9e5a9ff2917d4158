"""Faults of fields, worded as Kubernetes words them. Pure."""

import json
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from touchstone_local.apiserver import errors
from touchstone_local.apiserver.core.objects import JsonValue


class Fault(NamedTuple):
    """One fault of one field."""

    reason: str
    """A CauseType of Kubernetes: `FieldValueInvalid`."""
    field: str
    body: str
    """The message without the field."""

    def __str__(self) -> str:
        return f"{self.field}: {self.body}"


def invalid(field: str, value: JsonValue, detail: str) -> Fault:
    """A value that breaks a rule."""
    return Fault("FieldValueInvalid", field, f"Invalid value: {_shown(value)}: {detail}")


def type_invalid(field: str, value: JsonValue, expected: str) -> Fault:
    """A value of the wrong type."""
    found = json_type(value)
    detail = f'{field} in body must be of type {expected}: "{found}"'
    return Fault("FieldValueTypeInvalid", field, f'Invalid value: "{found}": {detail}')


def required(field: str, detail: str = "") -> Fault:
    """A value that is missing."""
    return Fault("FieldValueRequired", field, f"Required value{': ' if detail else ''}{detail}")


def unsupported(field: str, value: JsonValue, supported: Sequence[JsonValue]) -> Fault:
    """A value outside an enumeration."""
    choices = ", ".join(_shown(choice) for choice in supported)
    return Fault("FieldValueNotSupported", field, f"Unsupported value: {_shown(value)}: supported values: {choices}")


def forbidden(field: str, detail: str) -> Fault:
    """A value that must not be set or changed."""
    return Fault("FieldValueForbidden", field, f"Forbidden: {detail}")


def duplicate(field: str, value: JsonValue) -> Fault:
    """A list entry that repeats another."""
    return Fault("FieldValueDuplicate", field, f"Duplicate value: {_shown(value)}")


def raise_if_any(found: Iterable[Fault], *, kind: str, group: str, name: str) -> None:
    """Raise one error for all faults.

    Raises:
        Invalid: There is at least one fault.
    """
    faults = list(found)
    if not faults:
        return
    listed = str(faults[0]) if len(faults) == 1 else f"[{', '.join(map(str, faults))}]"
    qualified = f"{kind}.{group}" if group else kind
    raise errors.Invalid(
        f'{qualified} "{name}" is invalid: {listed}',
        details={"name": name, "group": group, "kind": kind} if group else {"name": name, "kind": kind},
        causes=[errors.Cause(fault.reason, fault.body, fault.field) for fault in faults],
    )


def json_type(value: JsonValue) -> str:
    """Return the JSON Schema name of a value's type."""
    names = {dict: "object", list: "array", str: "string", bool: "boolean", int: "integer", float: "number"}
    return names.get(type(value), "null")


def join(field: str, key: str) -> str:
    """Return the path of a field below another."""
    return f"{field}.{key}" if field else key


def _shown(value: JsonValue) -> str:
    return f'"{json_type(value)}"' if isinstance(value, dict | list) else json.dumps(value, ensure_ascii=False)
