"""The words of a rollout: policy, state, view, decision. Pure; `rollout` is the machine that uses them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from touchstone_operator.objects import Happening
from touchstone_operator.plan.gates import Verdict

FULL = 100


class Strategy(StrEnum):
    """How a candidate takes over."""

    CANARY = "Canary"
    BLUE_GREEN = "BlueGreen"
    RECREATE = "Recreate"


class Hold(StrEnum):
    """Why a target is held: it gets no traffic until the spec changes."""

    NONE = ""
    GATE_FAILED = "EvalGateFailed"
    GATE_ERROR = "EvalGateError"
    ABORTED = "Aborted"
    NOT_READY = "ProgressDeadlineExceeded"
    ROLLED_BACK = "RolledBack"


class Stage(StrEnum):
    """What is going on; the reason of the Promoted condition while nothing is held."""

    EMPTY = "NoRevision"
    SETTLED = "Promoted"
    BAKING = "Baking"
    STOPPING = "StoppingStable"
    STARTING = "CandidateStarting"
    GATING = "Gating"
    PAUSED = "Paused"
    WATCHING = "Watching"
    HELD = "Held"
    SUSPENDED = "Suspended"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of a rollout."""

    weight_percent: int = 0
    pause_seconds: int = 0
    measured: tuple[str, ...] = ()
    """Gates that pass before the weight is set."""
    watched: tuple[str, ...] = ()
    """Gates that are looked at with the weight set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How to roll out."""

    strategy: Strategy = Strategy.BLUE_GREEN
    steps: tuple[Step, ...] = (Step(),)
    """At least one."""
    live_gates: tuple[str, ...] = ()
    """Gates that are watched while the promoted revision bakes."""
    bake_seconds: int = 0
    auto_rollback: bool = True
    progress_deadline_seconds: int = 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What is remembered of a rollout: in the status, nowhere else."""

    stable: str = ""
    candidate: str = ""
    failed: str = ""
    hold: Hold = Hold.NONE
    step_index: int = 0
    started_at: datetime | None = None
    step_started_at: datetime | None = None
    """When the present step's weight was set; None while its measured gates run."""
    previous: str = ""
    """What a rollback returns to, while the stable revision bakes."""
    promoted_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What is observed now."""

    target: str
    """The revision that the spec resolves to; empty when it does not resolve: then nothing moves."""
    ready: frozenset[str] = frozenset()
    """Revisions whose engines are all ready."""
    stopped: frozenset[str] = frozenset()
    """Revisions without any engine."""
    verdicts: Mapping[str, Verdict] = field(default_factory=dict)
    """What the gates of the candidate, or of the baking revision, came to; a missing one is Pending."""
    on_inconclusive: Mapping[str, str] = field(default_factory=dict)
    """What an undecided gate does: Pause, Fail or Pass; a missing one pauses."""
    unready_since: datetime | None = None
    """Since when the candidate is known not to be ready."""
    is_new_generation: bool = False
    is_retry: bool = False
    """A person asks to measure the held target again."""
    is_suspended: bool = False
    abort: str = ""
    """The revision that a person aborts."""
    promote: str = ""
    """The revision that a person promotes, whatever its gates say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What to do."""

    state: State
    stage: Stage
    weights: Mapping[str, int]
    """Share of the traffic by revision; those with 0 are left out."""
    running: frozenset[str]
    """Revisions whose engines run."""
    waiting_for: str = ""
    """What is waited for, in a few words."""
    happenings: tuple[Happening, ...] = ()
    requeue_at: datetime | None = None
    """When to look again although nothing changes."""
