"""What a CustomResourceDefinition must fulfil, above all that its schemas are structural. Pure."""

import re
from collections.abc import Callable, Iterator

from touchstone_local.apiserver.core import columns, faults, metadata, objects, schema, shaping, validating
from touchstone_local.apiserver.core.faults import Fault, join
from touchstone_local.apiserver.core.objects import JsonObject, JsonValue

RuleCheck = Callable[[str], str]
"""Returns why a CEL expression cannot be compiled; empty if it can."""

_NOT_STRUCTURAL = ("$ref", "definitions", "dependencies", "deprecated", "discriminator", "id", "patternProperties",
                   "readOnly", "writeOnly", "xml")  # fmt: skip
_TYPES = ("object", "array", "string", "integer", "number", "boolean")
_VERSION = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")


def validate(crd: JsonObject, rule_check: RuleCheck) -> Iterator[Fault]:
    """Yield every fault of a CRD whose own schema was found valid."""
    spec = crd["spec"]
    names = spec["names"]
    expected = f"{names.get('plural')}.{spec['group']}"
    if crd["metadata"].get("name") != expected:
        detail = f'must be spec.names.plural+"."+spec.group ("{expected}")'
        yield faults.invalid("metadata.name", crd["metadata"].get("name"), detail)
    if metadata.subdomain(spec["group"]) or "." not in spec["group"]:
        yield faults.invalid("spec.group", spec["group"], "should be a domain with at least one dot")
    if spec["scope"] not in ("Namespaced", "Cluster"):
        yield faults.unsupported("spec.scope", spec["scope"], ("Cluster", "Namespaced"))
    for name in [names["plural"], *(names.get("shortNames") or []), *(names.get("categories") or [])]:
        if why := metadata.label(name):
            yield faults.invalid("spec.names", name, why)
    yield from _versions(spec.get("versions") or [], rule_check)


def _versions(versions: list[JsonObject], rule_check: RuleCheck) -> Iterator[Fault]:
    if not versions:
        yield faults.required("spec.versions", "must have at least one version")
    if versions and sum(bool(version.get("storage")) for version in versions) != 1:
        detail = "must have exactly one version marked as storage version"
        yield faults.invalid("spec.versions", versions, detail)
    if len({version.get("name") for version in versions}) != len(versions):
        yield faults.invalid("spec.versions", versions, "must contain unique version names")
    for index, version in enumerate(versions):
        field = f"spec.versions[{index}]"
        if not _VERSION.fullmatch(version["name"]):
            yield faults.invalid(f"{field}.name", version["name"], "must be a DNS label")
        for position, column in enumerate(version.get("additionalPrinterColumns") or []):
            yield from _column(column, f"{field}.additionalPrinterColumns[{position}]")
        declared = (version.get("schema") or {}).get("openAPIV3Schema")
        if not isinstance(declared, dict):
            yield faults.required(f"{field}.schema.openAPIV3Schema", "schemas are required")
        else:
            yield from _root(declared, f"{field}.schema.openAPIV3Schema", rule_check)


def _column(column: JsonObject, field: str) -> Iterator[Fault]:
    if not column.get("name") or not column.get("jsonPath"):
        yield faults.required(field, "name and jsonPath are required")
        return
    if column.get("type") not in (*_TYPES[2:], "date"):
        yield faults.unsupported(f"{field}.type", column.get("type"), (*_TYPES[2:], "date"))
    try:
        columns.compile_path(column["jsonPath"])
    except ValueError as error:
        yield faults.invalid(f"{field}.jsonPath", column["jsonPath"], str(error))


def _root(declared: JsonObject, field: str, rule_check: RuleCheck) -> Iterator[Fault]:
    if declared.get("type") != "object":
        yield faults.invalid(f"{field}.type", declared.get("type"), 'must be "object"')
    found = list(_node(declared, field, rule_check))
    yield from found
    if not found:
        yield from _defaults(declared, field)


def _node(node: JsonObject, field: str, rule_check: RuleCheck) -> Iterator[Fault]:
    for key in _NOT_STRUCTURAL:
        if key in node:
            yield faults.forbidden(join(field, key), f"{key} is not supported")
    yield from _type(node, field)
    if node.get("pattern") is not None:
        try:
            schema.compile_pattern(node["pattern"])
        except re.error as error:
            yield faults.invalid(join(field, "pattern"), node["pattern"], f"must be a regular expression: {error}")
    yield from _list_type(node, field)
    for index, rule in enumerate(node.get("x-kubernetes-validations") or []):
        yield from _rule(rule, f"{field}.x-kubernetes-validations[{index}]", rule_check)
    for key, child in (node.get("properties") or {}).items():
        yield from _node(child, f"{field}.properties[{key}]", rule_check)
    for key in ("additionalProperties", "items"):
        if isinstance(node.get(key), dict):
            yield from _node(node[key], join(field, key), rule_check)
    if node.get("properties") and node.get("additionalProperties"):
        yield faults.forbidden(
            join(field, "additionalProperties"), "additionalProperties and properties are mutual exclusive"
        )


def _type(node: JsonObject, field: str) -> Iterator[Fault]:
    kind = node.get("type")
    is_free = node.get("x-kubernetes-int-or-string") or node.get("x-kubernetes-preserve-unknown-fields")
    if not kind and not is_free:
        yield faults.required(join(field, "type"), "must not be empty for specified object fields")
    elif kind and kind not in _TYPES:
        yield faults.unsupported(join(field, "type"), kind, _TYPES)
    if kind == "array" and not isinstance(node.get("items"), dict):
        yield faults.required(join(field, "items"), "must be specified")


def _list_type(node: JsonObject, field: str) -> Iterator[Fault]:
    kind = node.get("x-kubernetes-list-type")
    if kind is None:
        return
    if kind not in ("atomic", "set", "map"):
        yield faults.unsupported(join(field, "x-kubernetes-list-type"), kind, ("atomic", "map", "set"))
    if node.get("type") != "array":
        yield faults.invalid(join(field, "type"), node.get("type"), 'must be "array" if x-kubernetes-list-type is set')
    if kind != "map":
        return
    keys, items = node.get("x-kubernetes-list-map-keys") or [], node.get("items") or {}
    if not keys:
        yield faults.required(join(field, "x-kubernetes-list-map-keys"), "must be set for a list of type map")
    for key in keys:
        entry = (items.get("properties") or {}).get(key)
        if entry is None:
            detail = "entries must all be names of item properties"
            yield faults.invalid(join(field, "x-kubernetes-list-map-keys"), key, detail)
        elif key not in (items.get("required") or []) and "default" not in entry:
            detail = (
                "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property"
            )
            yield faults.required(f"{field}.items.properties[{key}].default", detail)


def _rule(rule: JsonObject, field: str, rule_check: RuleCheck) -> Iterator[Fault]:
    expression = rule.get("rule") or ""
    if not expression.strip():
        yield faults.required(join(field, "rule"), "rule is not specified")
        return
    for key in ("rule", "messageExpression"):
        text = rule.get(key)
        if text and (why := rule_check(text)):
            yield faults.invalid(join(field, key), text, why)
    if not (rule.get("message") or rule.get("messageExpression")) and "\n" in expression.strip():
        yield faults.required(join(field, "message"), "message must be specified if rule contains line breaks")


def _defaults(declared: JsonObject, field: str) -> Iterator[Fault]:
    """Yield the faults of defaults that their own schema refuses, or that it would prune."""
    for path, node in _nodes(declared, field):
        if "default" in node:
            value: JsonValue = node["default"]
            compiled = schema.compile_schema({key: entry for key, entry in node.items() if key != "default"})
            copy = objects.clone(value)
            shaping.apply_defaults(copy, compiled)
            if shaping.prune(copy, compiled) or next(validating.validate(copy, compiled), None) is not None:
                yield faults.invalid(join(path, "default"), value, "must be valid by its own schema")


def _nodes(node: JsonObject, field: str) -> Iterator[tuple[str, JsonObject]]:
    yield field, node
    for key, child in (node.get("properties") or {}).items():
        yield from _nodes(child, f"{field}.properties[{key}]")
    for key in ("additionalProperties", "items"):
        if isinstance(node.get(key), dict):
            yield from _nodes(node[key], join(field, key))
