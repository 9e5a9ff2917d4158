"""Reading a rollout's policy out of a spec. Pure.

A gate of type EvalRun that no step names guards the first step: a gate that is declared is never skipped silently.
Without steps there is one, at weight 0, with every gate of type EvalRun.
"""

from touchstone_operator.api.evaluations import Gate
from touchstone_operator.api.rollouts import Rollout, RolloutStep
from touchstone_operator.plan.rollout_terms import Policy, Step, Strategy


def policy(rollout: Rollout) -> Policy:
    """Read the policy."""
    gates = {gate.name: gate for gate in rollout.gates or ()}
    live = tuple(name for name, gate in gates.items() if gate.type == "Metrics")
    return Policy(
        strategy=Strategy(rollout.strategy),
        steps=_steps(rollout.steps or (RolloutStep(set_weight=0),), gates),
        live_gates=live,
        bake_seconds=rollout.bake_seconds,
        auto_rollback=rollout.auto_rollback,
        progress_deadline_seconds=rollout.progress_deadline_seconds,
    )


def _steps(declared: tuple[RolloutStep, ...], gates: dict[str, Gate]) -> tuple[Step, ...]:
    named = {name for step in declared for name in step.gates or ()}
    unnamed = tuple(name for name, gate in gates.items() if gate.type == "EvalRun" and name not in named)
    steps = [_step(step, gates) for step in declared]
    first = steps[0]
    guarded = Step(
        weight_percent=first.weight_percent,
        pause_seconds=first.pause_seconds,
        measured=unnamed + first.measured,
        watched=first.watched,
    )
    return (guarded, *steps[1:])


def _step(step: RolloutStep, gates: dict[str, Gate]) -> Step:
    names = step.gates or ()
    return Step(
        weight_percent=step.set_weight,
        pause_seconds=step.pause_seconds,
        measured=tuple(name for name in names if gates[name].type == "EvalRun"),
        watched=tuple(name for name in names if gates[name].type == "Metrics"),
    )
