"""Structural schemas, compiled once a version of a kind so that no request reads raw OpenAPI. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from touchstone_local.apiserver.core.objects import JsonObject, JsonValue


class _Missing:
    """The type of MISSING."""


MISSING: Final = _Missing()
"""Stands for a default that is not declared; null may be one."""


class Rule(NamedTuple):
    """One entry of `x-kubernetes-validations`."""

    expression: str
    message: str
    message_expression: str
    reason: str
    field_path: str
    needs_old: bool
    """The rule speaks of `oldSelf`, so that it holds for changes only."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Schema:
    """One node of a structural schema."""

    raw: JsonObject
    """The node as OpenAPI, for documentation."""
    type: str = ""
    nullable: bool = False
    is_int_or_string: bool = False
    preserves_unknown: bool = False
    is_embedded: bool = False
    properties: Mapping[str, "Schema"] = field(default_factory=dict)
    additional: "Schema | None" = None
    items: "Schema | None" = None
    required: tuple[str, ...] = ()
    default: JsonValue = MISSING
    enum: tuple[JsonValue, ...] = ()
    pattern: re.Pattern[str] | None = None
    format: str = ""
    limits: Mapping[str, float] = field(default_factory=dict)
    """minimum, maxLength, … by their OpenAPI name."""
    list_type: str = "atomic"
    list_keys: tuple[str, ...] = ()
    is_atomic_map: bool = False
    rules: tuple[Rule, ...] = ()
    all_of: tuple["Schema", ...] = ()
    any_of: tuple["Schema", ...] = ()
    one_of: tuple["Schema", ...] = ()
    negated: "Schema | None" = None
    merge_key: str = ""
    merge_strategies: frozenset[str] = frozenset()
    has_rules: bool = False
    """Rules here or anywhere below."""
    has_defaults: bool = False
    """Defaults here or anywhere below."""

    def child(self, key: str) -> "Schema":
        """Return the schema of a key of an object; UNTYPED where nothing is declared."""
        return self.properties.get(key) or self.additional or UNTYPED

    @property
    def element(self) -> "Schema":
        """The schema of a list's entries."""
        return self.items or UNTYPED

    def knows(self, key: str) -> bool:
        """Whether a key of an object is declared or kept all the same."""
        return key in self.properties or self.additional is not None or self.preserves_unknown


UNTYPED: Final = Schema(raw={}, preserves_unknown=True)
"""What nothing is known about: maps merge, lists are replaced."""

_LIMITS = (
    "minimum",
    "maximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
)
_OLD_SELF = re.compile(r"\boldSelf\b")


def compile_schema(raw: JsonObject) -> Schema:
    """Compile one node and all below it.

    Raises:
        re.error: A pattern cannot be read.
    """
    properties = {key: compile_schema(entry) for key, entry in (raw.get("properties") or {}).items()}
    additional = _additional(raw.get("additionalProperties"))
    items = compile_schema(raw["items"]) if isinstance(raw.get("items"), dict) else None
    rules = tuple(_rule(entry) for entry in raw.get("x-kubernetes-validations") or ())
    below = [node for node in (*properties.values(), additional, items) if node is not None]
    negated = raw.get("not")
    return Schema(
        raw=raw,
        type=raw.get("type", ""),
        nullable=bool(raw.get("nullable")),
        is_int_or_string=bool(raw.get("x-kubernetes-int-or-string")),
        preserves_unknown=bool(raw.get("x-kubernetes-preserve-unknown-fields")),
        is_embedded=bool(raw.get("x-kubernetes-embedded-resource")),
        properties=properties,
        additional=additional,
        items=items,
        required=tuple(raw.get("required") or ()),
        default=raw.get("default", MISSING),
        enum=tuple(raw.get("enum") or ()),
        pattern=compile_pattern(raw["pattern"]) if raw.get("pattern") else None,
        format=raw.get("format", ""),
        limits={name: raw[name] for name in _LIMITS if raw.get(name) is not None} | _exclusive(raw),
        list_type=raw.get("x-kubernetes-list-type", "atomic"),
        list_keys=tuple(raw.get("x-kubernetes-list-map-keys") or ()),
        is_atomic_map=raw.get("x-kubernetes-map-type") == "atomic",
        rules=rules,
        all_of=_group(raw, "allOf"),
        any_of=_group(raw, "anyOf"),
        one_of=_group(raw, "oneOf"),
        negated=compile_schema(negated) if isinstance(negated, dict) else None,
        merge_key=raw.get("x-kubernetes-patch-merge-key", ""),
        merge_strategies=frozenset(filter(None, raw.get("x-kubernetes-patch-strategy", "").split(","))),
        has_rules=bool(rules) or any(node.has_rules for node in below),
        has_defaults="default" in raw or any(node.has_defaults for node in below),
    )


def compile_pattern(pattern: str) -> re.Pattern[str]:
    r"""Compile a pattern of Go's RE2 dialect: there `$` is the end of the text, as `\Z` here."""
    return re.compile(re.sub(r"(?<!\\)((?:\\\\)*)\$(?=$|\))", r"\1\\Z", pattern))


def _group(raw: JsonObject, name: str) -> tuple[Schema, ...]:
    return tuple(compile_schema(entry) for entry in raw.get(name) or ())


def _additional(raw: JsonValue) -> Schema | None:
    if isinstance(raw, dict):
        return compile_schema(raw)
    return UNTYPED if raw is True else None


def _exclusive(raw: JsonObject) -> dict[str, float]:
    return {name: 1.0 for name in ("exclusiveMinimum", "exclusiveMaximum") if raw.get(name) is True}


def _rule(entry: JsonObject) -> Rule:
    expression = entry.get("rule", "")
    return Rule(
        expression=expression,
        message=entry.get("message", ""),
        message_expression=entry.get("messageExpression", ""),
        reason=entry.get("reason", "FieldValueInvalid"),
        field_path=entry.get("fieldPath", ""),
        needs_old=bool(_OLD_SELF.search(expression)),
    )
