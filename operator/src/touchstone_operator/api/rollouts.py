"""How a new revision takes over: strategy, steps, gates, bake."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from touchstone_operator.api.common import ApiModel, Name, Percent, Seconds, keyed, rules
from touchstone_operator.api.evaluations import Gate


class RolloutStep(ApiModel):
    """One step: a weight, the gates that must pass at it, a pause."""

    set_weight: Percent
    """setWeight is the candidate's share of the traffic; at 0 it is reached only by pinning."""
    pause_seconds: Seconds = 0
    """pauseSeconds is how long to stay before gates of type Metrics decide and the next step begins."""
    gates: Annotated[tuple[Name, ...], Field(max_length=16)] | None = None
    """gates that must pass before the next step. Unset: none."""


class Rollout(ApiModel):
    """How a new revision takes over."""

    strategy: Literal["Canary", "BlueGreen", "Recreate"] = "BlueGreen"
    """strategy is Canary (by steps), BlueGreen (at once, after the gates) or Recreate (no spare capacity: the old one
    stops first). With the first two one candidate runs beside the stable revision."""
    steps: Annotated[tuple[RolloutStep, ...], Field(max_length=16)] | None = None
    """steps of a Canary. Unset: one step at weight 0 with every gate of type EvalRun."""
    bake_seconds: Seconds = 0
    """bakeSeconds is how long live traffic is watched after the promotion; the previous revision stays warm."""
    auto_rollback: bool = True
    """autoRollback returns to the previous revision when a Metrics gate fails during the bake."""
    progress_deadline_seconds: Annotated[int, Field(ge=1, le=604_800)] = 3600
    """progressDeadlineSeconds is how long a candidate may take to be ready."""
    revision_history_limit: Annotated[int, Field(ge=0, le=16)] = 5
    """revisionHistoryLimit is how many old revisions keep their manifest."""
    drain_seconds: Annotated[int, Field(ge=0, le=86_400)] = 30
    """drainSeconds is how long a revision without traffic keeps its engines: generations in flight finish."""
    gates: Annotated[tuple[Gate, ...], keyed(16)] | None = None
    """gates that steps refer to. Unset: none; then traffic moves when the candidate is ready."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                (
                    "!has(self.steps) || self.steps.all(s, !has(s.gates) || s.gates.all(g, has(self.gates) && "
                    "self.gates.exists(d, d.name == g)))"
                ),
                "each name in steps[].gates must be the name of one of gates",
            ),
            (
                "!has(self.steps) || size(self.steps) < 2 || self.steps.map(s, s.setWeight).isSorted()",
                "the weights of steps must not fall",
            ),
            (
                (
                    "self.strategy == 'Canary' || !has(self.steps) || "
                    "self.steps.all(s, s.setWeight == 0 || s.setWeight == 100)"
                ),
                "only a Canary has weights between 1 and 99: use strategy Canary, or weights 0 and 100",
            ),
            (
                (
                    "!self.autoRollback || self.strategy != 'Recreate' || self.bakeSeconds == 0 || "
                    "self.revisionHistoryLimit > 0"
                ),
                "set revisionHistoryLimit to 1 or more: a rollback after Recreate starts the previous revision again",
            ),
        )
    )
