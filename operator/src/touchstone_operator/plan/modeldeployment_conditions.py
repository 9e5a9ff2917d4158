"""The conditions of a ModelDeployment. Pure.

Ready speaks of what serves, Promoted of what the spec asks for: a failed gate leaves Ready alone. Reconciling and
Stalled are the pair that kstatus reads, and are there only while they hold.
"""

from collections.abc import Sequence

from touchstone_operator.api.evaluations import GateResult
from touchstone_operator.api.modeldeployment import RevisionStatus
from touchstone_operator.plan import conditions, engines, idling, transfers
from touchstone_operator.plan.bundle import Unresolved
from touchstone_operator.plan.conditions import Observation
from touchstone_operator.plan.course import Course
from touchstone_operator.plan.rollout_terms import Hold, Stage, Strategy

TYPES = ("Ready", "ModelCached", "WorkloadsReady", "CandidateAvailable", "Promoted", "RolledBack")


def observe(course: Course, revisions: Sequence[RevisionStatus]) -> tuple[Observation, ...]:
    """Observe all conditions."""
    gates = {revision.name: revision.gates or () for revision in revisions}
    promoted = _promoted(course, gates)
    transfer = (transfers.observe(course.observed.moved),) if _is_apart(course) else ()
    ready = _ready(course, transfer)
    return (
        ready,
        *transfer,
        _model_cached(course),
        _workloads_ready(course),
        _candidate_available(course),
        promoted,
        _rolled_back(course, promoted),
        *_kstatus(course, ready, promoted),
    )


def _is_apart(course: Course) -> bool:
    return course.observed.is_disaggregated and bool(course.decision.state.stable)


def _ready(course: Course, transfer: Sequence[Observation]) -> Observation:
    state, observed = course.decision.state, course.observed
    if not state.stable:
        return conditions.fails("Ready", "NoStableRevision", "No revision has passed its gates yet.")
    if observed.replicas == 0 or course.is_resting:
        why = "Nobody asks. The next request wakes it." if course.is_resting else "Scaled to zero."
        return conditions.holds("Ready", idling.REASON, why)
    if state.stable in observed.ready and state.stable in course.decision.running:
        wrong = next((each for each in transfer if each.status == "False"), None)
        if wrong:
            return conditions.fails("Ready", "KVTransferUnhealthy", f"{wrong.reason}: {wrong.message}")
        return conditions.holds("Ready", "Serving", f"Revision {state.stable} serves.")
    if course.policy.strategy is Strategy.RECREATE and state.candidate:
        return conditions.fails("Ready", "Recreating", f"{state.stable} makes room for {state.candidate}.")
    found = observed.engines.get(state.stable)
    count = engines.ready_replicas(found) if found else 0
    complaint = engines.complaint(observed.engines, state.stable)
    message = f"{count} of {observed.replicas} engines of {state.stable} are ready. {complaint}"
    return conditions.fails("Ready", "EnginesNotReady", message.strip())


def _model_cached(course: Course) -> Observation:
    model = course.observed.contents.model
    if not isinstance(model, Unresolved):
        return conditions.holds("ModelCached", "Resolved", f"The weights are {model.digest}.")
    if model.is_waiting:
        return conditions.unknown("ModelCached", model.reason, model.message)
    return conditions.fails("ModelCached", model.reason, model.message)


def _workloads_ready(course: Course) -> Observation:
    running = course.decision.running
    missing = sorted(running - course.observed.ready)
    if not running:
        return conditions.fails("WorkloadsReady", "NoEngines", "No engines run.")
    if course.is_resting:
        return conditions.holds("WorkloadsReady", idling.REASON, "None are wanted.")
    if missing:
        found = course.observed.engines
        reason = "InsufficientCapacity" if any(engines.lacks_capacity(found, n) for n in missing) else "EnginesNotReady"
        said = " ".join(filter(None, (engines.complaint(found, name) for name in missing)))
        message = f"Not all engines of {', '.join(missing)} are ready. {said}"
        return conditions.fails("WorkloadsReady", reason, message.strip())
    return conditions.holds("WorkloadsReady", "EnginesReady", "All engines are ready.")


def _candidate_available(course: Course) -> Observation:
    candidate = course.decision.state.candidate
    if not candidate:
        return conditions.fails("CandidateAvailable", "NoCandidate", "No revision is on its way.")
    if candidate in course.observed.ready:
        return conditions.holds(
            "CandidateAvailable", "EnginesReady", f"Revision {candidate} can be reached by pinning."
        )
    complaint = engines.complaint(course.observed.engines, candidate)
    message = f"Engines of {candidate} are not ready. {complaint}".strip()
    return conditions.fails("CandidateAvailable", "EnginesNotReady", message)


def _promoted(course: Course, gates: dict[str, tuple[GateResult, ...]]) -> Observation:
    state, stage = course.decision.state, course.decision.stage
    if state.failed:
        return conditions.fails("Promoted", state.hold, _why_held(course, gates.get(state.failed, ())))
    if isinstance(course.manifest, Unresolved):
        return conditions.unknown("Promoted", course.manifest.reason, course.manifest.message)
    if state.stable == course.target:
        return conditions.holds("Promoted", "Promoted", _how_promoted(state.stable, gates.get(state.stable, ())))
    if stage is Stage.SUSPENDED:
        return conditions.fails("Promoted", stage, "spec.suspend stops rollouts.")
    undecided = _said(gates.get(state.candidate, ()), "Inconclusive") if stage is Stage.PAUSED else ""
    message = f"Revision {state.candidate} waits for {course.decision.waiting_for}. {undecided}".strip()
    return conditions.fails("Promoted", stage, message)


def _rolled_back(course: Course, promoted: Observation) -> Observation:
    if course.decision.state.hold is Hold.ROLLED_BACK:
        return conditions.holds("RolledBack", "LiveGateFailed", promoted.message)
    return conditions.fails("RolledBack", "NotRolledBack")


def _kstatus(course: Course, ready: Observation, promoted: Observation) -> tuple[Observation, ...]:
    stage, manifest = course.decision.stage, course.manifest
    if stage is Stage.SUSPENDED:
        return ()
    if isinstance(manifest, Unresolved):
        report = conditions.RECONCILING if manifest.is_waiting else conditions.STALLED
        return (conditions.holds(report, manifest.reason, manifest.message),)
    if course.decision.state.failed or stage is Stage.PAUSED:
        return (conditions.holds(conditions.STALLED, promoted.reason, promoted.message),)
    if promoted.status != "True":
        return (conditions.holds(conditions.RECONCILING, promoted.reason, promoted.message),)
    if ready.status != "True":
        return (conditions.holds(conditions.RECONCILING, ready.reason, ready.message),)
    return ()


def _why_held(course: Course, gates: Sequence[GateResult]) -> str:
    state = course.decision.state
    match state.hold:
        case Hold.ABORTED:
            return f"Revision {state.failed} was aborted by annotation. Change the spec to go on."
        case Hold.NOT_READY:
            seconds = course.policy.progress_deadline_seconds
            return f"Engines of {state.failed} were not ready within {seconds} seconds. Change the spec to try again."
        case Hold.GATE_ERROR:
            return f"Revision {state.failed} could not be measured: {_said(gates, 'Error')}"
        case Hold.ROLLED_BACK:
            return f"Revision {state.failed} was taken back: {_said(gates, 'Failed')}"
        case _:
            said = _said(gates, "Failed") or _said(gates, "Inconclusive")
            return f"Revision {state.failed} gets no traffic: {said}"


def _how_promoted(stable: str, gates: Sequence[GateResult]) -> str:
    refused = [gate.name for gate in gates if gate.verdict in {"Failed", "Error"} and gate.eval_run_ref]
    if refused:
        return f"Revision {stable} was promoted by annotation, not by its gates: {', '.join(refused)} did not pass."
    return f"Revision {stable} serves."


def _said(gates: Sequence[GateResult], verdict: str) -> str:
    return "; ".join(f"gate {gate.name}: {gate.message or verdict}" for gate in gates if gate.verdict == verdict)
