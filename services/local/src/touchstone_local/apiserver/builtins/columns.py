"""The table columns of the built-in kinds, as kubectl users know them. Pure."""

from collections.abc import Callable, Mapping
from datetime import datetime

from touchstone_local.apiserver.core import columns, objects
from touchstone_local.apiserver.core.kinds import Column
from touchstone_local.apiserver.core.objects import JsonObject, JsonValue

Read = Callable[[JsonObject, datetime], JsonValue]


def _path(*path: str, default: JsonValue = "") -> Read:
    def read(obj: JsonObject, now: datetime) -> JsonValue:
        found = objects.at(obj, *path)
        return default if found is None else found

    return read


def _column(name: str, read: Read, *, kind: str = "string", priority: int = 0) -> Column:
    return Column(name=name, type=kind, description=f"{name} of the object.", read=read, priority=priority)


def _size(*names: str) -> Read:
    return lambda obj, now: sum(len(obj.get(name) or {}) for name in names)


def _container_statuses(pod: JsonObject) -> list[JsonObject]:
    return objects.at(pod, "status", "containerStatuses") or []


def _pod_ready(pod: JsonObject, now: datetime) -> str:
    ready = sum(bool(status.get("ready")) for status in _container_statuses(pod))
    return f"{ready}/{len(objects.at(pod, 'spec', 'containers') or [])}"


def _pod_status(pod: JsonObject, now: datetime) -> str:
    if objects.is_terminating(pod):
        return "Terminating"
    for status in _container_statuses(pod):
        state = status.get("state") or {}
        for phase in ("waiting", "terminated"):
            if reason := objects.at(state, phase, "reason"):
                return str(reason)
    return objects.at(pod, "status", "reason") or objects.at(pod, "status", "phase") or "Unknown"


def _pod_restarts(pod: JsonObject, now: datetime) -> int:
    return sum(int(status.get("restartCount") or 0) for status in _container_statuses(pod))


def _deployment_ready(obj: JsonObject, now: datetime) -> str:
    return f"{objects.at(obj, 'status', 'readyReplicas') or 0}/{objects.at(obj, 'spec', 'replicas') or 0}"


def _job_status(job: JsonObject, now: datetime) -> str:
    conditions = objects.at(job, "status", "conditions") or []
    held = {condition.get("type") for condition in conditions if condition.get("status") == "True"}
    for kind in ("Complete", "Failed", "Suspended"):
        if kind in held:
            return kind
    return "Terminating" if objects.is_terminating(job) else "Running"


def _job_completions(job: JsonObject, now: datetime) -> str:
    wanted = objects.at(job, "spec", "completions")
    return f"{objects.at(job, 'status', 'succeeded') or 0}/{wanted if wanted is not None else 1}"


def _job_duration(job: JsonObject, now: datetime) -> str:
    start = objects.parse_time(objects.at(job, "status", "startTime"))
    if start is None:
        return ""
    end = objects.parse_time(objects.at(job, "status", "completionTime")) or now
    return columns.human_duration((end - start).total_seconds())


def _service_ports(service: JsonObject, now: datetime) -> str:
    ports = objects.at(service, "spec", "ports") or []
    return ",".join(f"{port.get('port')}/{port.get('protocol', 'TCP')}" for port in ports) or "<none>"


def _event_seen(event: JsonObject, now: datetime) -> str:
    times = (event.get(key) for key in ("lastTimestamp", "eventTime", "firstTimestamp"))
    return columns.age(next(filter(None, times), None), now)


def _event_object(event: JsonObject, now: datetime) -> str:
    reference = event.get("involvedObject") or event.get("regarding") or {}
    return f"{str(reference.get('kind', '')).lower()}/{reference.get('name', '')}"


def _event_message(event: JsonObject, now: datetime) -> str:
    return str(event.get("message") or event.get("note") or "").strip()


_EVENT_COLUMNS = (
    _column("Last Seen", _event_seen),
    _column("Type", _path("type")),
    _column("Reason", _path("reason")),
    _column("Object", _event_object),
    _column("Message", _event_message),
)
COLUMNS: Mapping[str, tuple[Column, ...]] = {
    "/namespaces": (_column("Status", _path("status", "phase")), columns.AGE),
    "/configmaps": (_column("Data", _size("data", "binaryData"), kind="integer"), columns.AGE),
    "/secrets": (_column("Type", _path("type")), _column("Data", _size("data"), kind="integer"), columns.AGE),
    "/pods": (
        _column("Ready", _pod_ready),
        _column("Status", _pod_status),
        _column("Restarts", _pod_restarts, kind="integer"),
        columns.AGE,
        _column("IP", _path("status", "podIP", default="<none>"), priority=1),
        _column("Node", _path("spec", "nodeName", default="<none>"), priority=1),
    ),
    "/services": (
        _column("Type", _path("spec", "type")),
        _column("Cluster-IP", _path("spec", "clusterIP", default="<none>")),
        _column("External-IP", _path("spec", "externalName", default="<none>")),
        _column("Port(s)", _service_ports),
        columns.AGE,
    ),
    "/serviceaccounts": (_column("Secrets", _size("secrets"), kind="integer"), columns.AGE),
    "/events": _EVENT_COLUMNS,
    "events.k8s.io/events": _EVENT_COLUMNS,
    "apps/deployments": (
        _column("Ready", _deployment_ready),
        _column("Up-to-date", _path("status", "updatedReplicas", default=0), kind="integer"),
        _column("Available", _path("status", "availableReplicas", default=0), kind="integer"),
        columns.AGE,
    ),
    "apps/replicasets": (
        _column("Desired", _path("spec", "replicas", default=0), kind="integer"),
        _column("Current", _path("status", "replicas", default=0), kind="integer"),
        _column("Ready", _path("status", "readyReplicas", default=0), kind="integer"),
        columns.AGE,
    ),
    "batch/jobs": (
        _column("Status", _job_status),
        _column("Completions", _job_completions),
        _column("Duration", _job_duration),
        columns.AGE,
    ),
    "coordination.k8s.io/leases": (_column("Holder", _path("spec", "holderIdentity")), columns.AGE),
    "apiextensions.k8s.io/customresourcedefinitions": (
        _column("Created At", _path("metadata", "creationTimestamp"), kind="date"),
    ),
}
"""Columns by `GROUP/PLURAL`, after the name."""
