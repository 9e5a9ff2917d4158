"""Reading Kubernetes objects as records of the view. Pure: takes decoded JSON, refuses what does not fit."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TypeAlias

from touchstone_runtime.revisions import MANIFEST_KEY, Manifest

from touchstone_inference import errors
from touchstone_inference.router.core.view import (
    DeploymentRecord,
    Door,
    Objective,
    ReplicaRecord,
    RevisionRecord,
    RevisionStatus,
    Strategy,
)

Json: TypeAlias = "Mapping[str, Json] | Sequence[Json] | str | int | float | bool | None"
"""Decoded JSON."""

NAME_LABEL = "touchstone.dev/name"
REVISION_LABEL = "touchstone.dev/revision"
ENGINE_PORT = "grpc"
DEFAULT_SESSION_HEADER = "x-session-id"


def identity(document: Json) -> str:
    """Give an object's `NAMESPACE/NAME`."""
    metadata = _at(document, "metadata")
    return f"{_text(metadata, 'namespace')}/{_text(metadata, 'name')}"


def resource_version(document: Json) -> str:
    """Give an object's, or a list's, resourceVersion."""
    return _text(_at(document, "metadata"), "resourceVersion")


def deployment(document: Json) -> DeploymentRecord:
    """Read a ModelDeployment.

    Raises:
        ObjectUnreadable: A field has a type or a value that it cannot have.
    """
    key = identity(document)
    routing = _at(document, "spec", "serving", "routing")
    status = _at(document, "status")
    strategy = _text(routing, "strategy") or Strategy.PREFIX_AWARE
    if strategy not in list(Strategy):
        raise errors.ObjectUnreadable(f"ModelDeployment {key}", f"spec.serving.routing.strategy is {strategy!r}")
    return DeploymentRecord(
        id=key,
        owner=key,
        served_name=_text(_at(document, "spec", "model"), "name") or _text(_at(document, "metadata"), "name"),
        strategy=Strategy(strategy),
        session_header=(_text(routing, "sessionHeader") or DEFAULT_SESSION_HEADER).lower(),
        objective=_objective(key, _at(document, "spec", "serving", "slo")),
        doors=_doors(_at(document, "spec", "expose")),
        stable_revision=_text(status, "stableRevision"),
        statuses=dict(_revision_status(key, entry) for entry in _items(status, "revisions")),
        created_at=_time(_text(_at(document, "metadata"), "creationTimestamp")),
    )


def revision(document: Json) -> RevisionRecord:
    """Read a revision's ConfigMap and check that its manifest hashes to the name that it bears.

    Raises:
        ManifestInvalid: The manifest cannot be read, or its digest or its name does not fit.
    """
    key = identity(document)
    manifest = Manifest.from_json(_text(_at(document, "data"), MANIFEST_KEY))
    if key != f"{manifest.namespace}/{manifest.name}":
        raise errors.ObjectUnreadable(f"ConfigMap {key}", f"its manifest is of {manifest.namespace}/{manifest.name}")
    return RevisionRecord(
        id=key,
        owner=f"{manifest.namespace}/{manifest.deployment}",
        name=manifest.name,
        digest=manifest.digest,
        manifest=manifest,
    )


def replica(document: Json) -> ReplicaRecord | None:
    """Read an engine pod; None while it cannot be called."""
    key = identity(document)
    metadata, labels = _at(document, "metadata"), _at(document, "metadata", "labels")
    address = _text(_at(document, "status"), "podIP")
    is_ready = any(
        _text(condition, "type") == "Ready" and _text(condition, "status") == "True"
        for condition in _items(_at(document, "status"), "conditions")
    )
    ports = [
        port["containerPort"]
        for container in _items(_at(document, "spec"), "containers")
        for port in _items(container, "ports")
        if isinstance(port, Mapping) and port.get("name") == ENGINE_PORT and "containerPort" in port
    ]
    if not (is_ready and address and ports) or _text(metadata, "deletionTimestamp"):
        return None
    return ReplicaRecord(
        id=key,
        owner=f"{_text(metadata, 'namespace')}/{_text(labels, NAME_LABEL)}",
        revision=_text(labels, REVISION_LABEL),
        address=f"[{address}]:{ports[0]}" if ":" in address else f"{address}:{ports[0]}",
    )


def _doors(expose: Json) -> frozenset[Door]:
    """Read which doors are open: all but those that are said to be closed."""
    return frozenset(door for door in Door if not isinstance(expose, Mapping) or expose.get(door) is not False)


def _objective(key: str, slo: Json) -> Objective:
    first, each = (_seconds(key, slo, name) for name in ("ttftP95Millis", "itlP95Millis"))
    return Objective(first_token_seconds=first, per_token_seconds=each)


def _seconds(key: str, slo: Json, name: str) -> float | None:
    millis = slo.get(name) if isinstance(slo, Mapping) else None
    if millis is None:
        return None
    if not isinstance(millis, int) or millis < 1:
        raise errors.ObjectUnreadable(f"ModelDeployment {key}", f"spec.serving.slo.{name} is not 1 or more")
    return millis / 1e3


def _revision_status(key: str, entry: Json) -> tuple[str, RevisionStatus]:
    weight = entry.get("weightPercent", 0) if isinstance(entry, Mapping) else None
    if not isinstance(weight, int) or not 0 <= weight <= 100:
        raise errors.ObjectUnreadable(f"ModelDeployment {key}", "status.revisions[].weightPercent is not 0 to 100")
    return _text(entry, "name"), RevisionStatus(digest=_text(entry, "digest"), weight_percent=weight)


def _at(document: Json, *path: str) -> Json:
    for step in path:
        document = document.get(step) if isinstance(document, Mapping) else None
    return document


def _text(document: Json, key: str) -> str:
    value = document.get(key) if isinstance(document, Mapping) else None
    return value if isinstance(value, str) else ""


def _items(document: Json, key: str) -> Sequence[Json]:
    value = document.get(key) if isinstance(document, Mapping) else None
    return value if isinstance(value, Sequence) and not isinstance(value, str) else ()


def _time(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text) if text else None
    except ValueError:
        return None
