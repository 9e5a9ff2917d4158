"""From the scores of a suite to the evidence of a criterion: matrices, values, intervals. Pure.

The unit of all statistics is the item: repeats of one item are averaged or kept together, never counted as items.
Under load the unit is the request, and the sides are compared as two samples, not in pairs.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import numpy as np

from touchstone_evaluation.core import sequential, statistics
from touchstone_evaluation.core.items import ItemDigest
from touchstone_evaluation.core.results import Evidence, Interval
from touchstone_evaluation.core.scores import Score
from touchstone_evaluation.core.spec import Criterion, ItemErrorPolicy, Side
from touchstone_evaluation.core.statistics import Floats, Statistic
from touchstone_evaluation.core.task import Auroc, Corpus, Mean, Metric, Percentile, Ratio

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
    clusters: Mapping[ItemDigest, str] = field(default_factory=dict)
    """What items belong together by, as the document they are of; empty: each stands alone."""
    labels: Mapping[str, Mapping[ItemDigest, str]] = field(default_factory=dict)
    """Of the fields that slices are made by, each item's value."""
    order: tuple[ItemDigest, ...] = ()
    """All items in the order in which they are asked, where it is random; empty: it is not."""
    askings_per_item: int = 0
    """Of both sides together, with `order`."""

    def first(self, items: int) -> "Measured":
        """The scores of the first items only, as if no more had been planned."""
        kept = set(self.order[:items])
        return replace(
            self,
            scores=[score for score in self.scores if score.asking.item in kept],
            expected=self.expected * items // max(1, len(self.order)),
        )

    @property
    def complete(self) -> int:
        """How many items are through before the first one that is not: those that are quick get no advantage."""
        counts = Counter(score.asking.item for score in self.scores)
        waiting = (place for place, item in enumerate(self.order) if counts[item] < self.askings_per_item)
        return next(waiting, len(self.order))

    def of_side(self, side: Side) -> list[Score]:
        """The scores of one side."""
        return [score for score in self.scores if score.asking.side is side]


def evidence(criterion: Criterion, metric: Metric, suite: Measured, *, confidence: float | None = None) -> Evidence:
    """Gather what was measured for a criterion; with intervals of its level or, if given, of another."""
    level = confidence or criterion.confidence
    asked_of = (Side.SUBJECT, Side.BASELINE) if criterion.relative else (Side.SUBJECT,)
    if problem := next(filter(None, (fault(suite, side, metric) for side in asked_of)), ""):
        return Evidence(problem=problem)
    subject, baseline = (_rows(metric, suite, side) for side in (Side.SUBJECT, Side.BASELINE))
    pair = (subject, baseline)
    if suite.is_paired:
        pair = ({u: subject[u] for u in subject if u in baseline}, {u: baseline[u] for u in subject if u in baseline})
    judged = pair[0] if criterion.relative else subject
    if suite.clusters:
        return _clustered(metric, judged, pair, suite.clusters, level)
    value = _value(metric, judged)
    found = Evidence(value=value, value_interval=_interval(metric, judged, level), samples=len(judged))
    if not pair[0] or not pair[1]:
        return found
    return _compared(found, metric, pair, is_paired=suite.is_paired, confidence=level)


def early_evidence(criterion: Criterion, metric: Metric, suite: Measured, items: int, *, tail: float) -> Evidence:
    """Gather what the first items tell, by intervals that hold at every look.

    Only of bounded means, of items in random order that stand alone; else the evidence has no intervals.

    Args:
        criterion: What is asked for.
        metric: Its metric.
        suite: All scores so far.
        items: How many items of the order are through.
        tail: The probability that an interval's side is ever wrong.
    """
    seen = suite.first(items)
    asked_of = (Side.SUBJECT, Side.BASELINE) if criterion.relative else (Side.SUBJECT,)
    if problem := next(filter(None, (fault(seen, side, metric) for side in asked_of)), ""):
        return Evidence(problem=problem, is_early=True)
    subject, baseline = (_rows(metric, seen, side) for side in (Side.SUBJECT, Side.BASELINE))
    units = [item for item in suite.order[:items] if item in subject and (item in baseline or not criterion.relative)]
    found = Evidence(value=_value(metric, {item: subject[item] for item in units}), samples=len(units), is_early=True)
    lowest, highest = metric.lowest, metric.highest
    if not isinstance(metric.aggregate, Mean) or lowest is None or highest is None or suite.clusters or not units:
        return found
    values = np.array([np.mean(subject[item]) for item in units])
    of_all = sequential.interval(values, lowest=lowest, highest=highest, tail=tail, population=len(suite.order))
    found = replace(found, value_interval=of_all)
    if not criterion.relative:
        return found
    before = np.array([np.mean(baseline[item]) for item in units])
    gains, span = values - before, highest - lowest
    return replace(
        found,
        baseline=float(before.mean()),
        delta=float(gains.mean()),
        delta_interval=sequential.interval(gains, lowest=-span, highest=span, tail=tail),
    )


def value(metric: Metric, suite: Measured, side: Side) -> tuple[float | None, int]:
    """One side's value over all its items and how many they are; None where it cannot be computed."""
    rows = _rows(metric, suite, side)
    if not all(math.isfinite(number) for row in rows.values() for numbers in row for number in numbers):
        return None, len(rows)
    found = _value(metric, rows)
    return found if found is not None and math.isfinite(found) else None, len(rows)


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


def _clustered(
    metric: Metric, judged: Rows, pair: tuple[Rows, Rows], clusters: Mapping[ItemDigest, str], confidence: float
) -> Evidence:
    """Resample whole clusters: what items of one cluster have in common is counted once.

    The cluster bootstrap (Davison and Hinkley, Bootstrap Methods and their Application, 1997, §3.8): drawn with
    replacement are clusters, each with all its items. Every item still weighs the same.
    """
    of_value = _grouped(metric, judged, clusters)
    value = statistics.value(_grouped_statistic(metric), of_value) if len(of_value) else None
    found = Evidence(value=value, samples=len(judged))
    if len(of_value) >= 2:
        interval = statistics.bootstrap(_grouped_statistic(metric), of_value, confidence=confidence)
        found = replace(
            found, value_interval=_widened_by_unseen(metric, interval, value, _weight(metric, of_value), confidence)
        )
    if not pair[0] or not pair[1]:
        return found
    both = [_grouped(metric, rows, clusters) for rows in pair]
    statistic = _grouped_statistic(metric)
    before = statistics.value(statistic, both[1])
    delta = statistics.value(statistic, both[0]) - before
    found = replace(found, baseline=before, delta=delta)
    if len(both[0]) < 2:
        return found
    interval = statistics.bootstrap_difference(statistic, *both, is_paired=True, confidence=confidence)
    return replace(
        found,
        delta_interval=_widened_by_unseen(
            metric, interval, delta, min(_weight(metric, side) for side in both), confidence, is_delta=True
        ),
    )


def _grouped(metric: Metric, rows: Rows, clusters: Mapping[ItemDigest, str]) -> Floats:
    """Shape the values of clusters: clusters x values; of a mean sum and count, so that all items weigh the same."""
    groups: dict[Hashable, list[Hashable]] = defaultdict(list)
    for unit in rows:
        groups[clusters.get(unit, unit)].append(unit)  # type: ignore[call-overload]
    if isinstance(metric.aggregate, Percentile):
        flat = [[value for unit in units for (value,) in rows[unit]] for units in groups.values()]
        width = max(map(len, flat))
        return np.array([values + [math.nan] * (width - len(values)) for values in flat])
    if isinstance(metric.aggregate, Auroc):
        pairs = [[number for unit in units for number in np.mean(rows[unit], axis=0)] for units in groups.values()]
        width = max(map(len, pairs))
        return np.array([numbers + [math.nan] * (width - len(numbers)) for numbers in pairs])
    if isinstance(metric.aggregate, Mean):
        return np.array(
            [[sum(float(np.mean(rows[unit])) for unit in units), float(len(units))] for units in groups.values()]
        )
    return np.array([np.sum([row for unit in units for row in rows[unit]], axis=0) for units in groups.values()])


def _grouped_statistic(metric: Metric) -> Statistic:
    return statistics.ratio if isinstance(metric.aggregate, Mean) else _statistic(metric)


def _widened_by_unseen(
    metric: Metric, interval: Interval, center: float | None, count: int, confidence: float, *, is_delta: bool = False
) -> Interval:
    """Widen the interval of a bounded mean or share by what no sample of this size could have shown."""
    lowest, highest = metric.lowest, metric.highest
    if center is None or lowest is None or highest is None:
        return interval
    if not isinstance(metric.aggregate, Mean | Ratio) or not count:
        return interval
    if is_delta:
        lowest, highest = lowest - highest, highest - lowest
    return _widened(interval, statistics.unseen(center, count, lowest=lowest, highest=highest, confidence=confidence))


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
        count = min(_weight(metric, subject), _weight(metric, baseline))
        interval = _widened_by_unseen(metric, interval, delta, count, confidence, is_delta=True)
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
    center = statistics.value(_statistic(metric), items)
    return _widened_by_unseen(metric, interval, center, _weight(metric, items), confidence)


def _weight(metric: Metric, units: Floats) -> int:
    """Count the units that speak of a metric: for a ratio those that have any of what it is a share of."""
    return int(np.count_nonzero(units[:, 1])) if isinstance(metric.aggregate, Ratio) else len(units)


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
        case Auroc():
            return statistics.auroc


def _names(metric: Metric) -> tuple[str, ...]:
    match metric.aggregate:
        case Ratio(of=of, per=per):
            return (of, per)
        case Corpus(of=names):
            return names
        case Auroc(of=of, label=label):
            return (of, label)
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
            return np.array([[math.fsum(value for (value,) in row) / len(row)] for row in rows.values()])
        case Ratio() | Corpus():
            return np.array([np.sum(row, axis=0) for row in rows.values()])
        case Auroc():
            return np.array([np.mean(row, axis=0) for row in rows.values()])
        case Percentile():
            width = max(len(row) for row in rows.values())
            padded = [[value for (value,) in row] + [math.nan] * (width - len(row)) for row in rows.values()]
            return np.array(padded)
