"""Paths and queries of requests. Pure."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from starlette.exceptions import HTTPException

from touchstone_local.apiserver import errors
from touchstone_local.apiserver.core import selectors
from touchstone_local.apiserver.core.kinds import Kind
from touchstone_local.apiserver.core.objects import JsonObject
from touchstone_local.apiserver.core.options import IGNORE, STRICT, WARN, DeleteOptions, WriteOptions
from touchstone_local.apiserver.core.selectors import Selector
from touchstone_local.apiserver.reads import ListQuery
from touchstone_local.apiserver.watching import WatchQuery

Query = Mapping[str, str]
WATCH_SECONDS = 1800.0
"""How long a watch lasts that does not say it."""
_MANAGER_LIMIT = 128


class Target(NamedTuple):
    """What the path of a request names."""

    group: str
    version: str
    plural: str
    namespace: str = ""
    name: str = ""
    subresource: str = ""


def parse_path(group: str, version: str, rest: str) -> Target:
    """Return the target of a path below a group version.

    Raises:
        HTTPException: The path is none of an object or a collection.
    """
    parts: Sequence[str] = rest.strip("/").split("/")
    namespace = ""
    if parts[0] == "namespaces" and len(parts) > 2 and not (len(parts) == 3 and parts[2] in ("status", "finalize")):
        namespace, parts = parts[1], parts[2:]
    if len(parts) > 3 or not all(parts):
        raise unknown_path()
    name, subresource = (*parts[1:], "", "")[:2]
    return Target(group, version, parts[0], namespace, name, subresource)


def unknown_path() -> HTTPException:
    """Return the error for a path that the server does not have; it is answered as plain text, as Kubernetes does."""
    return HTTPException(404)


def selector_of(query: Query, kind: Kind) -> Selector:
    """Return the selector of a query.

    Raises:
        BadRequest: It cannot be read.
    """
    return Selector(
        selectors.parse_labels(query.get("labelSelector", "")),
        selectors.parse_fields(query.get("fieldSelector", ""), known=kind.field_names, kind=kind.kind),
    )


def list_query(query: Query, kind: Kind, target: Target) -> ListQuery:
    """Return what a list request asks for."""
    return ListQuery(
        namespace=target.namespace,
        selector=selector_of(query, kind),
        limit=_number(query, "limit") or 0,
        token=query.get("continue", ""),
        version=query.get("resourceVersion", ""),
        version_match=query.get("resourceVersionMatch", ""),
    )


def watch_query(query: Query, kind: Kind, target: Target) -> WatchQuery:
    """Return what a watch request asks for."""
    selector = selector_of(query, kind)
    if target.name:
        by_name = selectors.Requirement("metadata.name", "=", (target.name,))
        selector = selector._replace(fields=(*selector.fields, by_name))
    return WatchQuery(
        timeout_seconds=float(_number(query, "timeoutSeconds") or WATCH_SECONDS),
        namespace=target.namespace,
        selector=selector,
        version=query.get("resourceVersion", ""),
        has_bookmarks=is_true(query, "allowWatchBookmarks"),
        sends_state=is_true(query, "sendInitialEvents"),
    )


def write_options(query: Query, *, user_agent: str, subresource: str, repeated: Sequence[str]) -> WriteOptions:
    """Return the options of a write.

    Raises:
        BadRequest: One cannot be read.
    """
    validation = query.get("fieldValidation") or WARN
    if validation not in (STRICT, WARN, IGNORE):
        raise errors.BadRequest(f'fieldValidation: Unsupported value: "{validation}": supported: Ignore, Strict, Warn')
    manager = query.get("fieldManager") or user_agent.partition("/")[0] or "unknown"
    return WriteOptions(
        manager=manager[:_MANAGER_LIMIT],
        subresource=subresource,
        field_validation=validation,
        repeated_fields=tuple(repeated),
        is_dry_run=_is_dry_run(query.get("dryRun")),
        is_forced=is_true(query, "force"),
    )


def delete_options(query: Query, body: JsonObject) -> DeleteOptions:
    """Return the options of a deletion, from its body and its query.

    Raises:
        BadRequest: One cannot be read.
    """
    preconditions = body.get("preconditions") or {}
    propagation = body.get("propagationPolicy") or query.get("propagationPolicy") or ""
    if propagation not in ("", "Background", "Foreground", "Orphan"):
        raise errors.BadRequest(f'propagationPolicy: Unsupported value: "{propagation}"')
    orphans = body.get("orphanDependents", query.get("orphanDependents"))
    if not propagation and orphans is not None:
        propagation = "Orphan" if orphans in (True, "true") else "Background"
    grace = body.get("gracePeriodSeconds")
    dry_run = body.get("dryRun") or ([query["dryRun"]] if query.get("dryRun") else [])
    return DeleteOptions(
        propagation=propagation,
        uid=preconditions.get("uid") or "",
        version=preconditions.get("resourceVersion") or "",
        grace_seconds=grace if isinstance(grace, int) else _number(query, "gracePeriodSeconds"),
        is_dry_run=any(_is_dry_run(entry) for entry in dry_run),
    )


def is_true(query: Query, name: str) -> bool:
    """Whether a flag of a query is set."""
    return query.get(name, "").lower() in ("true", "1")


def _is_dry_run(value: str | None) -> bool:
    if value not in (None, "", "All"):
        raise errors.BadRequest(f'dryRun: Unsupported value: "{value}": supported values: "All"')
    return value == "All"


def _number(query: Query, name: str) -> int | None:
    text = query.get(name, "")
    if not text:
        return None
    if not text.isdecimal():
        raise errors.BadRequest(f'{name}: Invalid value: "{text}": must be a number')
    return int(text)
