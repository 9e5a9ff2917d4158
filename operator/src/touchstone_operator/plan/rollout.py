"""The rollout as a state machine: which revision serves, which one is on its way, how much traffic it gets. Pure.

    target is new ─▶ candidate at weight 0 ─▶ ready ─▶ steps ─▶ stable ─▶ bake ─▶ settled
                        │ gate failed, could not be measured, aborted, not ready in time      │ live gate failed
                        ▼                                                                     ▼
                      held (weight 0, engines go)                        previous is stable again, target is held

A step's measured gates (EvalRuns) pass *before* its weight is set; its watched gates (live metrics) are looked at with
that weight, and decide when the pause is over. Weights add to 100 as soon as anything serves. A held target stays held
until the spec changes. Recreate has no spare capacity: the stable engines stop before the candidate's start, and the
stable revision keeps its weight, answering nothing, until the candidate has passed. What was measured earlier on the
same digests refuses a candidate before any engine starts.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from touchstone_operator.objects import Happening
from touchstone_operator.plan.gates import Verdict
from touchstone_operator.plan.rollout_terms import FULL, Decision, Hold, Policy, Stage, State, Step, Strategy, View


def retarget(state: State, view: View, now: datetime) -> tuple[State, tuple[Happening, ...]]:
    """Take up what the spec asks for now: a new candidate, none, or the one on its way."""
    target = view.target
    is_settled = target == state.stable and not (state.candidate or state.failed)
    is_held = target == state.failed and not (view.is_new_generation or view.is_retry or _is_overridden(state, view))
    if not target or view.is_suspended or is_settled or is_held:
        return state, ()
    if target == state.candidate:
        return replace(state, step_index=0, step_started_at=None) if view.is_new_generation else state, ()
    idle = replace(state, candidate="", failed="", hold=Hold.NONE, step_index=0, started_at=None, step_started_at=None)
    if target == state.stable:
        return idle, (Happening("CandidateDropped", f"The spec asks for {target}, which serves already."),)
    superseded = f" It supersedes {state.candidate}." if state.candidate else ""
    fresh = replace(idle, candidate=target, started_at=now, previous="", promoted_at=None)
    return fresh, (Happening("CandidateCreated", f"Revision {target} is on its way.{superseded}"),)


def advance(state: State, policy: Policy, view: View, now: datetime) -> Decision:
    """Decide what to do next. Repeating it with nothing changed changes nothing."""
    state, taken_up = retarget(state, view, now)
    if not view.target or view.is_suspended:
        decision = _frozen(state, policy, view)
    elif state.candidate:
        decision = _roll(state, policy, view, now)
    elif state.previous:
        decision = _bake(state, policy, view, now)
    else:
        decision = _at_rest(state, Stage.HELD if state.failed else Stage.SETTLED)
    return replace(decision, happenings=taken_up + decision.happenings)


def candidate_weight(state: State, policy: Policy, view: View) -> int:
    """The candidate's share of the traffic: its step's, or the step before while gates run; 0 when not ready."""
    if not state.stable or not state.candidate or state.candidate not in view.ready:
        return 0
    index = state.step_index if state.step_started_at else state.step_index - 1
    return policy.steps[min(index, len(policy.steps) - 1)].weight_percent if index >= 0 else 0


def _roll(state: State, policy: Policy, view: View, now: datetime) -> Decision:
    for _ in range(2 * len(policy.steps) + 1):
        decision = _step(state, policy, view, now)
        if decision is not None:
            return decision
        if state.step_started_at is None:
            state = replace(state, step_started_at=now)
            if candidate_weight(state, policy, view) > 0:
                return _rolling(state, policy, view, Stage.WATCHING, "the step to begin", requeue_at=now)
        else:
            state = replace(state, step_index=state.step_index + 1, step_started_at=None)
    raise AssertionError("every step is passed at most once")


def _step(state: State, policy: Policy, view: View, now: datetime) -> Decision | None:
    """Decide within a step; None when it, or its first half, is passed."""
    step = policy.steps[state.step_index] if state.step_index < len(policy.steps) else Step()
    is_override = view.promote == state.candidate
    blocked = _held_by_a_person(state, view) or (None if is_override else _refusal(state, step, view, now))
    blocked = blocked or _not_yet_running(state, policy, view, now)
    if blocked:
        return blocked
    if is_override or state.step_index >= len(policy.steps):
        how = "was promoted by annotation, not by its gates" if is_override else "passed its gates and serves"
        return _promoted(state, policy, now, f"Revision {state.candidate} {how}.")
    if state.step_started_at is None:
        return _wait_for_measured(state, step, policy, view)
    return _wait_for_watched(state, step, policy, view, now)


def _held_by_a_person(state: State, view: View) -> Decision | None:
    return _held(state, Hold.ABORTED, "aborted by annotation.") if view.abort == state.candidate else None


def _not_yet_running(state: State, policy: Policy, view: View, now: datetime) -> Decision | None:
    if policy.strategy is Strategy.RECREATE and state.stable and state.stable not in view.stopped:
        return _rolling(state, policy, view, Stage.STOPPING, f"{state.stable} to stop")
    return None if state.candidate in view.ready else _unready(state, policy, view, now)


def _wait_for_measured(state: State, step: Step, policy: Policy, view: View) -> Decision | None:
    verdicts = {gate: _verdict(gate, view) for gate in step.measured}
    undecided = [gate for gate, verdict in verdicts.items() if verdict == "Inconclusive"]
    if undecided:
        return _rolling(state, policy, view, Stage.PAUSED, f"a person to decide on gate {', '.join(undecided)}")
    pending = [gate for gate, verdict in verdicts.items() if verdict != "Passed"]
    return _rolling(state, policy, view, Stage.GATING, f"gate {', '.join(pending)}") if pending else None


def _wait_for_watched(state: State, step: Step, policy: Policy, view: View, now: datetime) -> Decision | None:
    if not state.stable or state.step_started_at is None:
        return None
    ends_at = _pause_ends_at(state.step_started_at, step)
    if now < ends_at:
        return _rolling(state, policy, view, Stage.WATCHING, "the pause to end", requeue_at=ends_at)
    pending = [gate for gate in step.watched if _verdict(gate, view) != "Passed"]
    return _rolling(state, policy, view, Stage.WATCHING, f"gate {', '.join(pending)}") if pending else None


def _refusal(state: State, step: Step, view: View, now: datetime) -> Decision | None:
    """Hold the candidate when a gate of its step refuses it. Live metrics may be undecided until the pause is over."""
    verdicts = {gate: _verdict(gate, view) for gate in step.measured}
    if state.step_started_at is not None and state.stable:
        is_over = now >= _pause_ends_at(state.step_started_at, step)
        raw = {gate: view.verdicts.get(gate, "Pending") for gate in step.watched}
        verdicts |= {gate: _verdict(gate, view) for gate in step.watched} if is_over else raw
    for gate, verdict in verdicts.items():
        if verdict == "Failed":
            return _held(state, Hold.GATE_FAILED, f"gate {gate} failed.")
        if verdict == "Error":
            return _held(state, Hold.GATE_ERROR, f"gate {gate} could not be measured.")
    return None


def _verdict(gate: str, view: View) -> Verdict:
    verdict = view.verdicts.get(gate, "Pending")
    if verdict != "Inconclusive":
        return verdict
    match view.on_inconclusive.get(gate, "Pause"):
        case "Fail":
            return "Failed"
        case "Pass":
            return "Passed"
        case _:
            return "Inconclusive"


def _pause_ends_at(step_started_at: datetime, step: Step) -> datetime:
    return step_started_at + timedelta(seconds=step.pause_seconds)


def _is_overridden(state: State, view: View) -> bool:
    """A person may promote what its gates refuse, not what live traffic or a person has taken back."""
    return view.promote == state.failed and state.hold in {Hold.GATE_FAILED, Hold.GATE_ERROR}


def _unready(state: State, policy: Policy, view: View, now: datetime) -> Decision:
    since = max(filter(None, (state.started_at, view.unready_since)), default=now)
    deadline = since + timedelta(seconds=policy.progress_deadline_seconds)
    if now >= deadline:
        waited = f"not ready within {policy.progress_deadline_seconds} seconds"
        return _held(state, Hold.NOT_READY, f"{waited}.")
    return _rolling(state, policy, view, Stage.STARTING, "engines to be ready", requeue_at=deadline)


def _bake(state: State, policy: Policy, view: View, now: datetime) -> Decision:
    promoted_at = state.promoted_at or now
    ends_at = promoted_at + timedelta(seconds=policy.bake_seconds)
    broken = [gate for gate in policy.live_gates if view.verdicts.get(gate) == "Failed"]
    is_aborted = view.abort == state.stable
    can_return = state.previous in view.ready or policy.strategy is Strategy.RECREATE
    if (is_aborted or (broken and policy.auto_rollback)) and can_return:
        cause = "aborted by annotation" if is_aborted else f"gate {', '.join(broken)} failed on live traffic"
        return _rolled_back(state, Hold.ABORTED if is_aborted else Hold.ROLLED_BACK, cause)
    if now >= ends_at:
        settled = replace(state, previous="")
        return _at_rest(settled, Stage.SETTLED, Happening("BakeCompleted", f"Revision {state.stable} has baked."))
    warm = frozenset() if policy.strategy is Strategy.RECREATE else frozenset({state.previous})
    return Decision(
        state=state,
        stage=Stage.BAKING,
        weights={state.stable: FULL},
        running=warm | {state.stable},
        waiting_for="the bake to end",
        requeue_at=ends_at,
    )


def _promoted(state: State, policy: Policy, now: datetime, message: str) -> Decision:
    keeps_previous = bool(state.stable) and policy.bake_seconds > 0
    promoted = State(stable=state.candidate, previous=state.stable if keeps_previous else "", promoted_at=now)
    return Decision(
        state=promoted,
        stage=Stage.BAKING if keeps_previous else Stage.SETTLED,
        weights={promoted.stable: FULL},
        running=frozenset(filter(None, (promoted.stable, promoted.previous))),
        happenings=(Happening("Promoted", message),),
        requeue_at=now,
    )


def _rolled_back(state: State, hold: Hold, cause: str) -> Decision:
    back = State(stable=state.previous, failed=state.stable, hold=hold)
    happening = Happening("RolledBack", f"{state.previous} serves again: {state.stable} {cause}.", is_warning=True)
    return _at_rest(back, Stage.HELD, happening)


def _held(state: State, hold: Hold, message: str) -> Decision:
    held = State(stable=state.stable, failed=state.candidate, hold=hold, started_at=state.started_at)
    return _at_rest(held, Stage.HELD, Happening(hold.value, f"{state.candidate}: {message}", is_warning=True))


def _rolling(
    state: State, policy: Policy, view: View, stage: Stage, waiting_for: str, *, requeue_at: datetime | None = None
) -> Decision:
    return Decision(
        state=state,
        stage=stage,
        weights=_weights(state, policy, view),
        running=_running(state, policy, view),
        waiting_for=waiting_for,
        requeue_at=requeue_at,
    )


def _frozen(state: State, policy: Policy, view: View) -> Decision:
    return Decision(
        state=state,
        stage=Stage.SUSPENDED if view.is_suspended else Stage.EMPTY,
        weights=_weights(state, policy, view),
        running=_frozen_running(state, policy, view),
    )


def _at_rest(state: State, stage: Stage, *happenings: Happening) -> Decision:
    return Decision(
        state=state,
        stage=stage if state.stable or state.failed else Stage.EMPTY,
        weights={state.stable: FULL} if state.stable else {},
        running=frozenset(filter(None, (state.stable,))),
        happenings=happenings,
    )


def _weights(state: State, policy: Policy, view: View) -> dict[str, int]:
    if not state.stable:
        return {}
    share = candidate_weight(state, policy, view)
    weights = {state.stable: FULL - share, state.candidate: share}
    return {revision: weight for revision, weight in weights.items() if revision and weight}


def _running(state: State, policy: Policy, view: View) -> frozenset[str]:
    both = frozenset(filter(None, (state.stable, state.candidate)))
    if policy.strategy is not Strategy.RECREATE or not (state.stable and state.candidate):
        return both
    return frozenset({state.candidate}) if state.stable in view.stopped else frozenset()


def _frozen_running(state: State, policy: Policy, view: View) -> frozenset[str]:
    if policy.strategy is Strategy.RECREATE and state.stable and state.stable not in view.stopped:
        return frozenset({state.stable})
    return _running(state, policy, view) | frozenset(filter(None, (state.previous,)))
