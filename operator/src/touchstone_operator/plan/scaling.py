"""How replicas have changed while a revision served. Pure."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from touchstone_operator.api.modeldeployment import ModelDeploymentStatus, RoleStatus
from touchstone_operator.api.observations import ScalingDecision, ScalingStatus
from touchstone_operator.plan import times

KEPT = 5


def observe(
    before: ModelDeploymentStatus, roles: Sequence[RoleStatus], *, stable: str, generation: int, now: datetime
) -> ScalingStatus | None:
    """Compare the roles with those on record; only of the revision that served then and serves now."""
    known = before.scaling
    if not stable or before.stable_revision != stable:
        return known
    reason_by_spec = before.observed_generation != generation
    made = tuple(_decisions(before.roles or (), roles, is_by_spec=reason_by_spec, now=now))
    if not made:
        return known
    history = (*made, *((known.history if known else None) or ()))[:KEPT]
    return ScalingStatus(last_scale_time=times.write(now), history=history)


def _decisions(
    before: Sequence[RoleStatus], roles: Sequence[RoleStatus], *, is_by_spec: bool, now: datetime
) -> Iterator[ScalingDecision]:
    wanted = {role.name: role.desired for role in before}
    for role in roles:
        was = wanted.get(role.name, role.desired)
        if was != role.desired:
            yield ScalingDecision(
                time=times.write(now),
                role=role.name,
                from_replicas=was,
                to_replicas=role.desired,
                reason="SpecChanged" if is_by_spec else "LoadRose" if role.desired > was else "LoadFell",
            )
