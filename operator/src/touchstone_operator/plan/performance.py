"""How the revision that serves performs: the router's counters and what engines say of themselves, as numbers. Pure."""

import math
from collections.abc import Iterator
from datetime import datetime, timedelta

from touchstone_operator.api.observations import Performance, PerformanceMetric
from touchstone_operator.plan import live, times
from touchstone_operator.ports import LiveMetrics, Reached

WINDOW_SECONDS = 300
LOOK = timedelta(seconds=60)
"""How often it is looked at."""
TOKENS, REQUESTS, MILLIS, SHARE = "tok/s", "requests/s", "ms", "1"


def is_due(known: Performance | None, stable: str, now: datetime) -> bool:
    """Tell whether the revision that serves is to be looked at."""
    if not stable:
        return False
    return known is None or known.revision != stable or times.read(known.measured_at) + LOOK <= now


def observe(
    known: Performance | None, stable: str, metrics: LiveMetrics | None, reached: Reached | None, now: datetime
) -> Performance | None:
    """Write down what was seen; what is known stays while nobody asks the model anything."""
    is_known = known is not None and known.revision == stable
    has_news = (metrics is not None and metrics.requests > 0) or (
        not is_known and reached is not None and reached.peak_output_tokens_per_second > 0
    )
    if not has_news:
        return known if is_known else None
    found = tuple(_metrics(metrics, reached))
    return Performance(measured_at=times.write(now), revision=stable, metrics=found)


def _metrics(metrics: LiveMetrics | None, reached: Reached | None) -> Iterator[PerformanceMetric]:
    if reached is not None and reached.peak_output_tokens_per_second:
        yield _metric("peakTokensPerSecond", reached.peak_output_tokens_per_second, TOKENS)
    if metrics is not None and metrics.requests and metrics.window_seconds > 0:
        yield from _traffic(metrics)
    if reached is not None and reached.measured_engines:
        yield _metric("mfu", reached.mfu, SHARE)
        yield _metric("mbu", reached.mbu, SHARE)


def _traffic(metrics: LiveMetrics) -> Iterator[PerformanceMetric]:
    seconds = metrics.window_seconds
    yield _metric("requestsPerSecond", metrics.requests / seconds, REQUESTS)
    if metrics.good_requests is not None:
        yield _metric("goodRequestsPerSecond", metrics.good_requests / seconds, REQUESTS)
    yield _metric("outputTokensPerSecond", metrics.output_tokens / seconds, TOKENS)
    for name, distribution in (
        ("ttftP95Millis", metrics.time_to_first_token),
        ("itlP95Millis", metrics.time_per_output_token),
        ("queueP95Millis", metrics.queue_time),
    ):
        value = live.quantile(distribution, 0.95)
        if value is not None and math.isfinite(value):
            yield _metric(name, value * 1e3, MILLIS)
    if metrics.input_tokens:
        yield _metric("cachedInputShare", metrics.cached_input_tokens / metrics.input_tokens, SHARE)


def _metric(name: str, value: float, unit: str) -> PerformanceMetric:
    """Write a number to three digits: more are noise, and would be a write each time."""
    rounded = float(f"{value:.3g}")
    text = f"{rounded:.0f}" if abs(rounded) >= 100 else f"{rounded:.6f}".rstrip("0").rstrip(".")
    return PerformanceMetric(name=name, value=text, unit=unit)
