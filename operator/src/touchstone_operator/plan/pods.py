"""Reading engines off their pods: how many a role has, and what the last one that failed died of. Pure."""

from collections.abc import Iterable, Iterator, Sequence

from touchstone_operator import objects
from touchstone_operator.api.observations import LastFailure
from touchstone_operator.objects import JsonObject

CANNOT_START = frozenset(
    {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "CreateContainerConfigError", "CreateContainerError"}
)
"""Reasons of containers that wait for what will not come by itself."""
MAX_MESSAGE = 512


def count(pods: Sequence[JsonObject], *, revision: str, role: str) -> tuple[int, int]:
    """Count a role's pods of a revision that are to stay, and those of them that are ready."""
    found = [
        pod
        for pod in pods
        if _label(pod, objects.LABEL_REVISION) == revision
        and _label(pod, objects.LABEL_ROLE) == role
        and not pod["metadata"].get("deletionTimestamp")
    ]
    return len(found), sum(_is_ready(pod) for pod in found)


def last_failure(pods: Sequence[JsonObject], known: LastFailure | None) -> LastFailure | None:
    """Find the newest failure; the one that is known stays while no pod tells of a newer one."""
    found = [failure for pod in pods for failure in _failures(pod)]
    newest = max(found, key=lambda failure: failure.time or "", default=None)
    if newest is None or (known is not None and (known.time or "") >= (newest.time or "")):
        return known
    return newest


def _failures(pod: JsonObject) -> Iterator[LastFailure]:
    for status in _containers(pod):
        for state in (status.get("state") or {}, status.get("lastState") or {}):
            ended, waits = state.get("terminated") or {}, state.get("waiting") or {}
            if ended.get("exitCode"):
                reason = str(ended.get("reason") or "Error")
                yield _failure(
                    pod,
                    reason="EngineExited" if reason == "Error" else reason,
                    message=str(ended.get("message") or ""),
                    exit_code=int(ended["exitCode"]),
                    time=str(ended.get("finishedAt") or ""),
                )
            elif waits.get("reason") in CANNOT_START:
                yield _failure(
                    pod,
                    reason=str(waits["reason"]),
                    message=str(waits.get("message") or ""),
                    exit_code=None,
                    time=str(pod["metadata"].get("creationTimestamp") or ""),
                )


def _failure(pod: JsonObject, *, reason: str, message: str, exit_code: int | None, time: str) -> LastFailure:
    return LastFailure(
        reason=reason,
        message=_last_line(message)[:MAX_MESSAGE] or None,
        exit_code=exit_code,
        role=_label(pod, objects.LABEL_ROLE) or None,
        revision=_label(pod, objects.LABEL_REVISION) or None,
        time=time or None,
    )


def _last_line(message: str) -> str:
    """Take what a process said last: before that it may have logged."""
    return message.strip().rpartition("\n")[2].strip()


def _containers(pod: JsonObject) -> Iterable[JsonObject]:
    status = pod.get("status") or {}
    return (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ()))


def _is_ready(pod: JsonObject) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(each.get("type") == "Ready" and each.get("status") == "True" for each in conditions)


def _label(pod: JsonObject, name: str) -> str:
    return str((pod["metadata"].get("labels") or {}).get(name, ""))
