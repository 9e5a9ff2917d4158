"""What a measured value means for the business, by a curve that a team has found for itself. Pure.

Between two points of the curve the business metric is interpolated linearly; beyond its ends nothing is known, and the
end is told with a mark. An interval becomes the interval between what its ends mean: the curve rises or falls
throughout. How sure the curve itself is, nobody has measured.
"""

from dataclasses import dataclass

import numpy as np

from touchstone_evaluation.core.results import BusinessValue, Evidence, Interval
from touchstone_evaluation.core.spec import BusinessMetric


@dataclass(frozen=True, slots=True)
class _Meaning:
    value: float
    is_beyond: bool


def told(metric: BusinessMetric, evidence: Evidence) -> BusinessValue | None:
    """Say what evidence means; None where there is no value."""
    if evidence.value is None:
        return None
    value = _meaning(metric, evidence.value)
    baseline = None if evidence.baseline is None else _meaning(metric, evidence.baseline)
    interval = None
    if evidence.value_interval is not None:
        low, high = sorted(_meaning(metric, end).value for end in evidence.value_interval)
        interval = Interval(low, high)
    return BusinessValue(
        name=metric.name,
        unit=metric.unit,
        value=value.value,
        interval=interval,
        baseline=baseline.value if baseline else None,
        is_beyond=value.is_beyond or (baseline is not None and baseline.is_beyond),
    )


def _meaning(metric: BusinessMetric, value: float) -> _Meaning:
    values, meanings = zip(*sorted(metric.curve), strict=True)
    return _Meaning(float(np.interp(value, values, meanings)), not values[0] <= value <= values[-1])
