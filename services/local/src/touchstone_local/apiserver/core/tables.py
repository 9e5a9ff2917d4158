"""Objects as tables, and as metadata only: what `kubectl get` asks for. Pure."""

from collections.abc import Iterable
from datetime import datetime

from touchstone_local.apiserver.core import columns
from touchstone_local.apiserver.core.kinds import Column, Kind
from touchstone_local.apiserver.core.objects import JsonObject, JsonValue

DEFAULT_COLUMNS = (columns.AGE,)


def table(
    kind: Kind,
    items: Iterable[JsonObject],
    *,
    now: datetime,
    include: str,
    list_meta: JsonObject,
    with_head: bool = True,
) -> JsonObject:
    """Return a Table of objects.

    Args:
        kind: Their kind.
        items: The objects, in its served version.
        now: The time, for ages.
        include: What each row carries of its object: `None`, `Metadata` or `Object`.
        list_meta: The metadata of the list.
        with_head: Whether column definitions are sent; a watch sends them once.
    """
    shown = (columns.NAME, *(kind.columns or DEFAULT_COLUMNS))
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": list_meta,
        "columnDefinitions": [_definition(column) for column in shown] if with_head else None,
        "rows": [
            {"cells": [column.read(item, now) for column in shown], "object": _row_object(item, include)}
            for item in items
        ],
    }


def partial(obj: JsonObject) -> JsonObject:
    """Return the PartialObjectMetadata of an object."""
    return {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": obj["metadata"]}


def _row_object(obj: JsonObject, include: str) -> JsonValue:
    if include == "None":
        return None
    return obj if include == "Object" else partial(obj)


def _definition(column: Column) -> JsonObject:
    return {
        "name": column.name,
        "type": column.type,
        "format": column.format,
        "description": column.description,
        "priority": column.priority,
    }
