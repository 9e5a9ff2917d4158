"""How long a container that ended waits before it runs again. Pure."""

from datetime import timedelta

BASE_DELAY_SECONDS = 1.0
MAX_DELAY_SECONDS = 10.0
"""Kubernetes waits up to 300 s; on one machine nobody is spared by that."""
HEALTHY_AFTER_SECONDS = 60.0
"""A container that ran for this long starts again as if it had never failed."""


def delay_seconds(failures: int) -> float:
    """Return the pause after a number of failures in a row: 1, 2, 4, 8, then 10 seconds."""
    if failures <= 0:
        return 0.0
    return min(MAX_DELAY_SECONDS, BASE_DELAY_SECONDS * 2.0 ** min(failures - 1, 16))


def failures_after(failures: int, *, ran_seconds: float) -> int:
    """Return how many failures in a row there are after one more end."""
    return 1 if ran_seconds >= HEALTHY_AFTER_SECONDS else failures + 1


def should_restart(policy: str, *, exit_code: int) -> bool:
    """Whether a Pod's restart policy starts a container again that ended."""
    return policy == "Always" or (policy == "OnFailure" and exit_code != 0)


def seconds(delay: float) -> timedelta:
    """Return a pause as a duration."""
    return timedelta(seconds=delay)
