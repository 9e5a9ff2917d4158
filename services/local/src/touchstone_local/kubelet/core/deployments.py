"""What a Deployment needs next: Pods to make, Pods to remove, and its status. Pure.

Follows the arithmetic of Kubernetes' deployment controller, with Pods where it has ReplicaSets: a rolling update never
has more than `replicas + maxSurge` Pods nor fewer than `replicas - maxUnavailable` available ones.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from touchstone_local import fields
from touchstone_local.fields import Object
from touchstone_local.kubelet.core import conditions, templates

DEFAULT_PROGRESS_DEADLINE_SECONDS = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentPlan:
    """What to do for a Deployment now."""

    create: int
    """How many Pods of the present template to make."""
    remove: tuple[str, ...]
    """Names of the Pods to delete."""
    template_hash: str
    """The hash that new Pods are labelled with."""
    status: Object
    """The status that the Deployment has before these steps are taken."""
    again_at: datetime | None
    """When to look again though nothing has changed; None for never."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Census:
    """A Deployment's Pods, counted."""

    new: tuple[Object, ...]
    old: tuple[Object, ...]
    available: frozenset[str]
    ready: int

    @property
    def active(self) -> int:
        return len(self.new) + len(self.old)

    def is_available(self, pod: Object) -> bool:
        return fields.name(pod) in self.available


def plan(deployment: Object, pods: Sequence[Object], *, now: datetime) -> DeploymentPlan:
    """Return the next steps of a Deployment.

    Args:
        deployment: The Deployment.
        pods: The Pods that it controls.
        now: The present time.
    """
    wanted_hash = templates.template_hash(fields.mapping(deployment, "spec", "template"))
    census = _count(deployment, pods, wanted_hash, now=now)
    terminating = any(fields.is_terminating(pod) for pod in pods)
    if fields.is_terminating(deployment) or fields.flag(deployment, "spec", "paused"):
        create, remove = 0, []
    else:
        create = _to_create(deployment, census, terminating=terminating)
        remove = _to_remove(deployment, census)
        remove += [fields.name(pod) for pod in pods if _has_failed(pod)]
    return DeploymentPlan(
        create=create,
        remove=tuple(remove),
        template_hash=wanted_hash,
        status=_status(deployment, census, now=now),
        again_at=_again_at(deployment, census, now=now),
    )


def _count(deployment: Object, pods: Sequence[Object], wanted_hash: str, *, now: datetime) -> _Census:
    active = sorted((pod for pod in pods if templates.is_active(pod)), key=fields.name)
    minimum = fields.integer(deployment, "spec", "minReadySeconds")
    return _Census(
        new=tuple(pod for pod in active if _hash_of(pod) == wanted_hash),
        old=tuple(pod for pod in active if _hash_of(pod) != wanted_hash),
        available=frozenset(fields.name(pod) for pod in active if _is_available(pod, minimum, now=now)),
        ready=sum(1 for pod in active if templates.is_ready(pod)),
    )


def _to_create(deployment: Object, census: _Census, *, terminating: bool) -> int:
    replicas = _replicas(deployment)
    missing = max(0, replicas - len(census.new))
    if _is_recreate(deployment):
        return 0 if census.old or (terminating and not census.new) else missing
    return max(0, min(missing, replicas + _max_surge(deployment) - census.active))


def _to_remove(deployment: Object, census: _Census) -> list[str]:
    replicas = _replicas(deployment)
    if _is_recreate(deployment):
        return [fields.name(pod) for pod in census.old] + _surplus(census, len(census.new) - replicas)
    removed = _surplus(census, len(census.new) - replicas)
    minimum = max(0, replicas - _max_unavailable(deployment))
    spare = len(census.available - frozenset(removed)) - minimum
    for pod in sorted(census.old, key=lambda pod: (census.is_available(pod), fields.name(pod))):
        if not census.is_available(pod):
            removed.append(fields.name(pod))
        elif spare > 0:
            removed.append(fields.name(pod))
            spare -= 1
    return removed


def _surplus(census: _Census, count: int) -> list[str]:
    """Return Pods of the present template that are too many: those that do not serve first, then the youngest."""
    if count <= 0:
        return []
    by_age = sorted(census.new, key=lambda pod: fields.text(pod, "metadata", "creationTimestamp"), reverse=True)
    ordered = sorted(by_age, key=census.is_available)
    return [fields.name(pod) for pod in ordered[:count]]


def _status(deployment: Object, census: _Census, *, now: datetime) -> Object:
    available = len(census.available)
    replicas = _replicas(deployment)
    status: dict[str, object] = {
        "observedGeneration": fields.integer(deployment, "metadata", "generation"),
        "replicas": census.active,
        "updatedReplicas": len(census.new),
        "readyReplicas": census.ready,
        "availableReplicas": available,
        "unavailableReplicas": max(0, max(replicas, census.active) - available),
    }
    wanted = (_available(deployment, available), _progressing(deployment, census, now=now))
    status["conditions"] = [
        conditions.merge(fields.condition(deployment, fields.text(each, "type")), each, now=now, with_update_time=True)
        for each in wanted
    ]
    return status


def _available(deployment: Object, available: int) -> Object:
    if available >= _replicas(deployment) - _max_unavailable(deployment):
        return _condition("Available", "True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
    return _condition(
        "Available", "False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability."
    )


def _progressing(deployment: Object, census: _Census, *, now: datetime) -> Object:
    name = fields.name(deployment)
    if _is_complete(deployment, census):
        return _condition("Progressing", "True", "NewReplicaSetAvailable", f"Deployment {name} has progressed.")
    if fields.flag(deployment, "spec", "paused"):
        return _condition("Progressing", "Unknown", "DeploymentPaused", "Deployment is paused")
    deadline = _progress_deadline(deployment)
    if deadline is not None and now >= deadline and _has_been_seen(deployment):
        return _condition(
            "Progressing", "False", "ProgressDeadlineExceeded", f"Deployment {name} has timed out progressing."
        )
    return _condition(
        "Progressing",
        "True",
        "ReplicaSetUpdated",
        f"Deployment {name} is progressing: {len(census.new)} updated, {len(census.available)} available.",
    )


def _condition(kind: str, status: str, reason: str, message: str) -> Object:
    return {"type": kind, "status": status, "reason": reason, "message": message}


def _is_complete(deployment: Object, census: _Census) -> bool:
    replicas = _replicas(deployment)
    return len(census.new) == replicas and not census.old and len(census.available) >= replicas


def _has_been_seen(deployment: Object) -> bool:
    """Whether the present generation has a status, so that the time of its last progress is its own."""
    observed = fields.integer(deployment, "status", "observedGeneration")
    return observed >= fields.integer(deployment, "metadata", "generation")


def _progress_deadline(deployment: Object) -> datetime | None:
    """Return when the rollout counts as stuck: a while after the last change of its Progressing condition."""
    since = fields.time(fields.condition(deployment, "Progressing"), "lastUpdateTime")
    seconds = fields.integer(deployment, "spec", "progressDeadlineSeconds", default=DEFAULT_PROGRESS_DEADLINE_SECONDS)
    return since + timedelta(seconds=seconds) if since else None


def _again_at(deployment: Object, census: _Census, *, now: datetime) -> datetime | None:
    """Return when time alone changes the answer: a Pod has been ready for long enough, or the rollout is stuck."""
    moments = []
    minimum = timedelta(seconds=fields.integer(deployment, "spec", "minReadySeconds"))
    for pod in (*census.new, *census.old):
        since = _ready_since(pod)
        if since and not census.is_available(pod):
            moments.append(since + minimum)
    deadline = _progress_deadline(deployment)
    if deadline is not None and not _is_complete(deployment, census):
        moments.append(deadline)
    return min((moment for moment in moments if moment > now), default=None)


def _is_available(pod: Object, minimum_seconds: int, *, now: datetime) -> bool:
    since = _ready_since(pod)
    return since is not None and since + timedelta(seconds=minimum_seconds) <= now


def _ready_since(pod: Object) -> datetime | None:
    return fields.time(fields.condition(pod, "Ready"), "lastTransitionTime") if templates.is_ready(pod) else None


def _has_failed(pod: Object) -> bool:
    return not fields.is_terminating(pod) and not templates.is_active(pod)


def _hash_of(pod: Object) -> str:
    return fields.text(pod, "metadata", "labels", templates.HASH_LABEL)


def _replicas(deployment: Object) -> int:
    return fields.integer(deployment, "spec", "replicas", default=1)


def _is_recreate(deployment: Object) -> bool:
    return fields.text(deployment, "spec", "strategy", "type") == "Recreate"


def _max_surge(deployment: Object) -> int:
    surge = _share(deployment, "maxSurge", round_up=True)
    unavailable = _share(deployment, "maxUnavailable", round_up=False)
    return 1 if surge == 0 and unavailable == 0 else surge


def _max_unavailable(deployment: Object) -> int:
    return 0 if _is_recreate(deployment) else _share(deployment, "maxUnavailable", round_up=False)


def _share(deployment: Object, field: str, *, round_up: bool) -> int:
    """Return a count, or a percentage of the replicas; unset is 25 %."""
    value = fields.text(deployment, "spec", "strategy", "rollingUpdate", field, default="25%")
    if not value.endswith("%"):
        return int(value)
    exact = _replicas(deployment) * float(value[:-1]) / 100
    return math.ceil(exact) if round_up else math.floor(exact)
