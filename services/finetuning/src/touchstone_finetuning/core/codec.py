"""Values to JSON and back: keys as the fields are named, unknown keys refused. Pure."""

import json
from enum import StrEnum
from functools import partial
from typing import Any, TypeVar

import cattrs
from cattrs.errors import BaseValidationError
from cattrs.preconf.json import make_converter
from cattrs.v import format_exception

T = TypeVar("T")

_CONVERTER = make_converter(forbid_extra_keys=True)


def to_fields(value: object) -> Any:
    """Write a dataclass as what JSON can hold."""
    return _CONVERTER.unstructure(value)


def to_json(value: object) -> str:
    """Write a dataclass as JSON."""
    return json.dumps(_CONVERTER.unstructure(value), indent=2, sort_keys=True) + "\n"


def to_line(value: object) -> str:
    """Write a dataclass as one line of JSON."""
    return json.dumps(_CONVERTER.unstructure(value), sort_keys=True) + "\n"


def from_json(text: str, kind: type[T]) -> T:
    """Read a dataclass from JSON.

    Raises:
        ValueError: it is not what the dataclass says; the message names each fault.
    """
    return from_fields(json.loads(text), kind)


def from_fields(fields: object, kind: type[T]) -> T:
    """Read a dataclass from what JSON was parsed to.

    Raises:
        ValueError: it is not what the dataclass says; the message names each fault.
    """
    try:
        return _CONVERTER.structure(fields, kind)
    except BaseValidationError as error:
        faults = cattrs.transform_error(error, path="$", format_exception=_describe)
        raise ValueError("; ".join(fault.replace(" @ $.", " at ") for fault in faults)) from error


def _exactly(value: object, _: object, *, kind: type[Any]) -> Any:
    """Take a value as it is: a text is no number, and a number is no text."""
    if type(value) is kind:
        return value
    if kind is float and type(value) is int:
        return float(value)
    raise TypeError(f"must be {kind.__name__}, not {type(value).__name__}")


def _describe(error: BaseException, kind: type[Any] | None) -> str:
    is_ours = isinstance(error, TypeError | ValueError) and not isinstance(error, BaseValidationError)
    return str(error) if is_ours else format_exception(error, kind)


for _kind in (str, int, float, bool):
    _CONVERTER.register_structure_hook(_kind, partial(_exactly, kind=_kind))
_CONVERTER.register_structure_hook(StrEnum, lambda value, kind: kind(value))
