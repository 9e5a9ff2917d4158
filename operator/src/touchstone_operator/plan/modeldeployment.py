"""The plan of a ModelDeployment: resolve, roll out, keep children and status in step. Pure."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from touchstone_runtime.revisions import Digest, Manifest

from touchstone_operator import objects
from touchstone_operator.api.evaluations import Gate, GateResult
from touchstone_operator.api.modeldeployment import ModelDeployment
from touchstone_operator.api.rollouts import Rollout
from touchstone_operator.plan import (
    actions,
    bundle,
    conditions,
    engines,
    gates,
    live,
    modeldeployment_status,
    performance,
    retention,
    rollout,
    rollout_policy,
    times,
    workload,
    workloads,
)
from touchstone_operator.plan.actions import Child, Plan
from touchstone_operator.plan.bundle import Unresolved
from touchstone_operator.plan.course import Course, Observed
from touchstone_operator.plan.gates import Gated, Judgement
from touchstone_operator.plan.rollout_terms import Hold, Stage, State, View
from touchstone_operator.plan.workload import Platform
from touchstone_operator.ports import Measured

TRANSFER_POLL = timedelta(seconds=30)
"""How often it is asked what moves between prefill and decode."""
LIVE_POLL = timedelta(seconds=5)
"""How often live metrics are looked at while a gate or a bake watches them, or a request may wake what rests."""


def plan(observed: Observed, platform: Platform, now: datetime) -> Plan:
    """Plan: wanted children, wanted status."""
    manifest = bundle.resolve(observed.deployment, observed.contents)
    state = modeldeployment_status.read_state(observed.deployment)
    policy = rollout_policy.policy(observed.rollout)
    target = "" if isinstance(manifest, Unresolved) else manifest.name
    gated = _gated(observed, manifest, state, now)
    judgements = _judge(observed, gated, now)
    watched = {name: live.judge(observed.gates[name], metrics) for name, metrics in observed.live.items()}
    results = {name: judgement.result for name, judgement in judgements.items()} | watched
    decision = rollout.advance(state, policy, _view(observed, target, state, results, judgements), now)
    course = Course(
        observed=observed,
        manifest=manifest,
        before=state,
        policy=policy,
        decision=decision,
        results=results,
        judged=gated.subject.name if gated else state.stable,
        now=now,
    )
    keep = _kept(course)
    return Plan(
        status=modeldeployment_status.write(course, keep, platform.doors),
        apply=_children(course, platform),
        create=_runs(course, judgements),
        delete=(*_outdated(course, gated), *_retired(course), *_forgotten(course, keep)),
        happenings=decision.happenings,
        requeue_at=actions.earliest(decision.requeue_at, _next_look(course), *_drained_at(course).values()),
    )


def watched_gates(deployment: ModelDeployment) -> tuple[str, tuple[Gate, ...]]:
    """Say whose live metrics have to be read, and for which gates: what the next plan will ask for."""
    state = modeldeployment_status.read_state(deployment)
    declared = {gate.name: gate for gate in (deployment.spec.rollout or Rollout()).gates or ()}
    policy = rollout_policy.policy(deployment.spec.rollout or Rollout())
    if state.candidate and state.step_started_at and state.step_index < len(policy.steps):
        return state.candidate, tuple(declared[name] for name in policy.steps[state.step_index].watched)
    if state.previous and not state.candidate:
        return state.stable, tuple(declared[name] for name in policy.live_gates)
    return "", ()


def _gated(observed: Observed, manifest: Manifest | Unresolved, state: State, now: datetime) -> Gated | None:
    """Say what is to be judged; None when nothing is on its way."""
    if isinstance(manifest, Unresolved) or manifest.name == state.stable:
        return None
    is_under_way = manifest.name in {state.candidate, state.failed} and state.started_at is not None
    started_at = state.started_at if is_under_way and state.started_at else now
    stable = observed.manifests.get(state.stable)
    baseline = stable.digest if stable else _recorded_digest(observed.deployment, state.stable)
    return Gated(
        kind=objects.MODEL_DEPLOYMENT,
        owner=observed.deployment.metadata,
        subject=Measured(name=manifest.name, digest=manifest.digest),
        baseline=Measured(name=state.stable, digest=baseline) if state.stable else None,
        rollout=times.write(started_at),
    )


def _recorded_digest(deployment: ModelDeployment, revision: str) -> Digest:
    return Digest(next((r.digest for r in deployment.status.revisions or () if r.name == revision), ""))


def _judge(observed: Observed, gated: Gated | None, now: datetime) -> dict[str, Judgement]:
    if gated is None:
        return {}
    measured = [gate for gate in observed.gates.values() if gate.type == "EvalRun"]
    return {gate.name: gates.judge(gate, gated, observed.runs, now) for gate in measured}


def _view(
    observed: Observed,
    target: str,
    state: State,
    results: Mapping[str, GateResult],
    judgements: Mapping[str, Judgement],
) -> View:
    deployment = observed.deployment
    annotations = deployment.metadata.annotations
    available = conditions.find(deployment.status.conditions, "CandidateAvailable")
    asks_again = any(judgement.run is not None for judgement in judgements.values())
    return View(
        target=target,
        ready=observed.ready,
        stopped=_stopped(observed, state),
        verdicts={name: result.verdict for name, result in results.items()},
        on_inconclusive={name: gate.on_inconclusive for name, gate in observed.gates.items()},
        unready_since=times.read(available.last_transition_time) if available and available.status != "True" else None,
        is_new_generation=deployment.metadata.generation != deployment.status.observed_generation,
        is_retry=state.hold is Hold.GATE_ERROR and asks_again,
        is_suspended=deployment.spec.suspend,
        abort=annotations.get(objects.ANNOTATION_ABORT, ""),
        promote=annotations.get(objects.ANNOTATION_PROMOTE, ""),
    )


def _stopped(observed: Observed, state: State) -> frozenset[str]:
    running = {name for name, obj in observed.engines.items() if not engines.is_stopped(obj)}
    return frozenset({state.stable} - running)


def _children(course: Course, platform: Platform) -> tuple[Child, ...]:
    """Want the target's manifest and the engines that run; the stable one keeps its Deployment even at 0."""
    deployment, decision = course.observed.deployment, course.decision
    children = []
    if course.target:
        # As it was first written: an equal bundle from elsewhere is the same revision, and its ConfigMap never changes.
        recorded = course.known[course.target]
        children.append(Child(objects.CONFIG_MAP, workload.manifest_config_map(deployment, recorded)))
    is_stable_idle = decision.state.stable not in decision.running
    wanted = sorted(decision.running) + ([decision.state.stable] if decision.state.stable and is_stable_idle else [])
    for revision in wanted:
        manifest = course.known.get(revision)
        is_running = revision in decision.running and not (course.is_resting and revision == decision.state.stable)
        child = manifest and workloads.child(deployment, manifest, platform, is_running=is_running)
        if child:
            children.append(child)
    return (*children, *workloads.policies(deployment, platform))


def _runs(course: Course, judgements: Mapping[str, Judgement]) -> tuple[Child, ...]:
    """Make the EvalRuns of the present step, once the rollout that they belong to is on record."""
    decision, before = course.decision, course.before
    is_on_record = before.candidate == decision.state.candidate and before.started_at == decision.state.started_at
    if decision.stage is not Stage.GATING or not is_on_record:
        return ()
    names = course.policy.steps[decision.state.step_index].measured
    return tuple(
        Child(objects.EVAL_RUN, judgement.run)
        for name, judgement in judgements.items()
        if name in names and judgement.run is not None
    )


def _outdated(course: Course, gated: Gated | None) -> tuple[Child, ...]:
    observed = course.observed
    wanted = gated if gated and course.decision.state.candidate == gated.subject.name else None
    owner = observed.deployment.metadata
    runs = gates.outdated(observed.runs, list(observed.gates.values()), wanted, owner)
    return tuple(Child(objects.EVAL_RUN, observed.run_objects[run.metadata.name]) for run in runs)


def _drained_at(course: Course) -> dict[str, datetime]:
    """Say when the engines of revisions that run no more may go. Only what is on record as without traffic counts."""
    state = course.decision.state
    drain = timedelta(seconds=course.observed.rollout.drain_seconds)
    recorded = {status.name: status for status in course.observed.deployment.status.revisions or ()}
    drained = {}
    for name in course.observed.engines:
        if name in course.decision.running | {state.stable, course.before.stable}:
            continue
        status = recorded.get(name)
        if status is None or status.weight_percent == 0:
            drained[name] = times.read(status.retired_at) + drain if status and status.retired_at else course.now
    return drained


def _retired(course: Course) -> tuple[Child, ...]:
    drained = _drained_at(course)
    due = [name for name, at in drained.items() if at <= course.now]
    return tuple(_engines(course, name) for name in (*due, *_resting(course)))


def _engines(course: Course, revision: str) -> Child:
    found = course.observed.engines[revision]
    return Child(objects.RAY_SERVICE if engines.is_ray_service(found) else objects.DEPLOYMENT, found)


def _resting(course: Course) -> tuple[str, ...]:
    """List the stable revision if it is to rest and runs on Ray, which cannot rest."""
    stable = course.decision.state.stable
    found = course.observed.engines.get(stable)
    is_wanted = stable in course.decision.running and course.observed.replicas > 0 and not course.is_resting
    return (stable,) if found is not None and engines.is_ray_service(found) and not is_wanted else ()


def _kept(course: Course) -> tuple[str, ...]:
    state, observed = course.decision.state, course.observed
    protected = {state.stable, state.candidate, state.failed, state.previous, course.target, *observed.engines}
    newest_first = [name for name in course.known if name not in observed.manifests] + list(observed.manifests)
    return retention.kept(newest_first, protected=protected, limit=observed.rollout.revision_history_limit)


def _forgotten(course: Course, keep: tuple[str, ...]) -> tuple[Child, ...]:
    observed = course.observed
    gone = [name for name in observed.manifests if name not in keep]
    runs = [run for run in observed.runs if run.metadata.labels.get(objects.LABEL_REVISION) in gone]
    return (
        *(Child(objects.EVAL_RUN, observed.run_objects[run.metadata.name]) for run in runs),
        *(Child(objects.CONFIG_MAP, observed.config_maps[name]) for name in gone),
    )


def _next_look(course: Course) -> datetime | None:
    is_watching = course.decision.stage in {Stage.WATCHING, Stage.BAKING} and course.observed.live
    is_waiting = isinstance(course.manifest, Unresolved) and course.manifest.reason == "ModelResolving"
    if is_watching or is_waiting:
        return course.now + LIVE_POLL
    if not course.decision.state.stable:
        return None
    if course.is_resting:
        return course.now + LIVE_POLL
    return course.now + (TRANSFER_POLL if course.observed.is_disaggregated else performance.LOOK)
