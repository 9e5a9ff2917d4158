"""What a Job needs next: Pods to make, Pods to remove, its status, or its own removal. Pure.

Follows Kubernetes' job controller for non-indexed Jobs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from touchstone_local import fields
from touchstone_local.fields import Object
from touchstone_local.kubelet.core import conditions, restarting, templates

DEFAULT_BACKOFF_LIMIT = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class JobPlan:
    """What to do for a Job now."""

    create: int
    """How many Pods to make."""
    remove: tuple[str, ...]
    """Names of the Pods to delete."""
    remove_job: bool
    """Whether the Job has outlived its time to live."""
    status: Object
    """The status that the Job has before these steps are taken."""
    again_at: datetime | None
    """When to look again though nothing has changed; None for never."""


def plan(job: Object, pods: Sequence[Object], *, now: datetime) -> JobPlan:
    """Return the next steps of a Job.

    Args:
        job: The Job.
        pods: The Pods that it controls.
        now: The present time.
    """
    if _is_finished(job):
        return _plan_finished(job, now=now)
    active = [pod for pod in pods if templates.is_active(pod)]
    done = sum(1 for pod in pods if fields.text(pod, "status", "phase") == "Succeeded")
    succeeded = max(done, fields.integer(job, "status", "succeeded"))
    failures = [pod for pod in pods if _has_failed(pod)]
    failed = max(len(failures), fields.integer(job, "status", "failed"))
    ending = _refusal(job, failures) or _ending(job, active, succeeded=succeeded, failed=failed, now=now)
    status = _status(job, active, succeeded=succeeded, failed=failed, ending=ending, now=now)
    if fields.is_terminating(job):
        return _result(status)
    if ending or fields.flag(job, "spec", "suspend"):
        return _result(status, remove=[fields.name(pod) for pod in active])
    room = min(_number(job, "parallelism"), _number(job, "completions") - succeeded) - len(active)
    wait_until = _retry_at(failures)
    if room > 0 and wait_until is not None and wait_until > now:
        return _result(status, again_at=_earliest(wait_until, _deadline(job)))
    return _result(status, create=max(0, room), again_at=_deadline(job))


def _result(
    status: Object,
    *,
    create: int = 0,
    remove: Sequence[str] = (),
    remove_job: bool = False,
    again_at: datetime | None = None,
) -> JobPlan:
    return JobPlan(create=create, remove=tuple(remove), remove_job=remove_job, status=status, again_at=again_at)


def _plan_finished(job: Object, *, now: datetime) -> JobPlan:
    status = fields.mapping(job, "status")
    if fields.at(job, "spec", "ttlSecondsAfterFinished") is None or fields.is_terminating(job):
        return _result(status)
    finished = _finished_at(job)
    expires = (finished or now) + timedelta(seconds=fields.integer(job, "spec", "ttlSecondsAfterFinished"))
    return _result(status, remove_job=expires <= now, again_at=expires if expires > now else None)


def _has_failed(pod: Object) -> bool:
    """Whether a Pod has failed, or was asked to go before it had ended."""
    phase = fields.text(pod, "status", "phase")
    return phase == "Failed" or (fields.is_terminating(pod) and phase != "Succeeded")


def _refusal(job: Object, failures: Sequence[Object]) -> Object:
    """Return the condition that ends the Job by a rule on its Pods' conditions, or an empty mapping.

    Of podFailurePolicy these are the rules that are known here: action FailJob with onPodConditions.
    """
    for rule in fields.items(job, "spec", "podFailurePolicy", "rules"):
        for wanted in fields.items(rule, "onPodConditions"):
            kind, status = fields.text(wanted, "type"), fields.text(wanted, "status", default="True")
            for pod in failures:
                is_met = fields.text(fields.condition(pod, kind), "status") == status
                if is_met and fields.text(rule, "action") == "FailJob":
                    message = f"Pod {fields.key(pod)} has condition {kind} matching FailJob rule"
                    return _condition("Failed", "PodFailurePolicy", message)
    return {}


def _ending(job: Object, active: Sequence[Object], *, succeeded: int, failed: int, now: datetime) -> Object:
    """Return the condition that ends the Job, or an empty mapping while it goes on."""
    if succeeded >= _number(job, "completions"):
        return _condition("Complete", "CompletionsReached", "Reached expected number of succeeded pods")
    restarts = sum(_restarts(pod) for pod in active)
    if failed + restarts > fields.integer(job, "spec", "backoffLimit", default=DEFAULT_BACKOFF_LIMIT):
        return _condition("Failed", "BackoffLimitExceeded", "Job has reached the specified backoff limit")
    deadline = _deadline(job)
    if deadline is not None and now >= deadline:
        return _condition("Failed", "DeadlineExceeded", "Job was active longer than specified deadline")
    return {}


def _status(
    job: Object, active: Sequence[Object], *, succeeded: int, failed: int, ending: Object, now: datetime
) -> Object:
    suspended = fields.flag(job, "spec", "suspend")
    status: dict[str, object] = {
        "active": 0 if ending else len(active),
        "ready": 0 if ending else sum(1 for pod in active if templates.is_ready(pod)),
        "succeeded": succeeded,
        "failed": failed + (len(active) if fields.text(ending, "type") == "Failed" else 0),
    }
    started = fields.text(job, "status", "startTime")
    if not suspended:
        status["startTime"] = started or fields.timestamp(now)
    if fields.text(ending, "type") == "Complete":
        status["completionTime"] = fields.timestamp(now)
    wanted = [ending] if ending else []
    if suspended or fields.condition(job, "Suspended"):
        wanted.append({**_condition("Suspended", "JobSuspended", ""), "status": "True" if suspended else "False"})
    status["conditions"] = [
        conditions.merge(fields.condition(job, fields.text(each, "type")), each, now=now) for each in wanted
    ]
    return status


def _condition(kind: str, reason: str, message: str) -> Object:
    return {"type": kind, "status": "True", "reason": reason, "message": message}


def _is_finished(job: Object) -> bool:
    return any(fields.text(fields.condition(job, kind), "status") == "True" for kind in ("Complete", "Failed"))


def _finished_at(job: Object) -> datetime | None:
    found = (fields.time(fields.condition(job, kind), "lastTransitionTime") for kind in ("Complete", "Failed"))
    return next((moment for moment in found if moment), None)


def _deadline(job: Object) -> datetime | None:
    started = fields.time(job, "status", "startTime")
    seconds = fields.integer(job, "spec", "activeDeadlineSeconds")
    return started + timedelta(seconds=seconds) if started and seconds else None


def _retry_at(failures: Sequence[Object]) -> datetime | None:
    """Return when the next Pod may follow those that failed."""
    ends = [moment for pod in failures for moment in _ends(pod)]
    if not ends:
        return None
    return max(ends) + timedelta(seconds=restarting.delay_seconds(len(failures)))


def _ends(pod: Object) -> list[datetime]:
    statuses = fields.items(pod, "status", "containerStatuses")
    found = (fields.time(status, "state", "terminated", "finishedAt") for status in statuses)
    return [moment for moment in found if moment]


def _restarts(pod: Object) -> int:
    return sum(fields.integer(status, "restartCount") for status in fields.items(pod, "status", "containerStatuses"))


def _number(job: Object, field: str) -> int:
    return fields.integer(job, "spec", field, default=1)


def _earliest(*moments: datetime | None) -> datetime | None:
    return min((moment for moment in moments if moment is not None), default=None)
