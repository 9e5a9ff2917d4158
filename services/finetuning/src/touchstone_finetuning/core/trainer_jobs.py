"""The Kubernetes Job of a training: what it is made of, and what its state says of the trainer. Pure.

The Job is the platform's template with the workspace, the resources and the name of one run. It is tried once: what
comes after a failure, the record of jobs says, which counts attempts and preemptions apart.
"""

import copy
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from touchstone_finetuning.core.resources import Resources

CONTAINER = "trainer"
"""The container of the template that trains."""
RUN_LABEL = "touchstone.dev/run"
DIGEST_ANNOTATION = "touchstone.dev/recipe"
"""Of the recipe and all else that the Job was made of: another Job of the run does something else."""
DISRUPTED = "DisruptionTarget"
"""The condition of a pod that was preempted, evicted, or whose node goes."""
MAX_PREFIX = 46
"""Names have at most 63 characters, of which the run takes 17."""
KEY = 16
"""Characters of a run's key in names."""

JsonObject = dict[str, Any]


def check(template: JsonObject) -> None:
    """Check the template of Jobs.

    Raises:
        ValueError: It is none; the message says what is missing.
    """
    metadata = template.get("metadata", {})
    if not metadata.get("name") or not metadata.get("namespace"):
        raise ValueError("it has no metadata.name or metadata.namespace")
    containers = _at(template, "spec", "template", "spec", "containers") or []
    if [each.get("name") for each in containers].count(CONTAINER) != 1:
        raise ValueError(f"it has no container named {CONTAINER}")


def name(template: JsonObject, key: str) -> str:
    """Name the Job of a run: the same one whichever worker asks."""
    return f"{template['metadata']['name'][:MAX_PREFIX].rstrip('-')}-{key[:KEY]}"


def render(
    template: JsonObject, *, key: str, arguments: Sequence[str], resources: Resources, recipe: str
) -> JsonObject:
    """Write the Job of a training.

    Args:
        template: The platform's.
        key: The run's, at most 63 characters.
        arguments: Of the training program.
        resources: What the training asks for; where it names nothing, the template holds.
        recipe: What is trained.
    """
    job = copy.deepcopy(template)
    job["metadata"] = _labelled(job["metadata"], key) | {"name": name(template, key)}
    spec = job["spec"]
    spec |= {"completions": 1, "parallelism": 1, "backoffLimit": 0, "podFailurePolicy": _policy()}
    pod = spec["template"]
    pod["metadata"] = _labelled(pod.get("metadata", {}), key)
    pod["spec"]["restartPolicy"] = "Never"
    container = _trainer(pod["spec"])
    container["args"] = list(arguments)
    container["resources"] = _resources(container.get("resources", {}), resources)
    digest = hashlib.sha256(f"{recipe}\n{json.dumps(job, sort_keys=True)}".encode()).hexdigest()
    annotations = job["metadata"].get("annotations", {})
    job["metadata"]["annotations"] = annotations | {DIGEST_ANNOTATION: digest}
    return job


def defaults(template: JsonObject) -> Resources:
    """Read what a training gets that names nothing."""
    asked = _trainer(template["spec"]["template"]["spec"]).get("resources", {})
    merged = {**asked.get("requests", {}), **asked.get("limits", {})}
    return Resources(cpu=str(merged.get("cpu", "")), memory=str(merged.get("memory", "")))


def does_the_same(job: JsonObject, other: JsonObject) -> bool:
    """Tell whether two Jobs were made of the same recipe and template."""
    path = ("metadata", "annotations", DIGEST_ANNOTATION)
    return _at(job, *path) is not None and _at(job, *path) == _at(other, *path)


def is_going(job: JsonObject) -> bool:
    """Tell whether somebody has deleted a Job that is still there."""
    return "deletionTimestamp" in job["metadata"]


def is_alive(pod: JsonObject) -> bool:
    """Tell whether anything of a pod may still run."""
    return _at(pod, "status", "phase") not in ("Succeeded", "Failed")


class Cause(StrEnum):
    """Why a trainer ended."""

    EXITED = "Exited"
    """By itself, or by a signal."""
    OUT_OF_MEMORY = "OutOfMemory"
    DISRUPTED = "Disrupted"
    """Preempted, evicted, or its node went."""
    LOST = "Lost"
    """Nobody saw its end: Job or pod were removed, or its node refused it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """How a trainer ended."""

    cause: Cause
    code: int = 0
    """Its exit code; negative: the signal that killed it."""
    message: str = ""


def end(job: JsonObject | None, pods: Sequence[JsonObject]) -> End | None:
    """Read from a Job and its pods how its trainer ended; None while it has not."""
    if job is None:
        return End(cause=Cause.LOST, message="somebody has removed its Job")
    failed = _condition(job, "Failed")
    is_disrupted = failed.get("reason") == "PodFailurePolicy"
    for pod in pods:
        is_disrupted = is_disrupted or _condition(pod, DISRUPTED) != {}
        if found := _ended(pod):
            return End(cause=Cause.DISRUPTED, message=_why(pod)) if is_disrupted and found.code else found
        if is_alive(pod):
            return None
    if is_disrupted:
        return End(cause=Cause.DISRUPTED, message=str(failed.get("message", "")))
    if failed:
        why = next((_why(pod) for pod in pods if _why(pod)), "somebody has removed its pod")
        return End(cause=Cause.LOST, message=why)
    return End(cause=Cause.EXITED) if _condition(job, "Complete") else None


def _ended(pod: JsonObject) -> End | None:
    status = _status(pod)
    terminated = _at(status, "state", "terminated")
    if terminated is None:
        return None
    code = int(terminated["exitCode"])
    if terminated.get("reason") == "OOMKilled":
        limit = _at(_trainer(pod["spec"]), "resources", "limits", "memory") or "its node"
        return End(cause=Cause.OUT_OF_MEMORY, code=code, message=str(limit))
    return End(cause=Cause.EXITED, code=128 - code if code > 128 else code)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """What a trainer waits for that has not begun."""

    message: str
    is_image: bool = False
    """Whether it is the image, which waiting seldom helps."""


def waits_for(pods: Sequence[JsonObject], warnings: Sequence[str]) -> Wait | None:
    """Say what a trainer waits for; None once it runs.

    Args:
        pods: Of its Job.
        warnings: What the cluster complains about its Job, the newest last.
    """
    if not pods:
        return Wait(message=f"a pod: {warnings[-1]}" if warnings else "a pod")
    pod = pods[-1]
    scheduled = _condition(pod, "PodScheduled", status="False")
    if scheduled:
        return Wait(message=f"a node: {scheduled.get('message', 'none is free')}")
    waiting = _at(_status(pod), "state", "waiting")
    if waiting is None:
        return None if _status(pod) else Wait(message="its container")
    reason = str(waiting.get("reason", ""))
    told = ": ".join(part for part in (reason, str(waiting.get("message", ""))) if part)
    is_image = "Image" in reason
    return Wait(message=f"its {'image' if is_image else 'container'}: {told}", is_image=is_image)


def _policy() -> JsonObject:
    """A pod that is taken away ends its Job, whose status then says so for as long as the Job is there."""
    return {"rules": [{"action": "FailJob", "onPodConditions": [{"type": DISRUPTED, "status": "True"}]}]}


def _labelled(metadata: JsonObject, key: str) -> JsonObject:
    return {**metadata, "labels": {**metadata.get("labels", {}), RUN_LABEL: key}}


def _resources(given: JsonObject, asked: Resources) -> JsonObject:
    """Take what is asked for in place of what is given, as requests and limits alike."""
    named = {name: value for name, value in (("cpu", asked.cpu), ("memory", asked.memory)) if value}
    merged = {}
    for part in ("requests", "limits"):
        kept = given.get(part, {})
        if asked.gpus:
            kept = {name: value for name, value in kept.items() if "/" not in name}  # other devices
        merged[part] = {**kept, **named}
        if asked.gpus and asked.gpus.count:
            merged[part][asked.gpus.resource] = str(asked.gpus.count)
    return {**given, **merged}


def _trainer(pod_spec: JsonObject) -> JsonObject:
    found: JsonObject = next(each for each in pod_spec["containers"] if each["name"] == CONTAINER)
    return found


def _status(pod: JsonObject) -> JsonObject:
    statuses = _at(pod, "status", "containerStatuses") or []
    return next((each for each in statuses if each["name"] == CONTAINER), {})


def _why(pod: JsonObject) -> str:
    """What the cluster says of a pod's end."""
    told = _condition(pod, DISRUPTED).get("message") or _at(pod, "status", "message")
    return str(told or _at(pod, "status", "reason") or "")


def _condition(obj: JsonObject, kind: str, *, status: str = "True") -> JsonObject:
    found = _at(obj, "status", "conditions") or []
    return next((each for each in found if each["type"] == kind and each["status"] == status), {})


def _at(value: Any, *path: str) -> Any:
    for key in path:
        if not isinstance(value, Mapping):
            return None
        value = value.get(key)
    return value
