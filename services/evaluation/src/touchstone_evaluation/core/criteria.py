"""From evidence to verdicts: one rule for each kind of criterion, one for the run. Pure; closed on failure.

A number that is missing or not finite makes Error, never Passed. docs/evaluation/criteria.md has the rules in words.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeGuard

from touchstone_evaluation.core.results import Evidence, Interval
from touchstone_evaluation.core.spec import Absolute, Criterion, Goal, Operator, Relative, Verdict

_SEVERITY = (Verdict.PASSED, Verdict.INCONCLUSIVE, Verdict.FAILED, Verdict.ERROR)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """A verdict and why, in a sentence."""

    verdict: Verdict
    message: str


def judge(criterion: Criterion, goal: Goal, evidence: Evidence) -> Judgement:
    """Judge one criterion; with both parts set, the worse of the two."""
    if evidence.problem:
        return Judgement(verdict=Verdict.ERROR, message=evidence.problem)
    if evidence.samples < 1:
        return Judgement(verdict=Verdict.ERROR, message=f"No item has a value of {criterion.metric}.")
    if evidence.samples < criterion.min_samples:
        message = f"{evidence.samples} items are fewer than the {criterion.min_samples} that minSamples asks for."
        return Judgement(verdict=Verdict.INCONCLUSIVE, message=message)
    parts = []
    if criterion.absolute:
        parts.append(_absolute(criterion.absolute, evidence))
    if criterion.relative:
        parts.append(_relative(criterion.relative, goal, evidence))
    if not parts:
        return Judgement(verdict=Verdict.ERROR, message="The criterion asks for nothing. Set absolute or relative.")
    worst = worst_of(part.verdict for part in parts)
    return Judgement(verdict=worst, message=" ".join(part.message for part in parts))


def worst_of(verdicts: Iterable[Verdict]) -> Verdict:
    """The verdict that stands for several: Error before Failed before Inconclusive before Passed; of none, Error."""
    return max(verdicts, key=_SEVERITY.index, default=Verdict.ERROR)


def _absolute(absolute: Absolute, evidence: Evidence) -> Judgement:
    """Compare the measured value itself; its interval is reported, not judged."""
    if not _is_finite(evidence.value):
        return Judgement(verdict=Verdict.ERROR, message="The value could not be measured.")
    holds, sign = {
        Operator.GREATER_OR_EQUAL: (evidence.value >= absolute.value, "≥"),
        Operator.LESS_OR_EQUAL: (evidence.value <= absolute.value, "≤"),
    }[absolute.operator]
    message = (
        f"The value {_number(evidence.value)}{_within(evidence.value_interval)} is {'' if holds else 'not '}{sign} "
        f"{_number(absolute.value)}."
    )
    return Judgement(verdict=Verdict.PASSED if holds else Verdict.FAILED, message=message)


def _relative(relative: Relative, goal: Goal, evidence: Evidence) -> Judgement:
    """Compare the interval of the gain with each bound; the gain is the difference in the better direction."""
    if not _is_finite(evidence.value) or not _is_finite(evidence.baseline) or not _is_finite(evidence.delta):
        return Judgement(verdict=Verdict.ERROR, message="The difference to the baseline could not be measured.")
    interval = evidence.delta_interval
    if interval is None:
        return Judgement(verdict=Verdict.INCONCLUSIVE, message="One item tells nothing about others; add items.")
    if not all(map(_is_finite, interval)):
        return Judgement(verdict=Verdict.ERROR, message="The interval of the difference could not be computed.")
    gain = evidence.delta if goal is Goal.MAXIMIZE else -evidence.delta
    bounds = interval if goal is Goal.MAXIMIZE else Interval(-interval.high, -interval.low)
    parts = []
    if relative.max_regression is not None:
        is_lost = _is_significant(evidence.p_value, relative.confidence) and gain < -relative.max_regression
        parts.append(_regression(relative.max_regression, gain, bounds, is_lost=is_lost))
    if relative.min_improvement is not None:
        parts.append(_improvement(relative.min_improvement, gain, bounds))
    if not parts:
        return Judgement(verdict=Verdict.ERROR, message="The comparison asks for nothing. Set maxRegression.")
    return Judgement(verdict=worst_of(p.verdict for p in parts), message=" ".join(p.message for p in parts))


def _regression(limit: float, gain: float, bounds: Interval, *, is_lost: bool) -> Judgement:
    seen = f"The gain {_number(gain)}{_within(bounds)}"
    if bounds.high < -limit or is_lost:
        return Judgement(verdict=Verdict.FAILED, message=f"{seen} is worse than the allowed -{_number(limit)}.")
    if bounds.low >= -limit:
        return Judgement(verdict=Verdict.PASSED, message=f"{seen} stays above the allowed -{_number(limit)}.")
    return Judgement(
        verdict=Verdict.INCONCLUSIVE, message=f"{seen} does not tell whether -{_number(limit)} is kept; add items."
    )


def _improvement(wanted: float, gain: float, bounds: Interval) -> Judgement:
    seen = f"The gain {_number(gain)}{_within(bounds)}"
    if bounds.low >= wanted:
        return Judgement(verdict=Verdict.PASSED, message=f"{seen} reaches the wanted {_number(wanted)}.")
    if bounds.high < wanted:
        return Judgement(verdict=Verdict.FAILED, message=f"{seen} does not reach the wanted {_number(wanted)}.")
    return Judgement(
        verdict=Verdict.INCONCLUSIVE, message=f"{seen} does not tell whether {_number(wanted)} is reached; add items."
    )


def _is_significant(p_value: float | None, confidence: float) -> bool:
    return p_value is not None and p_value < 1 - confidence


def _is_finite(number: float | None) -> TypeGuard[float]:
    return number is not None and math.isfinite(number)


def _number(number: float) -> str:
    return f"{number:.4g}"


def _within(interval: Interval | None) -> str:
    return f" (interval {_number(interval.low)} to {_number(interval.high)})" if interval else ""
