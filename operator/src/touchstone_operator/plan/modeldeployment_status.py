"""The status of a ModelDeployment: reading the rollout's state out of it, and writing it. Pure.

The status is the only memory of a rollout. What is written here is read by the router (weights) and by the next look
(state); everything else is for people.
"""

from collections.abc import Sequence

from touchstone_runtime.revisions import Manifest

from touchstone_operator.api.evaluations import GateResult
from touchstone_operator.api.modeldeployment import (
    AdapterStatus,
    Endpoints,
    ModelDeployment,
    ModelDeploymentStatus,
    RevisionComponents,
    RevisionStatus,
    RolloutStatus,
)
from touchstone_operator.api.servings import Expose
from touchstone_operator.plan import (
    conditions,
    engines,
    modeldeployment_conditions,
    performance,
    pods,
    scaling,
    times,
    workloads,
)
from touchstone_operator.plan.course import Course
from touchstone_operator.plan.rollout_terms import Hold, State
from touchstone_operator.plan.workload import Doors


def read_state(deployment: ModelDeployment) -> State:
    """Read the rollout's state."""
    status = deployment.status
    kept = status.rollout or RolloutStatus()
    promoted = conditions.find(status.conditions, conditions.PROMOTED)
    reason = promoted.reason if promoted else ""
    hold = Hold(reason) if reason in set(Hold) else Hold.GATE_FAILED
    return State(
        stable=status.stable_revision or "",
        candidate=status.candidate_revision or "",
        failed=status.failed_revision or "",
        hold=hold if status.failed_revision else Hold.NONE,
        step_index=kept.step_index,
        started_at=times.read(kept.started_at) if kept.started_at else None,
        step_started_at=times.read(kept.step_started_at) if kept.step_started_at else None,
        previous=kept.previous_revision or "",
        promoted_at=times.read(kept.promoted_at) if kept.promoted_at else None,
    )


def write(course: Course, keep: Sequence[str], doors: Doors) -> ModelDeploymentStatus:
    """Write the status."""
    deployment, state = course.observed.deployment, course.decision.state
    revisions = tuple(_revision(course, name) for name in _order(course, keep))
    observed = modeldeployment_conditions.observe(course, revisions)
    seen = course.observed
    current = seen.engines.get(state.stable or state.candidate)
    roles = workloads.role_statuses(deployment, current, seen.pods, is_resting=course.is_resting)
    return ModelDeploymentStatus(
        observed_generation=deployment.metadata.generation,
        endpoints=_endpoints(deployment, doors),
        stable_revision=state.stable or None,
        candidate_revision=state.candidate or None,
        failed_revision=state.failed or None,
        revisions=revisions,
        rollout=_rollout(course),
        roles=roles,
        adapters=_adapters(course) or None,
        scaling=scaling.observe(
            deployment.status,
            roles,
            stable=state.stable,
            generation=deployment.metadata.generation,
            now=course.now,
        ),
        performance=performance.observe(
            deployment.status.performance, state.stable, seen.traffic, seen.reached, course.now
        ),
        last_failure=pods.last_failure(seen.pods, deployment.status.last_failure),
        conditions=conditions.merge(
            deployment.status.conditions, observed, generation=deployment.metadata.generation, now=course.now
        ),
    )


def _endpoints(deployment: ModelDeployment, doors: Doors) -> Endpoints:
    """Say where the model is reached: by the doors that it opens."""
    expose = deployment.spec.expose or Expose()
    return Endpoints(grpc=(expose.grpc and doors.grpc) or None, open_ai=(expose.open_ai and doors.open_ai) or None)


def _order(course: Course, keep: Sequence[str]) -> list[str]:
    state = course.decision.state
    first = [name for name in (state.stable, state.candidate, state.failed, state.previous) if name in keep]
    return list(dict.fromkeys([*first, *keep]))


def _revision(course: Course, name: str) -> RevisionStatus:
    manifest = course.known[name]
    old = next((r for r in course.observed.deployment.status.revisions or () if r.name == name), None)
    weight = course.decision.weights.get(name, 0)
    retired_at = old.retired_at if old else None
    if weight:
        retired_at = None
    elif old and old.weight_percent:
        retired_at = times.write(course.now)
    found = course.observed.engines.get(name)
    return RevisionStatus(
        name=name,
        digest=manifest.digest,
        components=_components(manifest),
        weight_percent=weight,
        gates=_gates(course, name, (old.gates if old else None) or ()) or None,
        created_at=old.created_at if old and old.created_at else times.write(course.now),
        ready_replicas=engines.ready_replicas(found) if found else None,
        retired_at=retired_at,
    )


def _adapters(course: Course) -> tuple[AdapterStatus, ...]:
    current = course.decision.state.stable or course.decision.state.candidate
    manifest, found = course.known.get(current), course.observed.engines.get(current)
    count = engines.engines_ready(found) if found else 0
    adapters = manifest.bundle.adapters if manifest else ()
    return tuple(
        AdapterStatus(name=each.name, digest=each.digest, ready_endpoints=count, finetune_job=each.finetune_job or None)
        for each in adapters
    )


def _components(manifest: Manifest) -> RevisionComponents:
    bundle = manifest.bundle
    return RevisionComponents(
        model=bundle.model.digest,
        prompt=bundle.prompt.digest if bundle.prompt else None,
        rag_index=bundle.rag.revision if bundle.rag else None,
        engine_image=bundle.engine.image or None,
    )


def _gates(course: Course, name: str, old: Sequence[GateResult]) -> tuple[GateResult, ...]:
    """Record what gates came to. What a held revision was refused for stays as it was."""
    before, after = course.before, course.decision.state
    if name == after.stable and _has_returned(course):
        return tuple(result.model_copy(update={"reused": True}) for result in old)
    is_long_held = name == before.failed and name == after.failed
    if name != course.judged or is_long_held:
        return tuple(old)
    declared = {result.name: result for result in old if result.name in course.observed.gates}
    return tuple((declared | dict(course.results)).values())


def _has_returned(course: Course) -> bool:
    """Tell whether the spec has come back to what serves: its verdicts stand again."""
    before, after = course.before, course.decision.state
    was_elsewhere = bool(before.candidate or before.failed)
    return was_elsewhere and after.stable == before.stable == course.target and not (after.candidate or after.failed)


def _rollout(course: Course) -> RolloutStatus:
    state, decision = course.decision.state, course.decision
    return RolloutStatus(
        step_index=state.step_index,
        step_count=len(course.policy.steps) if state.candidate else 0,
        weight_percent=decision.weights.get(state.candidate, 0),
        started_at=times.write(state.started_at) if state.started_at else None,
        step_started_at=times.write(state.step_started_at) if state.step_started_at else None,
        promoted_at=times.write(state.promoted_at) if state.promoted_at else None,
        previous_revision=state.previous or None,
        message=f"Waits for {decision.waiting_for}." if decision.waiting_for else None,
    )
