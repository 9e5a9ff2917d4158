"""Conditions that keep the time of their last change. Pure."""

from datetime import datetime

from touchstone_local import fields
from touchstone_local.fields import Object


def merge(old: Object, wanted: Object, *, now: datetime, with_update_time: bool = False) -> Object:
    """Return a condition with the times that Kubernetes gives it.

    Args:
        old: The condition as it stands; empty if it is new.
        wanted: The condition without times.
        now: The time of a change.
        with_update_time: Deployments also tell when anything of the condition changed.
    """
    times: dict[str, object] = {}
    moved = fields.text(old, "status") != fields.text(wanted, "status")
    times["lastTransitionTime"] = fields.timestamp(now) if moved else fields.text(old, "lastTransitionTime")
    if with_update_time:
        changed = moved or any(fields.text(old, key) != fields.text(wanted, key) for key in ("reason", "message"))
        times["lastUpdateTime"] = fields.timestamp(now) if changed else fields.text(old, "lastUpdateTime")
    return {**wanted, **times}
