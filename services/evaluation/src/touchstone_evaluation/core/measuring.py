"""From the scores of a suite to the evidence of a criterion: matrices, values, intervals. Pure.

The unit of all statistics is the item: repeats of one item are averaged or kept together, never counted as items.
Under load the unit is the request, and the sides are compared as two samples, not in pairs.
"""

import math
from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from touchstone_evaluation.core import statistics
from touchstone_evaluation.core.results import Evidence, Interval
from touchstone_evaluation.core.scores import Score
from touchstone_evaluation.core.spec import Criterion, ItemErrorPolicy, Side
from touchstone_evaluation.core.statistics import Floats, Statistic
from touchstone_evaluation.core.task import Corpus, Mean, Metric, Percentile, Ratio

Rows: TypeAlias = Mapping[Hashable, Sequence[tuple[float, ...]]]
"""For each unit, the values of its askings; a ratio has two values each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """The scores of one suite, and how they are to be read."""

    scores: Sequence[Score]
    expected: int
    """Askings of each side that were planned; 0 when that is not known beforehand."""
    policy: ItemErrorPolicy
    max_error_ratio: float
    is_paired: bool

    def of_side(self, side: Side) -> list[Score]:
        """The scores of one side."""
        return [score for score in self.scores if score.asking.side is side]


def evidence(criterion: Criterion, metric: Metric, suite: Measured) -> Evidence:
    """Gather what was measured for a criterion."""
    asked_of = (Side.SUBJECT, Side.BASELINE) if criterion.relative else (Side.SUBJECT,)
    if problem := next(filter(None, (fault(suite, side, metric) for side in asked_of)), ""):
        return Evidence(problem=problem)
    subject, baseline = (_rows(metric, suite, side) for side in (Side.SUBJECT, Side.BASELINE))
    pair = (subject, baseline)
    if suite.is_paired:
        pair = ({u: subject[u] for u in subject if u in baseline}, {u: baseline[u] for u in subject if u in baseline})
    judged = pair[0] if criterion.relative else subject
    value = _value(metric, judged)
    found = Evidence(value=value, value_interval=_interval(metric, judged, criterion.confidence), samples=len(judged))
    if not pair[0] or not pair[1]:
        return found
    return _compared(found, metric, pair, is_paired=suite.is_paired, confidence=criterion.confidence)


def value(metric: Metric, suite: Measured, side: Side) -> tuple[float | None, int]:
    """One side's value over all its items and how many they are; None where it cannot be computed."""
    rows = _rows(metric, suite, side)
    if not all(math.isfinite(number) for row in rows.values() for numbers in row for number in numbers):
        return None, len(rows)
    return _value(metric, rows), len(rows)


def fault(suite: Measured, side: Side, metric: Metric) -> str:
    """Say why a side's scores cannot be believed; empty when they can."""
    scores = suite.of_side(side)
    if suite.expected and len(scores) < suite.expected:
        return f"Of {suite.expected} answers of the {side}, {suite.expected - len(scores)} are missing."
    failed = [score for score in scores if score.error]
    if len(failed) > suite.max_error_ratio * len(scores):
        return (
            f"{len(failed)} of {len(scores)} askings of the {side} failed, more than the share "
            f"{suite.max_error_ratio:g} that maxErrorRatio allows; the first: {failed[0].error}"
        )
    broken = next((s for s in scores for name in _names(metric) if not math.isfinite(s.values.get(name, 0.0))), None)
    return f"The value of {metric.name} of item {broken.asking.item} is not a number." if broken else ""


def _compared(
    found: Evidence, metric: Metric, pair: tuple[Rows, Rows], *, is_paired: bool, confidence: float
) -> Evidence:
    subject, baseline = _matrix(metric, pair[0]), _matrix(metric, pair[1])
    statistic = _statistic(metric)
    before = statistics.value(statistic, baseline)
    delta = statistics.value(statistic, subject) - before
    interval = None
    if min(len(subject), len(baseline)) >= 2:
        interval = statistics.bootstrap_difference(
            statistic, subject, baseline, is_paired=is_paired, confidence=confidence
        )
        if isinstance(metric.aggregate, Mean) and metric.lowest is not None and metric.highest is not None:
            span = metric.highest - metric.lowest
            count = min(len(subject), len(baseline))
            interval = _widened(
                interval, statistics.unseen(delta, count, lowest=-span, highest=span, confidence=confidence)
            )
    return Evidence(
        value=found.value,
        value_interval=found.value_interval,
        samples=found.samples,
        baseline=before,
        delta=delta,
        delta_interval=interval,
        p_value=_p_value(metric, pair) if is_paired else None,
    )


def _p_value(metric: Metric, pair: tuple[Rows, Rows]) -> float | None:
    """The exact McNemar test; None when an item has more than one answer or more than two values."""
    if not metric.is_binary or any(len(row) != 1 for rows in pair for row in rows.values()):
        return None
    changes = [pair[0][unit][0][0] - pair[1][unit][0][0] for unit in pair[0]]
    return statistics.mcnemar(gained=sum(c > 0 for c in changes), lost=sum(c < 0 for c in changes))


def _value(metric: Metric, rows: Rows) -> float | None:
    return statistics.value(_statistic(metric), _matrix(metric, rows)) if rows else None


def _interval(metric: Metric, rows: Rows, confidence: float) -> Interval | None:
    if len(rows) < 2:
        return None
    items = _matrix(metric, rows)
    if metric.is_binary and all(len(row) == 1 for row in rows.values()):
        return statistics.wilson(float(items.sum()), len(items), confidence=confidence)
    interval = statistics.bootstrap(_statistic(metric), items, confidence=confidence)
    if isinstance(metric.aggregate, Mean) and metric.lowest is not None and metric.highest is not None:
        center = statistics.value(statistics.mean, items)
        unseen = statistics.unseen(
            center, len(items), lowest=metric.lowest, highest=metric.highest, confidence=confidence
        )
        return _widened(interval, unseen)
    return interval


def _widened(interval: Interval, other: Interval) -> Interval:
    return Interval(min(interval.low, other.low), max(interval.high, other.high))


def _statistic(metric: Metric) -> Statistic:
    match metric.aggregate:
        case Mean():
            return statistics.mean
        case Percentile(percent=percent):
            return statistics.percentile(percent)
        case Ratio(is_exponent=is_exponent):
            return statistics.exponent_of_ratio if is_exponent else statistics.ratio
        case Corpus(combine=combine):
            return statistics.corpus(combine)


def _names(metric: Metric) -> tuple[str, ...]:
    match metric.aggregate:
        case Ratio(of=of, per=per):
            return (of, per)
        case Corpus(of=names):
            return names
        case aggregate:
            return (aggregate.of,)


def _rows(metric: Metric, suite: Measured, side: Side) -> Rows:
    """Collect the values of each unit; what has no value is left out, a failed item counts as the policy says."""
    names = _names(metric)
    is_counted = suite.policy is ItemErrorPolicy.COUNT or metric.counts_failures
    rows: dict[Hashable, list[tuple[float, ...]]] = defaultdict(list)
    for score in suite.of_side(side):
        unit = score.asking.item if suite.is_paired else (score.asking.item, score.asking.repeat)
        if score.error:
            if is_counted and metric.worst is not None:
                rows[unit].append((metric.worst,))
        elif all(name in score.values for name in names):
            rows[unit].append(tuple(score.values[name] for name in names))
    return dict(rows)


def _matrix(metric: Metric, rows: Rows) -> Floats:
    """Shape the values as the metric's statistic takes them: items x values."""
    match metric.aggregate:
        case Mean():
            return np.array([[np.mean(row)] for row in rows.values()])
        case Ratio() | Corpus():
            return np.array([np.sum(row, axis=0) for row in rows.values()])
        case Percentile():
            width = max(len(row) for row in rows.values())
            padded = [[value for (value,) in row] + [math.nan] * (width - len(row)) for row in rows.values()]
            return np.array(padded)
