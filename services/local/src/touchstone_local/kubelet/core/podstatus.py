"""A Pod's status, from its record and what the probes say. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from touchstone_local import fields
from touchstone_local.fields import Object
from touchstone_local.kubelet.core import conditions
from touchstone_local.kubelet.core.records import ContainerRecord, Ended, PodRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """What the probes say of a running container."""

    is_started: bool
    is_ready: bool


def render(pod: Object, record: PodRecord, health: Mapping[str, Health], *, now: datetime) -> Object:
    """Return the status of a Pod.

    Args:
        pod: The Pod as it stands, for the times of its conditions.
        record: What runs.
        health: What the probes say, by container; one that is left out does not run.
        now: The time of a change.
    """
    phase = phase_of(record)
    ready = phase == "Running" and all(_is_ready(each, health) for each in record.containers)
    finished = phase == "Succeeded"
    not_ready = ("ContainersNotReady", _unready_message(record, health))
    completed = ("PodCompleted", "")
    reason, message = completed if finished else ("", "") if ready else not_ready
    wanted = [
        _condition("PodScheduled", True),
        _condition("Initialized", True),
        _condition("ContainersReady", ready, reason, message),
        _condition("Ready", ready, reason, message),
    ]
    return {
        "phase": phase,
        "podIP": record.ip,
        "podIPs": [{"ip": record.ip}],
        "hostIP": record.ip,
        "startTime": fields.timestamp(record.started_at),
        "conditions": [
            *(conditions.merge(fields.condition(pod, fields.text(each, "type")), each, now=now) for each in wanted),
            *_of_others(pod, wanted),
        ],
        "containerStatuses": [_container(pod, each, record, health) for each in record.containers],
    }


def _of_others(pod: Object, ours: Sequence[Object]) -> list[Object]:
    """Return the conditions that others have set, as who evicts a Pod does: they stay."""
    kinds = {fields.text(each, "type") for each in ours}
    return [each for each in fields.items(pod, "status", "conditions") if fields.text(each, "type") not in kinds]


def phase_of(record: PodRecord) -> str:
    """Return the phase: Pending until each container has run, then Running, then how it ended."""
    if all(each.is_done for each in record.containers):
        codes = [each.ended.exit_code for each in record.containers if each.ended is not None]
        return "Failed" if any(codes) else "Succeeded"
    return "Pending" if any(each.starts == 0 for each in record.containers) else "Running"


def _condition(kind: str, holds: bool, reason: str = "", message: str = "") -> Object:
    condition: dict[str, object] = {"type": kind, "status": "True" if holds else "False"}
    if reason:
        condition["reason"] = reason
    if message:
        condition["message"] = message
    return condition


def _unready_message(record: PodRecord, health: Mapping[str, Health]) -> str:
    names = " ".join(each.name for each in record.containers if not _is_ready(each, health))
    return f"containers with unready status: [{names}]"


def _is_ready(container: ContainerRecord, health: Mapping[str, Health]) -> bool:
    found = health.get(container.name)
    return container.run is not None and found is not None and found.is_ready


def _container(pod: Object, container: ContainerRecord, record: PodRecord, health: Mapping[str, Health]) -> Object:
    found = health.get(container.name)
    spec = next(
        (each for each in fields.items(pod, "spec", "containers") if fields.text(each, "name") == container.name), {}
    )
    status: dict[str, object] = {
        "name": container.name,
        "image": fields.text(spec, "image"),
        "imageID": "",
        "ready": _is_ready(container, health),
        "started": container.run is not None and found is not None and found.is_started,
        "restartCount": container.restarts,
        "state": _state(container, record),
        "lastState": {},
    }
    if container.starts:
        status["containerID"] = f"process://{record.uid}/{container.name}/{container.starts}"
    if container.ended is not None and not container.is_done:
        status["lastState"] = {"terminated": _terminated(container.ended)}
    return status


def _state(container: ContainerRecord, record: PodRecord) -> Object:
    if container.run is not None:
        return {"running": {"startedAt": fields.timestamp(container.run.started_at)}}
    if container.is_done and container.ended is not None:
        return {"terminated": _terminated(container.ended)}
    waiting = {"reason": container.waiting_reason or "ContainerCreating"}
    if container.waiting_message:
        waiting["message"] = f"{container.waiting_message} pod={record.name}_{record.namespace}"
    return {"waiting": waiting}


def _terminated(how: Ended) -> Object:
    terminated: dict[str, object] = {
        "exitCode": how.exit_code,
        "reason": how.reason,
        "startedAt": fields.timestamp(how.started_at),
        "finishedAt": fields.timestamp(how.finished_at),
    }
    if how.message:
        terminated["message"] = how.message
    return terminated
