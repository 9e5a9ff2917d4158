"""When a deployment that nobody asks rests, and when it is woken. Pure.

It rests when no router has seen a request for as long as the spec says, and only while no revision is on its way: gates
need what they compare with. It is woken by the first request, which finds no replica and is told to come again. That it
rests is read off its Ready condition.
"""

from touchstone_operator.api.modeldeployment import ModelDeployment
from touchstone_operator.plan import conditions, rayservice
from touchstone_operator.plan.rollout_terms import Stage
from touchstone_operator.ports import LiveMetrics

REASON = "Idle"
MAX_WINDOW_SECONDS = 3600
"""How far back routers can look."""
WAKE_SECONDS = 60
"""How far back a request may lie that wakes."""


def after_seconds(deployment: ModelDeployment) -> int | None:
    """Say how long nobody must ask; None: it never rests."""
    scaling = rayservice.groups(deployment)[0].role.scaling
    if scaling is None or scaling.idle_replicas != 0:
        return None
    return min(scaling.idle_after_seconds, MAX_WINDOW_SECONDS)


def is_resting(deployment: ModelDeployment) -> bool:
    """Tell whether it rested at the last look."""
    ready = conditions.find(deployment.status.conditions, "Ready")
    return after_seconds(deployment) is not None and ready is not None and ready.reason == REASON


def window_seconds(deployment: ModelDeployment) -> int | None:
    """Say how far back requests are looked for; None: they are of no interest."""
    after = after_seconds(deployment)
    if after is None or not deployment.status.stable_revision:
        return None
    return WAKE_SECONDS if is_resting(deployment) else after


def rests(deployment: ModelDeployment, stage: Stage, seen: LiveMetrics | None) -> bool:
    """Decide whether it rests from now on.

    Args:
        deployment: What it is.
        stage: Where its rollout stands.
        seen: Requests over `window_seconds`, of all routers; None: they could not be asked.
    """
    after = after_seconds(deployment)
    if after is None or stage is not Stage.SETTLED:
        return False
    if is_resting(deployment):
        return seen is None or seen.requests == 0
    return seen is not None and seen.is_complete and seen.requests == 0 and seen.window_seconds >= after
