"""Slices: what a mean hides, as a language or a customer for whom a revision is worse. Pure.

All slices of a suite share one probability of error (Bonferroni): of twenty slices of equals, one would else stand out.
Both sides answer the same items, so the whole's difference of a mean is the mean of its slices' differences, and a
slice may lose while the whole gains, but not all of them. Of metrics that are no means (percentiles, corpus scores,
ratios), and where one side failed to answer, all slices may point one way and the whole the other: Simpson's reversal.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from touchstone_evaluation.core import measuring
from touchstone_evaluation.core.items import ItemDigest
from touchstone_evaluation.core.measuring import Measured
from touchstone_evaluation.core.results import Slice
from touchstone_evaluation.core.spec import DEFAULT_CONFIDENCE, Criterion, Goal, Relative, Side
from touchstone_evaluation.core.task import Metric

MIN_ITEMS = 20
"""A slice of fewer is named, and not measured."""
MAX_VALUES = 20
"""Of a field with more values, the largest slices are taken."""


def slices(name: str, metric: Metric, suite: Measured) -> tuple[Slice, ...]:
    """Measure a suite's slices by one metric; fields in their order, larger slices first.

    Args:
        name: The suite's name.
        metric: What is measured.
        suite: The scores, with the labels of their items.
    """
    found = list(_members(suite))
    measured = [members for _, _, members in found if len(members) >= MIN_ITEMS]
    confidence = 1 - (1 - DEFAULT_CONFIDENCE) / max(1, len(measured))
    return tuple(
        _slice(f"{name}/{metric.name}", metric, suite, field, value, members, confidence)
        for field, value, members in found
    )


def is_reversed(delta: float | None, of_field: Sequence[Slice]) -> bool:
    """Whether every measured slice of a field differs from the baseline one way, and the whole the other.

    Args:
        delta: The whole's difference to the baseline.
        of_field: One metric's slices by one field.
    """
    deltas = [found.delta for found in of_field if found.delta is not None]
    if delta is None or len(deltas) < 2:
        return False
    return all(one * delta < 0 for one in deltas)


def _members(suite: Measured) -> Iterator[tuple[str, str, frozenset[ItemDigest]]]:
    scored = {score.asking.item for score in suite.scores}
    for field, labels in suite.labels.items():
        present: Mapping[ItemDigest, str] = {item: label for item, label in labels.items() if item in scored}
        for value, _ in Counter(present.values()).most_common(MAX_VALUES):
            yield field, value, frozenset(item for item, label in present.items() if label == value)


def _slice(
    name: str, metric: Metric, suite: Measured, field: str, value: str, members: frozenset[ItemDigest],
    confidence: float,
) -> Slice:  # fmt: skip
    if len(members) < MIN_ITEMS:
        return Slice(metric=name, field=field, value=value, samples=len(members))
    scores = [score for score in suite.scores if score.asking.item in members]
    has_baseline = any(score.asking.side is Side.BASELINE for score in scores)
    relative = Relative(confidence=confidence) if has_baseline else None
    part = replace(suite, scores=scores, expected=0, max_error_ratio=1.0)
    found = measuring.evidence(
        Criterion(name="slice", metric=name, relative=relative), metric, part, confidence=confidence
    )
    bounds = found.delta_interval
    is_worse = bounds is not None and (bounds.high < 0 if metric.goal is Goal.MAXIMIZE else bounds.low > 0)
    return Slice(
        metric=name,
        field=field,
        value=value,
        samples=len(members),
        measured=found.value,
        interval=found.value_interval,
        baseline=found.baseline,
        delta=found.delta,
        delta_interval=bounds,
        confidence=confidence,
        is_worse=is_worse,
    )
