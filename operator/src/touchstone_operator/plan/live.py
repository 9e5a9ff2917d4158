"""Gates of type Metrics: bounds on counters of live traffic. Pure.

Too few requests decide nothing. A percentile beyond the histogram's last bound counts as infinite: it cannot be shown
to keep to any bound.
"""

import math

from touchstone_operator.api.evaluations import Gate, GateResult, MetricCriterion
from touchstone_operator.plan.gates import Verdict
from touchstone_operator.ports import Distribution, LiveMetrics


def judge(gate: Gate, metrics: LiveMetrics | None) -> GateResult:
    """Judge a gate by the counters of a revision; None means that the router did not answer."""
    if metrics is None:
        return _result(gate, "Inconclusive", "the router did not answer")
    if metrics.requests < gate.min_requests:
        return _result(gate, "Inconclusive", f"{metrics.requests} of {gate.min_requests} requests in the window")
    values = [(criterion, measure(metrics, criterion.metric)) for criterion in gate.criteria or ()]
    broken = [_sentence(criterion, value) for criterion, value in values if not _holds(criterion, value)]
    if broken:
        return _result(gate, "Failed", f"{'; '.join(broken)} in {metrics.requests} requests")
    unmeasured = [criterion.metric for criterion, value in values if value is None]
    if unmeasured:
        return _result(gate, "Inconclusive", f"no values of {', '.join(unmeasured)}")
    return _result(gate, "Passed", f"{metrics.requests} requests in the window")


def measure(metrics: LiveMetrics, metric: str) -> float | None:
    """Compute one metric: percentiles in milliseconds, the error rate as a share; None without values."""
    if metric == "error_rate":
        return metrics.errors / metrics.requests if metrics.requests else None
    name, percentile, _ = metric.split("_")
    distribution = metrics.time_to_first_token if name == "ttft" else metrics.time_per_output_token
    seconds = quantile(distribution, int(percentile.removeprefix("p")) / 100)
    return None if seconds is None else seconds * 1000


def quantile(distribution: Distribution, share: float) -> float | None:
    """Estimate a quantile in seconds by linear interpolation within its bucket; None without values."""
    total = sum(distribution.counts)
    if total == 0:
        return None
    rank, below, lower = share * total, 0, 0.0
    for upper, count in zip((*distribution.upper_bounds, math.inf), distribution.counts, strict=True):
        if count and below + count >= rank:
            return lower + (upper - lower) * (rank - below) / count if math.isfinite(upper) else math.inf
        below, lower = below + count, upper
    return math.inf


def _holds(criterion: MetricCriterion, value: float | None) -> bool:
    if value is None:
        return True
    bound = float(criterion.value)
    return value <= bound if criterion.operator == "LessOrEqual" else value >= bound


def _sentence(criterion: MetricCriterion, value: float | None) -> str:
    sign = "≤" if criterion.operator == "LessOrEqual" else "≥"
    return f"{criterion.metric} is {value:.4g}, wanted {sign} {criterion.value}"


def _result(gate: Gate, verdict: Verdict, message: str) -> GateResult:
    return GateResult(name=gate.name, verdict=verdict, message=message)
