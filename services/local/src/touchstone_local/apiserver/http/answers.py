"""Writing answers: which shape the client accepts, and objects in that shape."""

import json
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from starlette.responses import Response

from touchstone_local.apiserver import errors
from touchstone_local.apiserver.core import objects, tables
from touchstone_local.apiserver.core.kinds import Kind
from touchstone_local.apiserver.core.objects import JsonObject, JsonValue
from touchstone_local.apiserver.reads import Page
from touchstone_local.apiserver.watching import Encode

PLAIN, TABLE, PARTIAL = "", "Table", "PartialObjectMetadata"
PARTIAL_LIST = "PartialObjectMetadataList"
DISCOVERY = "APIGroupDiscoveryList"
DISCOVERY_TYPE = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
_SHAPES = (TABLE, PARTIAL, PARTIAL_LIST)


class Shape(NamedTuple):
    """How objects are to be written."""

    name: str = PLAIN
    include: str = "Metadata"
    """What the rows of a table carry of their objects."""


def choose_shape(accept: str, *, include: str) -> Shape:
    """Return the first shape that a client accepts.

    Raises:
        NotAcceptable: It accepts none.
    """
    for kind, parameters in _accepted(accept):
        if kind not in ("application/json", "application/*", "*/*"):
            continue
        wanted = parameters.get("as", PLAIN)
        if wanted in _SHAPES and parameters.get("g") == "meta.k8s.io" and parameters.get("v") == "v1":
            return Shape(PARTIAL if wanted == PARTIAL_LIST else wanted, include or "Metadata")
        if wanted == PLAIN:
            return Shape()
    raise errors.NotAcceptable("only the following media types are accepted: application/json")


def wants_aggregated_discovery(accept: str) -> bool:
    """Whether a client accepts all kinds in one document."""
    return any(parameters.get("as") == DISCOVERY and parameters.get("v") == "v2" for _, parameters in _accepted(accept))


def json_answer(
    value: JsonValue, *, status: int = 200, warnings: Iterable[str] = (), media_type: str = "application/json"
) -> Response:
    """Return an answer with a JSON value."""
    return raw_answer(objects.encode(value), status=status, warnings=warnings, media_type=media_type)


def raw_answer(
    content: bytes, *, status: int = 200, warnings: Iterable[str] = (), media_type: str = "application/json"
) -> Response:
    """Return an answer with encoded JSON."""
    response = Response(content, status_code=status, media_type=media_type)
    for text in warnings:
        response.headers.append("warning", f"299 - {json.dumps(text)}")
    return response


def object_content(kind: Kind, obj: JsonObject, shape: Shape, now: datetime) -> JsonValue:
    """Return one object in a shape."""
    if shape.name == TABLE:
        list_meta = {"resourceVersion": obj["metadata"].get("resourceVersion", "")}
        return tables.table(kind, [obj], now=now, include=shape.include, list_meta=list_meta)
    return tables.partial(obj) if shape.name == PARTIAL else obj


def list_content(kind: Kind, page: Page, shape: Shape, now: datetime) -> bytes:
    """Return a list of objects in a shape, encoded."""
    list_meta: JsonObject = {"resourceVersion": str(page.version)}
    if page.token:
        list_meta["continue"] = page.token
    if page.remaining is not None:
        list_meta["remainingItemCount"] = page.remaining
    if shape.name == PLAIN and not kind.is_view:
        return _joined(kind.list_kind, kind.api_version, list_meta, [entry.encoded for entry in page.entries])
    bodies = [kind.served(entry.body) for entry in page.entries]
    if shape.name == TABLE:
        return objects.encode(tables.table(kind, bodies, now=now, include=shape.include, list_meta=list_meta))
    if shape.name == PARTIAL:
        encoded = [objects.encode(tables.partial(body)) for body in bodies]
        return _joined(PARTIAL_LIST, "meta.k8s.io/v1", list_meta, encoded)
    return _joined(kind.list_kind, kind.api_version, list_meta, [objects.encode(body) for body in bodies])


def event_encoder(kind: Kind, shape: Shape, now: Callable[[], datetime]) -> Encode:
    """Return what turns stored objects into the events of a watch; a table's head is sent once."""
    if shape.name == PLAIN and not kind.is_view:
        return lambda encoded: encoded
    is_first = True

    def encode(encoded: bytes) -> bytes:
        nonlocal is_first
        body = kind.served(json.loads(encoded))
        if shape.name == PARTIAL:
            return objects.encode(tables.partial(body))
        if shape.name == PLAIN:
            return objects.encode(body)
        list_meta = {"resourceVersion": body["metadata"]["resourceVersion"]}
        table = tables.table(kind, [body], now=now(), include=shape.include, list_meta=list_meta, with_head=is_first)
        is_first = False
        return objects.encode(table)

    return encode


def _joined(list_kind: str, api_version: str, list_meta: JsonObject, items: Sequence[bytes]) -> bytes:
    head = objects.encode({"kind": list_kind, "apiVersion": api_version, "metadata": list_meta})
    return head[:-1] + b',"items":[' + b",".join(items) + b"]}"


def _accepted(accept: str) -> Iterable[tuple[str, dict[str, str]]]:
    for entry in (accept or "*/*").split(","):
        kind, *parameters = (part.strip() for part in entry.split(";"))
        pairs = (parameter.partition("=") for parameter in parameters)
        yield kind.lower(), {name.strip(): value.strip() for name, _, value in pairs}
