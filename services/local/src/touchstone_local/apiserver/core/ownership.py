"""Who manages which fields of an object: metadata.managedFields. Pure."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from touchstone_local.apiserver import errors
from touchstone_local.apiserver.core import fieldsets, objects
from touchstone_local.apiserver.core.fieldsets import FieldSet, Path
from touchstone_local.apiserver.core.objects import JsonObject, JsonValue
from touchstone_local.apiserver.core.schema import Schema

APPLY = "Apply"
UPDATE = "Update"
_SERVER_KEPT = frozenset(
    f"f:{key}"
    for key in (
        "name",
        "namespace",
        "uid",
        "resourceVersion",
        "generation",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "managedFields",
        "selfLink",
    )
)


class Writer(NamedTuple):
    """Who writes, how, and through which door."""

    manager: str
    operation: str
    api_version: str
    subresource: str = ""


class Share(NamedTuple):
    """The fields that one writer manages."""

    writer: Writer
    fields: FieldSet
    time: str


def read(obj: JsonObject) -> list[Share]:
    """Return the shares that an object records.

    Raises:
        BadRequest: What it records is not readable.
    """
    try:
        return [_read_entry(entry) for entry in objects.at(obj, "metadata", "managedFields") or [] if entry]
    except (AttributeError, TypeError, KeyError) as error:
        raise errors.BadRequest(f"metadata.managedFields cannot be read: {error}") from error


def write(shares: Iterable[Share]) -> list[JsonObject]:
    """Return shares as managedFields; empty ones are left out."""
    ordered = sorted(
        (share for share in shares if share.fields), key=lambda share: (share.writer.operation != APPLY, share.time)
    )
    return [_write_entry(share) for share in ordered]


def owned(obj: JsonObject, schema: Schema, *, subresource: str, has_status: bool) -> dict[Path, JsonValue]:
    """Return the paths that a write through a door can own, with what lies there."""
    if subresource == "status":
        visible = {key: value for key, value in obj.items() if key == "status"}
    else:
        visible = {key: value for key, value in obj.items() if key not in ("apiVersion", "kind")}
        if has_status:
            visible.pop("status", None)
    found = fieldsets.leaves(visible, schema)
    return {path: value for path, value in found.items() if path and not _is_kept_by_server(path)}


def after_update(
    shares: Sequence[Share], writer: Writer, before: dict[Path, JsonValue], after: dict[Path, JsonValue], *, time: str
) -> list[Share]:
    """Return the shares after a write that is not an apply: the writer owns what it changed, nobody else does."""
    changed = {path for path, value in after.items() if path not in before or not _is_same(before[path], value)}
    removed = before.keys() - after.keys()
    lost = changed | removed
    if not lost:
        return list(shares)
    mine: FieldSet = fieldsets.EMPTY
    others: list[Share] = []
    for share in shares:
        if share.writer == writer:
            mine = share.fields
        elif share.fields & lost:
            others.append(share._replace(fields=share.fields - lost))
        else:
            others.append(share)
    return [*others, Share(writer, (mine - removed) | changed, time)]


def _is_same(left: JsonValue, right: JsonValue) -> bool:
    return left is right or objects.is_equal(left, right)


def _is_kept_by_server(path: Path) -> bool:
    return path[0] == "f:metadata" and (len(path) == 1 or path[1] in _SERVER_KEPT)


def _read_entry(entry: JsonObject) -> Share:
    writer = Writer(
        manager=entry.get("manager", ""),
        operation=entry["operation"],
        api_version=entry.get("apiVersion", ""),
        subresource=entry.get("subresource", ""),
    )
    return Share(writer, fieldsets.decode(entry.get("fieldsV1") or {}), entry.get("time", ""))


def _write_entry(share: Share) -> JsonObject:
    entry: JsonObject = {
        "manager": share.writer.manager,
        "operation": share.writer.operation,
        "apiVersion": share.writer.api_version,
        "time": share.time,
        "fieldsType": "FieldsV1",
        "fieldsV1": fieldsets.encode(share.fields),
    }
    if share.writer.subresource:
        entry["subresource"] = share.writer.subresource
    return entry
