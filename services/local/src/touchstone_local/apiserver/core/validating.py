"""Validation by a structural schema, with the messages of Kubernetes. Pure."""

import ipaddress
import re
import uuid
from collections.abc import Callable, Iterator

from touchstone_local.apiserver.core import faults, objects
from touchstone_local.apiserver.core.faults import Fault, join
from touchstone_local.apiserver.core.objects import JsonValue
from touchstone_local.apiserver.core.schema import Schema


def validate(value: JsonValue, schema: Schema, *, field: str = "") -> Iterator[Fault]:
    """Yield every fault of a value."""
    if value is None:
        if not schema.nullable and (schema.type or schema.is_int_or_string):
            yield faults.type_invalid(field, value, schema.type or "integer,string")
        return
    if not _has_type(value, schema):
        yield faults.type_invalid(field, value, schema.type or "integer,string")
        return
    if schema.enum and not any(objects.is_equal(value, choice) for choice in schema.enum):
        yield faults.unsupported(field, value, schema.enum)
    if isinstance(value, dict):
        yield from _object(value, schema, field)
    elif isinstance(value, list):
        yield from _array(value, schema, field)
    elif isinstance(value, str):
        yield from _text(value, schema, field)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield from _number(value, schema, field)
    yield from _combined(value, schema, field)


def _has_type(value: JsonValue, schema: Schema) -> bool:
    found = faults.json_type(value)
    if schema.is_int_or_string:
        return found in ("integer", "string")
    if schema.type == "number":
        return found in ("integer", "number")
    if schema.type == "integer":
        return found == "integer" or (found == "number" and float(value).is_integer())
    return not schema.type or found == schema.type


def _object(value: dict[str, JsonValue], schema: Schema, field: str) -> Iterator[Fault]:
    for key in schema.required:
        if key not in value:
            yield faults.required(join(field, key))
    if (low := schema.limits.get("minProperties")) is not None and len(value) < low:
        yield faults.invalid(field, value, f"{field} in body should have at least {low} properties")
    if (high := schema.limits.get("maxProperties")) is not None and len(value) > high:
        yield faults.invalid(field, value, f"{field} in body should have at most {high} properties")
    for key, entry in value.items():
        child = schema.properties.get(key) or schema.additional
        if child is not None:
            yield from validate(entry, child, field=join(field, key))


def _array(value: list[JsonValue], schema: Schema, field: str) -> Iterator[Fault]:
    if (low := schema.limits.get("minItems")) is not None and len(value) < low:
        yield faults.invalid(field, len(value), f"{field} in body should have at least {low} items")
    if (high := schema.limits.get("maxItems")) is not None and len(value) > high:
        body = f"Too many: {len(value)}: must have at most {high} items"
        yield Fault("FieldValueTooMany", field, body)
    yield from _uniqueness(value, schema, field)
    if schema.items is not None:
        for index, entry in enumerate(value):
            yield from validate(entry, schema.items, field=f"{field}[{index}]")


def _uniqueness(value: list[JsonValue], schema: Schema, field: str) -> Iterator[Fault]:
    if schema.list_type not in ("set", "map"):
        return
    seen: set[str] = set()
    for index, entry in enumerate(value):
        identity = entry
        if schema.list_type == "map" and isinstance(entry, dict):
            identity = {key: entry.get(key) for key in schema.list_keys}
        text = objects.canonical(identity)
        if text in seen:
            yield Fault("FieldValueDuplicate", f"{field}[{index}]", f"Duplicate value: {text}")
        seen.add(text)


def _text(value: str, schema: Schema, field: str) -> Iterator[Fault]:
    if (low := schema.limits.get("minLength")) is not None and len(value) < low:
        yield faults.invalid(field, value, f"{field} in body should be at least {low} chars long")
    if (high := schema.limits.get("maxLength")) is not None and len(value) > high:
        yield Fault("FieldValueTooLong", field, f"Too long: may not be more than {high} bytes")
    if schema.pattern is not None and not schema.pattern.search(value):
        yield faults.invalid(field, value, f"{field} in body should match '{schema.raw['pattern']}'")
    check = _FORMATS.get(schema.format)
    if check is not None and not check(value):
        yield faults.invalid(field, value, f"{field} in body must be of type {schema.format}: {value!r}")


def _number(value: float, schema: Schema, field: str) -> Iterator[Fault]:
    limits = schema.limits
    if (low := limits.get("minimum")) is not None and (value < low or (value == low and "exclusiveMinimum" in limits)):
        bound = "greater than" if "exclusiveMinimum" in limits else "greater than or equal to"
        yield faults.invalid(field, value, f"{field} in body should be {bound} {low}")
    if (high := limits.get("maximum")) is not None and (
        value > high or (value == high and "exclusiveMaximum" in limits)
    ):
        bound = "less than" if "exclusiveMaximum" in limits else "less than or equal to"
        yield faults.invalid(field, value, f"{field} in body should be {bound} {high}")
    if (factor := limits.get("multipleOf")) is not None and value % factor:
        yield faults.invalid(field, value, f"{field} in body should be a multiple of {factor}")
    bits = {"int32": 31, "int64": 63}.get(schema.format)
    if bits is not None and not -(2**bits) <= value < 2**bits:
        yield faults.invalid(field, value, f"{field} in body must be of type {schema.format}")


def _combined(value: JsonValue, schema: Schema, field: str) -> Iterator[Fault]:
    for part in schema.all_of:
        yield from validate(value, part, field=field)
    if schema.any_of and not any(_fits(value, part) for part in schema.any_of):
        yield faults.invalid(field, value, f"{field} in body must validate at least one schema (anyOf)")
    if schema.one_of and sum(_fits(value, part) for part in schema.one_of) != 1:
        yield faults.invalid(field, value, f"{field} in body must validate one and only one schema (oneOf)")
    if schema.negated is not None and _fits(value, schema.negated):
        yield faults.invalid(field, value, f"{field} in body must not validate the schema (not)")


def _fits(value: JsonValue, schema: Schema) -> bool:
    return next(validate(value, schema), None) is None


def _parses(parse: Callable[[str], object]) -> Callable[[str], bool]:
    def check(text: str) -> bool:
        try:
            parse(text)
        except ValueError:
            return False
        return True

    return check


_DURATION = re.compile(r"[-+]?(\d+(\.\d*)?(ns|us|µs|ms|s|m|h|d|w)\s?)+|0")
_FORMATS: dict[str, Callable[[str], bool]] = {
    "date-time": lambda text: objects.parse_time(text) is not None,
    "duration": lambda text: _DURATION.fullmatch(text) is not None,
    "ipv4": _parses(ipaddress.IPv4Address),
    "ipv6": _parses(ipaddress.IPv6Address),
    "cidr": _parses(ipaddress.ip_network),
    "uuid": _parses(uuid.UUID),
}
