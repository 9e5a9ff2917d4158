"""From evidence to verdicts: one rule for each kind of criterion, one for the run. Pure; closed on failure.

A number that is missing or not finite makes Error, never Passed. docs/evaluation/criteria.md has the rules in words.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeGuard

from scipy import special

from touchstone_evaluation.core.results import Evidence, Interval
from touchstone_evaluation.core.spec import Absolute, Criterion, Goal, Operator, Relative, Verdict

POWER = 0.8
"""Probability with which the advised number of items tells."""
LARGEST_ADVICE = 1000
"""More than so many times the items there were is no advice."""

_SEVERITY = (Verdict.PASSED, Verdict.INCONCLUSIVE, Verdict.FAILED, Verdict.ERROR)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """A verdict and why, in a sentence."""

    verdict: Verdict
    message: str
    advised_samples: int | None = None
    """About how many items would tell; None where it is told, or where no number would."""


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
    return _together(parts)


def _together(parts: Sequence[Judgement]) -> Judgement:
    """The worst of several; of numbers of items, the largest."""
    return Judgement(
        verdict=worst_of(part.verdict for part in parts),
        message=" ".join(part.message for part in parts),
        advised_samples=max((part.advised_samples for part in parts if part.advised_samples), default=None),
    )


def worst_of(verdicts: Iterable[Verdict]) -> Verdict:
    """The verdict that stands for several: Error before Failed before Inconclusive before Passed; of none, Error."""
    return max(verdicts, key=_SEVERITY.index, default=Verdict.ERROR)


def _absolute(absolute: Absolute, evidence: Evidence) -> Judgement:
    """Compare the measured value itself; its interval is reported, not judged."""
    if not _is_finite(evidence.value):
        return Judgement(verdict=Verdict.ERROR, message="The value could not be measured.")
    if evidence.is_early:
        return _absolute_early(absolute, evidence)
    holds, sign = {
        Operator.GREATER_OR_EQUAL: (evidence.value >= absolute.value, "≥"),
        Operator.LESS_OR_EQUAL: (evidence.value <= absolute.value, "≤"),
    }[absolute.operator]
    message = (
        f"The value {_number(evidence.value)}{_within(evidence.value_interval)} is {'' if holds else 'not '}{sign} "
        f"{_number(absolute.value)}."
    )
    return Judgement(verdict=Verdict.PASSED if holds else Verdict.FAILED, message=message)


def _absolute_early(absolute: Absolute, evidence: Evidence) -> Judgement:
    """Tell what all items would come to, where their value's interval leaves no doubt."""
    interval = evidence.value_interval
    if interval is None:
        return Judgement(verdict=Verdict.INCONCLUSIVE, message="What all items would come to is not known yet.")
    sign = "≥" if absolute.operator is Operator.GREATER_OR_EQUAL else "≤"
    low, high = interval if sign == "≥" else Interval(-interval.high, -interval.low)
    wanted = absolute.value if sign == "≥" else -absolute.value
    told = f"All items would come to {_number(interval.low)} to {_number(interval.high)}"
    if low >= wanted:
        return Judgement(verdict=Verdict.PASSED, message=f"{told}, {sign} {_number(absolute.value)}.")
    if high < wanted:
        return Judgement(verdict=Verdict.FAILED, message=f"{told}, not {sign} {_number(absolute.value)}.")
    return Judgement(verdict=Verdict.INCONCLUSIVE, message=f"{told}: {sign} {_number(absolute.value)} or not.")


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
        part = _regression(relative.max_regression, gain, bounds, is_lost=is_lost)
        parts.append(_advised(part, gain + relative.max_regression, bounds, evidence, relative.confidence))
    if relative.min_improvement is not None:
        part = _improvement(relative.min_improvement, gain, bounds)
        parts.append(_advised(part, gain - relative.min_improvement, bounds, evidence, relative.confidence))
    if not parts:
        return Judgement(verdict=Verdict.ERROR, message="The comparison asks for nothing. Set maxRegression.")
    return _together(parts)


def _advised(
    judgement: Judgement, distance: float, bounds: Interval, evidence: Evidence, confidence: float
) -> Judgement:
    """Say how many items would tell, were the gain what it seems; nothing where that is no use to know."""
    if judgement.verdict is not Verdict.INCONCLUSIVE or evidence.is_early:
        return judgement
    wanted = samples_to_tell(distance, (bounds.high - bounds.low) / 2, evidence.samples, confidence=confidence)
    if wanted is None:
        message = f"{judgement.message} The gain lies at the bound itself: no number of items would tell."
        return Judgement(verdict=judgement.verdict, message=message)
    message = f"{judgement.message} About {wanted} would tell, if the gain stays what it is."
    return Judgement(verdict=judgement.verdict, message=message, advised_samples=wanted)


def samples_to_tell(distance: float, half_width: float, samples: int, *, confidence: float) -> int | None:
    """About how many items tell a gain from a bound with probability 0.8, by the normal approximation.

    The interval narrows as one over the root of the number of items, and the gain has to clear it by what the power
    asks for: n (h / d (1 + z_power / z_confidence))², as n = (z_confidence + z_power)² sigma² / d² (Chow et al., Sample
    Size Calculations in Clinical Research, 2017, §4.1) with sigma = h sqrt(n) / z_confidence.

    Args:
        distance: Between the gain and the bound.
        half_width: Of the gain's interval.
        samples: Items that it rests on.
        confidence: The interval's level.

    Returns:
        None: more than a thousand times as many, so no number worth naming.
    """
    if not distance or not half_width:
        return None
    share = special.ndtri(POWER) / special.ndtri(1 - (1 - confidence) / 2)
    wanted = math.ceil(samples * (half_width / abs(distance) * (1 + float(share))) ** 2)
    return max(wanted, samples + 1) if wanted <= LARGEST_ADVICE * samples else None


def _regression(limit: float, gain: float, bounds: Interval, *, is_lost: bool) -> Judgement:
    seen = f"The gain {_number(gain)}{_within(bounds)}"
    if bounds.high < -limit or is_lost:
        return Judgement(verdict=Verdict.FAILED, message=f"{seen} is worse than the allowed -{_number(limit)}.")
    if bounds.low >= -limit:
        return Judgement(verdict=Verdict.PASSED, message=f"{seen} stays above the allowed -{_number(limit)}.")
    return Judgement(verdict=Verdict.INCONCLUSIVE, message=f"{seen} does not tell whether -{_number(limit)} is kept.")


def _improvement(wanted: float, gain: float, bounds: Interval) -> Judgement:
    seen = f"The gain {_number(gain)}{_within(bounds)}"
    if bounds.low >= wanted:
        return Judgement(verdict=Verdict.PASSED, message=f"{seen} reaches the wanted {_number(wanted)}.")
    if bounds.high < wanted:
        return Judgement(verdict=Verdict.FAILED, message=f"{seen} does not reach the wanted {_number(wanted)}.")
    return Judgement(
        verdict=Verdict.INCONCLUSIVE, message=f"{seen} does not tell whether {_number(wanted)} is reached."
    )


def _is_significant(p_value: float | None, confidence: float) -> bool:
    return p_value is not None and p_value < 1 - confidence


def _is_finite(number: float | None) -> TypeGuard[float]:
    return number is not None and math.isfinite(number)


def _number(number: float) -> str:
    return f"{number:.4g}"


def _within(interval: Interval | None) -> str:
    return f" (interval {_number(interval.low)} to {_number(interval.high)})" if interval else ""
