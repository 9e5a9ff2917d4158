"""What is observed of an EvalRun (the question: Passed) or a ModelSelection (Chosen) without an answer yet. Pure."""

from touchstone_operator.plan import conditions
from touchstone_operator.plan.conditions import Observation


def suspended(question: str, message: str) -> tuple[Observation, ...]:
    """Observe what is kept from starting."""
    return (*_open(question, "Suspended", message), conditions.holds("Suspended", "Suspended"))


def stalled(question: str, reason: str, message: str) -> tuple[Observation, ...]:
    """Observe what cannot go on until somebody changes something."""
    return (
        *_open(question, reason, message),
        conditions.fails("Suspended", "NotSuspended"),
        conditions.holds(conditions.STALLED, reason, message),
    )


def active(question: str, reason: str, message: str) -> tuple[Observation, ...]:
    """Observe what is on its way."""
    return (
        *_open(question, reason, message),
        conditions.fails("Suspended", "NotSuspended"),
        conditions.holds(conditions.RECONCILING, reason, message),
    )


def _open(question: str, reason: str, message: str) -> tuple[Observation, Observation]:
    return conditions.unknown(conditions.SUCCEEDED, reason, message), conditions.unknown(question, reason)
