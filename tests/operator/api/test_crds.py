"""The CRDs: structural, bounded, small, and the same as the committed files."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from touchstone_operator import crds
from touchstone_operator.api import KINDS
from touchstone_operator.api.common import DEFINITIONS_VERSION

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "charts" / "touchstone-crds" / "templates"


def schemas(schema: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    yield path, schema
    for name, part in schema.get("properties", {}).items():
        yield from schemas(part, f"{path}.{name}")
    if "items" in schema:
        yield from schemas(schema["items"], f"{path}[]")
    if "additionalProperties" in schema:
        yield from schemas(schema["additionalProperties"], f"{path}{{}}")


def parts(document: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    root = document["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    name = document["spec"]["names"]["kind"]
    return [
        *schemas(root["properties"]["spec"], f"{name}.spec"),
        *schemas(root["properties"]["status"], f"{name}.status"),
    ]


@pytest.mark.parametrize("document", crds.documents(), ids=lambda d: d["metadata"]["name"])
class TestCustomResourceDefinition:
    def test_it_stays_under_200_kilobytes(self, document: dict[str, Any]) -> None:
        assert len(crds.render(document).encode()) < 200_000

    def test_the_committed_file_is_the_generated_one(self, document: dict[str, Any]) -> None:
        path = FOLDER / f"{document['spec']['names']['plural']}.yaml"
        assert path.read_text() == crds.render(document), "run `make crds`"

    def test_every_string_and_list_is_bounded(self, document: dict[str, Any]) -> None:
        unbounded = [
            path
            for path, schema in parts(document)
            if (schema["type"] == "string" and not {"maxLength", "enum", "format"} & set(schema))
            or (schema["type"] == "array" and "maxItems" not in schema)
        ]
        assert unbounded == []

    def test_every_field_is_described(self, document: dict[str, Any]) -> None:
        silent = [path for path, s in parts(document) if "description" not in s and path[-1] not in "]}"]
        assert silent == []

    def test_there_are_no_floats(self, document: dict[str, Any]) -> None:
        assert [path for path, schema in parts(document) if schema["type"] == "number"] == []

    def test_every_rule_has_a_message(self, document: dict[str, Any]) -> None:
        rules = [rule for _, schema in parts(document) for rule in schema.get("x-kubernetes-validations", [])]
        assert rules
        assert all(rule["message"] for rule in rules)

    def test_status_is_never_defaulted(self, document: dict[str, Any]) -> None:
        root = document["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
        assert "default" not in root["properties"]["status"]
        assert "status" not in root["required"]


def test_each_kind_has_one_definition() -> None:
    assert [d["spec"]["names"]["kind"] for d in crds.documents()] == [kind.__name__ for kind in KINDS]


def test_check_fails_and_writes_nothing_when_a_file_is_stale(tmp_path: Path) -> None:
    assert crds.main([str(tmp_path), "--check"]) == 1
    assert list(tmp_path.iterdir()) == []
    assert crds.main([str(tmp_path)]) == 0
    assert crds.main([str(tmp_path), "--check"]) == 0


def test_a_union_without_a_discriminator_is_refused() -> None:
    with pytest.raises(crds.NotStructural, match="discriminator"):
        crds.structural({"anyOf": [{"type": "string"}, {"type": "integer"}]}, {})


def test_texts_that_look_like_numbers_are_texts_in_every_yaml() -> None:
    """A default of 2e-4 was a text to PyYAML and a number to Kubernetes, whose API server refused the definition."""
    written = crds.render({"default": "2e-4", "others": ["1", "0.25", "-1e3", "v1", "1.2.x"]})
    assert "default: '2e-4'" in written
    assert "- '0.25'" in written
    assert "- '-1e3'" in written
    assert "- v1" in written


DIGESTS = {1: "e60a6caaa55632a9833f371d23638978bba00f0ba0c5f12f7d3d522cad19c47b"}
"""The digest of the definitions of each version."""


def test_changed_definitions_have_a_new_version() -> None:
    """The operator refuses definitions of an older version than its own; so every change needs one."""
    written = "".join(crds.render(document) for document in crds.documents())
    assert hashlib.sha256(written.encode()).hexdigest() == DIGESTS[DEFINITIONS_VERSION], (
        "the definitions changed: raise DEFINITIONS_VERSION if they were released, and note the digest here"
    )
