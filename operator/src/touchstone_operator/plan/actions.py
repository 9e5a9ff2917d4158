"""What a plan asks for: writes in an order that is safe to be cut off after any of them. Pure.

First children are applied and created, then what happened is recorded, then the status is written, and only then is
anything deleted: what a status has let go of is gone from the status before it is gone from the cluster.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from touchstone_operator.api.common import ApiModel
from touchstone_operator.objects import Happening, JsonObject, Kind


class Child(NamedTuple):
    """An object with its kind."""

    kind: Kind
    obj: JsonObject


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Wanted children, wanted status."""

    status: ApiModel
    apply: tuple[Child, ...] = ()
    create: tuple[Child, ...] = ()
    delete: tuple[Child, ...] = ()
    happenings: tuple[Happening, ...] = ()
    requeue_at: datetime | None = None
    """When to look again although nothing changes; None: not before the next resync."""


def earliest(*moments: datetime | None) -> datetime | None:
    """Take the earliest of some moments; those that are None do not count."""
    return min((moment for moment in moments if moment is not None), default=None)


def status_patch(old: JsonObject, new: JsonObject) -> JsonObject:
    """Write the JSON merge patch (RFC 7386) that turns one object into another; empty when they are equal."""
    patch: JsonObject = {name: None for name in old if name not in new}
    for name, value in new.items():
        before = old.get(name)
        if isinstance(before, dict) and isinstance(value, dict):
            nested = status_patch(before, value)
            if nested:
                patch[name] = nested
        elif name not in old or before != value:
            patch[name] = value
    return patch


def is_contained(wanted: object, found: object) -> bool:
    """Tell whether an object holds everything that is wanted; the API server adds defaults of its own."""
    if isinstance(wanted, dict):
        return isinstance(found, dict) and all(
            name in found and is_contained(value, found[name]) for name, value in wanted.items()
        )
    if isinstance(wanted, list | tuple):
        return (
            isinstance(found, list | tuple)
            and len(found) == len(wanted)
            and all(is_contained(one, other) for one, other in zip(wanted, found, strict=True))
        )
    return wanted == found
