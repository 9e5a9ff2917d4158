"""Where the CEL rules of a schema apply in an object, and to which values. Pure: how a rule is computed is a Judge's.

A rule that does not speak of `oldSelf` is left out where the value did not change: it held before. A rule that does
is a transition rule: it applies to changes only, and in lists only where the list is a map, as Kubernetes has it.
"""

from collections.abc import Iterator
from typing import NamedTuple, Protocol

from touchstone_local.apiserver.core import faults, objects
from touchstone_local.apiserver.core.faults import Fault, join
from touchstone_local.apiserver.core.objects import JsonObject, JsonValue
from touchstone_local.apiserver.core.schema import MISSING, Rule, Schema


class Verdict(NamedTuple):
    """What a rule says of a value."""

    holds: bool
    message: str = ""
    """Why it could not be computed, or what its message expression says."""


class Judge(Protocol):
    """Computes rules."""

    def judge(self, rule: Rule, value: JsonValue, old: JsonValue) -> Verdict:
        """Return whether a rule holds of a value; `old` is MISSING where there is no earlier value."""


class Site(NamedTuple):
    """A value with rules of its own."""

    schema: Schema
    field: str
    value: JsonValue
    old: JsonValue
    """MISSING where there is none."""


def check(obj: JsonObject, old: JsonObject | None, schema: Schema, judge: Judge) -> Iterator[Fault]:
    """Yield a fault for each rule that an object breaks."""
    if not schema.has_rules:
        return
    for site in _sites(_visible(obj), MISSING if old is None else _visible(old), schema, ""):
        is_same = site.old is not MISSING and objects.is_equal(site.value, site.old)
        for rule in site.schema.rules:
            if (rule.needs_old and site.old is MISSING) or (is_same and not rule.needs_old):
                continue
            verdict = judge.judge(rule, site.value, site.old)
            if not verdict.holds:
                yield _fault(rule, site, verdict)


def _visible(obj: JsonObject) -> JsonObject:
    """Return what rules at the root may see: of the metadata only the name."""
    metadata = {key: value for key, value in obj["metadata"].items() if key in ("name", "generateName")}
    return {**obj, "metadata": metadata}


def _sites(value: JsonValue, old: JsonValue, schema: Schema, field: str) -> Iterator[Site]:
    if not schema.has_rules or value is None:
        return
    if schema.rules:
        yield Site(schema, field, value, MISSING if old is None else old)
    if isinstance(value, dict):
        earlier = old if isinstance(old, dict) else {}
        for key, entry in value.items():
            place = join(field, key) if key in schema.properties else f"{field}[{key}]"
            yield from _sites(entry, earlier.get(key, MISSING), schema.child(key), place)
    elif isinstance(value, list) and schema.items is not None:
        known = _by_key(old, schema)
        for index, entry in enumerate(value):
            before = known.get(_identity(entry, schema), MISSING) if known else MISSING
            yield from _sites(entry, before, schema.items, f"{field}[{index}]")


def _by_key(old: JsonValue, schema: Schema) -> dict[str, JsonValue]:
    if not isinstance(old, list) or schema.list_type != "map":
        return {}
    return {_identity(entry, schema): entry for entry in old}


def _identity(entry: JsonValue, schema: Schema) -> str:
    if not isinstance(entry, dict):
        return ""
    return objects.canonical([entry.get(key) for key in schema.list_keys])


def _fault(rule: Rule, site: Site, verdict: Verdict) -> Fault:
    field = f"{site.field}{rule.field_path}".lstrip(".") if rule.field_path else site.field
    message = verdict.message or rule.message.strip() or f"failed rule: {rule.expression.strip()}"
    if rule.reason == "FieldValueForbidden":
        return faults.forbidden(field, message)
    if rule.reason == "FieldValueRequired":
        return faults.required(field, message)
    if rule.reason == "FieldValueDuplicate":
        return faults.duplicate(field, site.value)
    if isinstance(site.value, dict | list):
        return Fault("FieldValueInvalid", field, f"Invalid value: {message}")
    return faults.invalid(field, site.value, message)
