"""OpenAPI documents of the kinds: what `kubectl explain` and `kubectl apply` read. Pure."""

from collections.abc import Iterable

from touchstone_local.apiserver.core.kinds import Kind
from touchstone_local.apiserver.core.objects import JsonObject

_PATCH_TYPES = ("application/json-patch+json", "application/merge-patch+json", "application/apply-patch+yaml")
_STRATEGIC = "application/strategic-merge-patch+json"
_WRITE_PARAMETERS = ("dryRun", "fieldManager", "fieldValidation")
_EXTENSION = "x-kubernetes-group-version-kind"


def document_v3(kinds: Iterable[Kind], *, version: str) -> JsonObject:
    """Return the OpenAPI 3 document of the kinds of one group version."""
    chosen = list(kinds)
    return {
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": version},
        "paths": {path: item for kind in chosen for path, item in _paths(kind, is_v3=True).items()},
        "components": {"schemas": {schema_name(kind): _schema(kind) for kind in chosen}},
    }


def document_v2(kinds: Iterable[Kind], *, version: str) -> JsonObject:
    """Return the OpenAPI 2 document of all kinds."""
    chosen = list(kinds)
    return {
        "swagger": "2.0",
        "info": {"title": "Kubernetes", "version": version},
        "paths": {path: item for kind in chosen for path, item in _paths(kind, is_v3=False).items()},
        "definitions": {schema_name(kind): _schema(kind) for kind in chosen},
    }


def schema_name(kind: Kind) -> str:
    """Return the name of a kind's schema: the group backwards, the version, the kind."""
    group = kind.group or "core.api.k8s.io"
    return ".".join((*reversed(group.split(".")), kind.version, kind.kind))


def _type_of(kind: Kind) -> JsonObject:
    return {"group": kind.group, "version": kind.version, "kind": kind.kind}


def _schema(kind: Kind) -> JsonObject:
    return {**kind.schema.raw, _EXTENSION: [_type_of(kind)]}


def _paths(kind: Kind, *, is_v3: bool) -> JsonObject:
    root = f"/apis/{kind.group}/{kind.version}" if kind.group else f"/api/{kind.version}"
    scoped = f"{root}/namespaces/{{namespace}}" if kind.is_namespaced else root
    collection = f"{scoped}/{kind.plural}"
    verbs = {"post": "post"} if kind.is_review else {"get": "list", "post": "post", "delete": "deletecollection"}
    paths: JsonObject = {
        collection: {method: _operation(kind, action, is_v3=is_v3) for method, action in verbs.items()}
    }
    if not kind.is_review:
        actions = ("get", "put", "patch", "delete")
        paths[f"{collection}/{{name}}"] = {action: _operation(kind, action, is_v3=is_v3) for action in actions}
    return paths


def _operation(kind: Kind, action: str, *, is_v3: bool) -> JsonObject:
    operation: JsonObject = {
        "operationId": f"{action}{kind.group.title().replace('.', '')}{kind.version.title()}{kind.kind}",
        "responses": {"200": {"description": "OK"}},
        "x-kubernetes-action": action,
        _EXTENSION: _type_of(kind),
    }
    if action in ("post", "put", "patch"):
        names = (*_WRITE_PARAMETERS, "force") if action == "patch" else _WRITE_PARAMETERS
        operation["parameters"] = [_parameter(name, is_v3=is_v3) for name in names]
    if action == "patch" and is_v3:
        types = _PATCH_TYPES if kind.is_custom else (*_PATCH_TYPES, _STRATEGIC)
        operation["requestBody"] = {"content": {name: {"schema": {"type": "object"}} for name in types}}
    return operation


def _parameter(name: str, *, is_v3: bool) -> JsonObject:
    kind = "boolean" if name == "force" else "string"
    described = {"name": name, "in": "query"}
    return {**described, "schema": {"type": kind}} if is_v3 else {**described, "type": kind}
