"""The reference of the kinds as Markdown, from the same schemas as the CRDs.

`python -m touchstone_operator.reference FILE` writes it; `--check` fails when the file differs.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from touchstone_operator import crds

JsonSchema = dict[str, Any]

INTRODUCTION = """# The kinds

Made by `make crds` from the types in operator/src/touchstone_operator/api. Do not edit.

Group `touchstone.dev`, version `v1alpha1`, namespaced, category `touchstone`; `kubectl explain KIND` says the same.
Fields marked * are required. Decimals are strings: the API has no floats. Rules are enforced by the API server.
"""


def document() -> str:
    """Write the reference of all kinds."""
    return "\n".join([INTRODUCTION, *(line for definition in crds.documents() for line in chapter(definition))]) + "\n"


def chapter(definition: JsonSchema) -> Iterator[str]:
    """Write the chapter of one kind."""
    names = definition["spec"]["names"]
    root = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    yield f"## {names['kind']}\n\n{root['description']} Short name `{names['shortNames'][0]}`.\n"
    yield from rule_lines(root, "")
    for part in ("spec", "status"):
        yield f"### {names['kind']}.{part}\n\n| field | type | meaning |\n| --- | --- | --- |"
        yield from rows(root["properties"][part], "")
        yield ""
    rules = [*rule_lines(root["properties"]["spec"], "spec"), *nested_rules(root["properties"]["spec"], "spec")]
    if rules:
        yield f"### {names['kind']}: rules\n"
        yield from rules
        yield ""


def rows(schema: JsonSchema, path: str) -> Iterator[str]:
    """Write a row for each field below a schema, depth first."""
    required = set(schema.get("required", ()))
    for name, part in schema.get("properties", {}).items():
        place = f"{path}{name}"
        mark = "*" if name in required else ""
        yield f"| `{place}`{mark} | {type_of(part)} | {cell(part.get('description', ''))} |"
        inner = part.get("items", part)
        yield from rows(inner, f"{place}[]." if "items" in part else f"{place}.")


def type_of(schema: JsonSchema) -> str:
    """Say a field's type with its bounds and default in a few words."""
    if schema["type"] == "array":
        return f"list of {schema['items']['type']}, at most {schema['maxItems']}"
    words = " \\| ".join(f"`{value}`" for value in schema["enum"]) if "enum" in schema else schema["type"]
    if "additionalProperties" in schema:
        words = f"map of {schema['additionalProperties']['type']}, at most {schema['maxProperties']}"
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None or high is not None:
        words += f" {low if low is not None else ''}..{high if high is not None else ''}"
    default = schema.get("default")
    return (
        words
        if default is None or default == ""
        else f"{words}, default `{default}`".replace("`True`", "`true`").replace("`False`", "`false`")
    )


def nested_rules(schema: JsonSchema, path: str) -> Iterator[str]:
    """Write the rules of all parts below a schema."""
    for name, part in schema.get("properties", {}).items():
        place = f"{path}.{name}"
        yield from rule_lines(part, place)
        inner = part.get("items", part)
        if "items" in part:
            place += "[]"
            yield from rule_lines(inner, place)
        yield from nested_rules(inner, place)


def rule_lines(schema: JsonSchema, path: str) -> list[str]:
    """Write the rules of one part."""
    return [f"- `{path or 'metadata'}`: {rule['message']}" for rule in schema.get("x-kubernetes-validations", [])]


def cell(description: str) -> str:
    """Keep a description inside its table cell."""
    return description.replace("|", "\\|")


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the reference, or check that it is there."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--check", action="store_true", help="write nothing; fail when the file differs")
    options = parser.parse_args(arguments)
    content = document()
    if options.file.exists() and options.file.read_text() == content:
        return 0
    if options.check:
        sys.stdout.write(f"stale, run make crds: {options.file}\n")
        return 1
    options.file.write_text(content)
    return 0


if __name__ == "__main__":
    sys.exit(main())
