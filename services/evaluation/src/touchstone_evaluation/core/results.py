"""Results as values: intervals, evidence, what criteria and the run came to. Pure, and free of numeric libraries."""

from dataclasses import dataclass
from typing import NamedTuple

from touchstone_evaluation.core.spec import Goal, Verdict


class Interval(NamedTuple):
    """A confidence interval."""

    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What was measured for a criterion."""

    value: float | None = None
    """The subject's value; None: not measured."""
    value_interval: Interval | None = None
    baseline: float | None = None
    delta: float | None = None
    """Value minus baseline, over the items that both sides have."""
    delta_interval: Interval | None = None
    p_value: float | None = None
    """Of the exact McNemar test, for 0/1 metrics with a baseline."""
    samples: int = 0
    """How many items it rests on."""
    is_early: bool = False
    """Of a part of the run's items, with intervals that hold whenever one looks; `value_interval` is of the value that
    all of the run's items would have."""
    problem: str = ""
    """Why it cannot be believed, as too many failed items; a sentence. Empty: it can."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BusinessValue:
    """What a measured value means for the business."""

    name: str
    unit: str
    value: float
    interval: Interval | None = None
    """What the ends of the value's interval mean."""
    baseline: float | None = None
    is_beyond: bool = False
    """A value lies beyond the curve: what is told is the curve's end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CriterionResult:
    """What a criterion came to."""

    name: str
    metric: str
    goal: Goal
    verdict: Verdict
    message: str
    evidence: Evidence
    confidence: float
    required: bool
    advised_samples: int | None = None
    """About how many items would tell what these did not; None: they did, or no number would."""
    business: BusinessValue | None = None
    """What the value means; None: nobody said, or there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricValue:
    """One measured value."""

    metric: str
    value: float | None
    baseline: float | None
    samples: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """One metric over the items that have one value of a field."""

    metric: str
    """`SUITE/METRIC`."""
    field: str
    value: str
    samples: int
    measured: float | None = None
    """The subject's value; None: the slice has too few items."""
    interval: Interval | None = None
    baseline: float | None = None
    delta: float | None = None
    delta_interval: Interval | None = None
    confidence: float = 0.0
    """Level of the intervals, after the number of slices was allowed for."""
    is_worse: bool = False
    """The whole interval of the difference is on the worse side."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conclusion:
    """What a run came to."""

    verdict: Verdict
    message: str
    criteria: tuple[CriterionResult, ...] = ()
    metrics: tuple[MetricValue, ...] = ()
    score: float | None = None
    slices: tuple[Slice, ...] = ()
