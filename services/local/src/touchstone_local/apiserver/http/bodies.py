"""Reading bodies: JSON or YAML, with the fields that stand there twice. Pure."""

import json
from collections.abc import Callable, Hashable
from typing import NamedTuple

import yaml

from touchstone_local.apiserver import errors
from touchstone_local.apiserver.core.objects import JsonObject, JsonValue

LIMIT_BYTES = 3 * 1024 * 1024
"""As kube-apiserver."""
JSON = "application/json"
YAML_TYPES = ("application/yaml", "application/apply-patch+yaml")
JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"


class Body(NamedTuple):
    """A decoded body."""

    value: JsonValue
    repeated: tuple[str, ...] = ()
    """The names of fields that an object of it holds twice."""


def media_type(header: str) -> str:
    """Return a content type without its parameters."""
    return header.partition(";")[0].strip().lower()


def decode(content: bytes, content_type: str) -> Body:
    """Decode a body by its content type.

    Raises:
        BadRequest: It is not what it says.
        TooLarge: It is too large.
        UnsupportedMedia: It is neither JSON nor YAML.
    """
    if len(content) > LIMIT_BYTES:
        raise errors.TooLarge(f"Request entity too large: limit is {LIMIT_BYTES}")
    kind = media_type(content_type) or JSON
    if kind in YAML_TYPES:
        return _decode_yaml(content)
    if kind != JSON and not kind.endswith("+json"):
        raise errors.UnsupportedMedia(
            f"the body of the request was in an unknown format - accepted: {JSON}, {YAML_TYPES[0]}"
        )
    return _decode_json(content)


def require_object(body: Body) -> JsonObject:
    """Return a body that is an object.

    Raises:
        BadRequest: It is something else.
    """
    if not isinstance(body.value, dict):
        raise errors.BadRequest("the object provided is unrecognized: it must be a JSON object")
    return body.value


def _decode_json(content: bytes) -> Body:
    repeated: list[str] = []
    try:
        value = json.loads(content, object_pairs_hook=_noting(repeated), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise errors.BadRequest(f"the object provided is unrecognized: {error}") from error
    return Body(value, tuple(repeated))


def _decode_yaml(content: bytes) -> Body:
    # Clients send JSON under this name too, and JSON is read faster.
    if content.lstrip().startswith(b"{"):
        try:
            return _decode_json(content)
        except errors.BadRequest:
            pass  # a YAML flow mapping starts like JSON
    repeated: list[str] = []
    loader = _YamlLoader(content)
    loader.repeated = repeated
    try:
        value = loader.get_single_data()
    except (yaml.YAMLError, RecursionError) as error:
        raise errors.BadRequest(f"error decoding YAML: {error}") from error
    finally:
        loader.dispose()
    return Body(value, tuple(repeated))


def _noting(repeated: list[str]) -> Callable[[list[tuple[str, JsonValue]]], JsonObject]:
    def build(pairs: list[tuple[str, JsonValue]]) -> JsonObject:
        built = dict(pairs)
        if len(built) != len(pairs):
            names = [name for name, _ in pairs]
            repeated.extend(sorted({name for name in names if names.count(name) > 1}))
        return built

    return build


def _no_constant(name: str) -> JsonValue:
    raise ValueError(f"{name} is not JSON")


class _YamlLoader(yaml.SafeLoader):
    """YAML as JSON: times stay texts, and repeated keys are noted."""

    yaml_implicit_resolvers = {  # noqa: RUF012 (PyYAML's own attribute)
        first: [entry for entry in entries if entry[0] != "tag:yaml.org,2002:timestamp"]
        for first, entries in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    repeated: list[str]

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, JsonValue]:
        """Build a mapping, noting keys that stand there twice."""
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        self.repeated.extend(sorted({key for key in keys if keys.count(key) > 1}))
        return super().construct_mapping(node, deep=deep)
