"""Conditions: merging observations into what was known, and the pair that kstatus reads. Pure."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Literal, NamedTuple

from touchstone_operator.api.common import Condition
from touchstone_operator.plan import times

MESSAGE_LIMIT = 1024
"""Longer messages are cut: a condition is read in a terminal."""

READY, SUCCEEDED, PROMOTED = "Ready", "Succeeded", "Promoted"
RECONCILING, STALLED = "Reconciling", "Stalled"

Status = Literal["True", "False", "Unknown"]


class Observation(NamedTuple):
    """One condition as observed now."""

    type: str
    status: Status
    reason: str
    message: str = ""


def holds(type_: str, reason: str, message: str = "") -> Observation:
    """Observe that a condition holds."""
    return Observation(type_, "True", reason, message)


def fails(type_: str, reason: str, message: str = "") -> Observation:
    """Observe that a condition does not hold."""
    return Observation(type_, "False", reason, message)


def unknown(type_: str, reason: str, message: str = "") -> Observation:
    """Observe that it is not known whether a condition holds."""
    return Observation(type_, "Unknown", reason, message)


def first_sight(types: Iterable[str]) -> tuple[Observation, ...]:
    """Observe an object for the first time: nothing is known, and it is being looked at."""
    return (*(unknown(type_, "Pending") for type_ in types), holds(RECONCILING, "Pending"))


def merge(
    known: Sequence[Condition] | None, observed: Iterable[Observation], *, generation: int, now: datetime
) -> tuple[Condition, ...]:
    """Merge observations into known conditions.

    A transition time changes only with the status. A condition that is not observed goes: Reconciling and Stalled
    are there only while they hold.
    """
    before = {condition.type: condition for condition in known or ()}
    merged = []
    for observation in observed:
        old = before.get(observation.type)
        is_same = old is not None and old.status == observation.status
        merged.append(
            Condition(
                type=observation.type,
                status=observation.status,
                reason=observation.reason,
                message=observation.message[:MESSAGE_LIMIT],
                last_transition_time=old.last_transition_time if old and is_same else times.write(now),
                observed_generation=generation,
            )
        )
    return tuple(merged)


def find(known: Sequence[Condition] | None, type_: str) -> Condition | None:
    """Find a condition by its type."""
    return next((condition for condition in known or () if condition.type == type_), None)


def is_true(known: Sequence[Condition] | None, type_: str) -> bool:
    """Tell whether a condition is known to hold."""
    condition = find(known, type_)
    return condition is not None and condition.status == "True"
