"""CRDs from the types in `api/`: structural schemas with CEL rules and printer columns.

`python -m touchstone_operator.crds FOLDER` writes one file a kind; `--check` fails when a file differs. Pydantic's JSON
Schema is not structural: references are inlined, optional-null becomes absence, titles go, unions are refused.
"""

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from touchstone_operator.api import KINDS
from touchstone_operator.api.common import DEFINITIONS_VERSION, GROUP, VERSION, Resource, rules
from touchstone_operator.objects import ANNOTATION_VERSION

JsonSchema = dict[str, Any]

KEPT_KEYWORDS = (
    "type",
    "format",
    "description",
    "enum",
    "pattern",
    "minLength",
    "maxLength",
    "minimum",
    "maximum",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
    "required",
    "default",
    "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-map-type",
    "x-kubernetes-preserve-unknown-fields",
    "x-kubernetes-int-or-string",
    "x-kubernetes-validations",
)


class NotStructural(ValueError):
    """A type cannot be written as a structural schema."""


def documents() -> list[dict[str, Any]]:
    """Return the CustomResourceDefinitions of all kinds, ready to apply."""
    return [definition(kind) for kind in KINDS]


def definition(kind: type[Resource]) -> dict[str, Any]:
    """Write the CustomResourceDefinition of one kind."""
    columns = [c.model_dump(by_alias=True, exclude_defaults=True) | {"type": c.type} for c in kind.columns]
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{kind.plural}.{GROUP}",
            "annotations": {"helm.sh/resource-policy": "keep", ANNOTATION_VERSION: str(DEFINITIONS_VERSION)},
            "labels": {"app.kubernetes.io/part-of": "touchstone"},
        },
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": kind.kind_name,
                "listKind": f"{kind.kind_name}List",
                "plural": kind.plural,
                "singular": kind.kind_name.lower(),
                "shortNames": [kind.short_name],
                "categories": ["touchstone"],
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": columns,
                    "schema": {"openAPIV3Schema": object_schema(kind)},
                }
            ],
        },
    }


def object_schema(kind: type[Resource]) -> JsonSchema:
    """Write the structural schema of a whole object: metadata is the API server's own."""
    source = kind.model_json_schema(by_alias=True)
    definitions = source.get("$defs", {})
    parts = {name: structural(source["properties"][name], definitions) for name in ("spec", "status")}
    # Pydantic's default for status is for readers in Python; the API server must leave it absent.
    parts["status"].pop("default", None)
    schema: JsonSchema = {
        "type": "object",
        "description": (kind.__doc__ or "").strip(),
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            **parts,
        },
    }
    if kind.object_rules:
        schema |= rules(*kind.object_rules)
    return schema


def structural(source: JsonSchema, definitions: dict[str, JsonSchema]) -> JsonSchema:
    """Turn pydantic's JSON Schema into a structural one.

    Raises:
        NotStructural: A union, a tuple of fixed length or a keyword without a structural form was found.
    """
    source = resolved(source, definitions)
    schema = {keyword: source[keyword] for keyword in KEPT_KEYWORDS if source.get(keyword) is not None}
    if "const" in source:
        schema["enum"] = [source["const"]]
    if "description" in schema:
        schema["description"] = " ".join(schema["description"].split())
    if schema.get("default") == []:
        del schema["default"]
    if "properties" in source:
        schema["properties"] = {k: structural(v, definitions) for k, v in source["properties"].items()}
    if isinstance(source.get("additionalProperties"), dict):
        schema["additionalProperties"] = structural(source["additionalProperties"], definitions)
    if "items" in source:
        schema["items"] = structural(source["items"], definitions)
    if "type" not in schema:
        raise NotStructural(f"no type in {source}")
    return bounded_key_names(schema, source)


def resolved(source: JsonSchema, definitions: dict[str, JsonSchema]) -> JsonSchema:
    """Inline a reference and take the null out of an optional; what stands beside them wins."""
    beside = {k: v for k, v in source.items() if k not in ("$ref", "anyOf", "allOf")}
    if "$ref" in source:
        return resolved(merged(definitions[source["$ref"].rpartition("/")[2]], beside), definitions)
    if "anyOf" in source:
        options = [option for option in source["anyOf"] if option.get("type") != "null"]
        if len(options) != 1:
            raise NotStructural(f"a union needs a discriminator: {source}")
        return resolved(merged(options[0], beside), definitions)
    return source


def merged(base: JsonSchema, beside: JsonSchema) -> JsonSchema:
    """Lay keywords over a schema; CEL rules of both are kept."""
    key = "x-kubernetes-validations"
    both = [*base.get(key, []), *beside.get(key, [])]
    return {**base, **beside} | ({key: both} if both else {})


def bounded_key_names(schema: JsonSchema, source: JsonSchema) -> JsonSchema:
    """Bound a map: structural schemas cannot bound key lengths, so the number of entries must be bounded."""
    if "additionalProperties" in schema and "maxProperties" not in schema:
        raise NotStructural(f"a map needs a bound: {source}")
    return schema


class PlainDumper(yaml.SafeDumper):
    """YAML without anchors: equal parts are written out. Texts that anybody might read as numbers are quoted."""

    def ignore_aliases(self, data: object) -> bool:
        """Never refer back."""
        return True


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    # PyYAML takes 2e-4 for a text, as YAML 1.1 has it; Kubernetes reads YAML 1.2, where it is a number.
    style = "'" if re.fullmatch(r"[-+]?[0-9._]+([eE][-+]?[0-9]+)?", value) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


PlainDumper.add_representer(str, _text)


def render(document: dict[str, Any]) -> str:
    """Write a CRD as YAML, with a line that says where it comes from."""
    body = yaml.dump(document, Dumper=PlainDumper, sort_keys=False, width=120, allow_unicode=True)
    return f"# Made by `make crds` from operator/src/touchstone_operator/api. Do not edit.\n{body}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the CRDs into a folder, or check that they are there."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a file differs")
    options = parser.parse_args(arguments)
    stale = []
    for document in documents():
        path = options.folder / f"{document['spec']['names']['plural']}.yaml"
        content = render(document)
        if not path.exists() or path.read_text() != content:
            stale.append(path)
            if not options.check:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(content)
    for path in stale:
        sys.stdout.write(f"{'stale, run make crds' if options.check else 'written'}: {path}\n")
    return 1 if options.check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
