"""Counters of a revision over a sliding window: what live gates read. Pure: the time is passed in.

A ring of time buckets. A window is a sum of buckets, so its edge is as sharp as a bucket is wide.
"""

from bisect import bisect_left
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from touchstone_inference.router.core.generation import Usage

BUCKET_SECONDS = 5
"""Width of a bucket: the error of a window's edge."""

HORIZON_SECONDS = 3600
"""The longest window."""

UPPER_BOUNDS_SECONDS = tuple(
    round(mantissa * 10.0**decade, 10)
    for decade in range(-3, 2)
    for mantissa in (1.0, 1.25, 1.6, 2.0, 2.5, 3.15, 4.0, 5.0, 6.3, 8.0)
)
"""Renard's R10 series from 1 ms to 80 s: quantiles are read within 26 %; usual limits (40 ms, 800 ms) are bounds."""


NO_USAGE = Usage()


class Outcome(StrEnum):
    """How a request ended."""

    ANSWERED = "answered"
    REFUSED = "refused"
    """For a reason that is the caller's."""
    CANCELLED = "cancelled"
    """By the caller."""
    FAILED = "failed"


@dataclass(slots=True)
class Histogram:
    """Counts of values between the bounds."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(UPPER_BOUNDS_SECONDS) + 1))
    sum_seconds: float = 0.0

    def add(self, seconds: float) -> None:
        """Count one value; a value equal to a bound lies below it."""
        self.counts[bisect_left(UPPER_BOUNDS_SECONDS, seconds)] += 1
        self.sum_seconds += seconds

    def merge(self, other: "Histogram") -> None:
        """Add the counts of another."""
        self.counts = [mine + theirs for mine, theirs in zip(self.counts, other.counts, strict=True)]
        self.sum_seconds += other.sum_seconds


@dataclass(slots=True)
class Counters:
    """Everything counted in a stretch of time."""

    requests: int = 0
    errors: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_input_tokens: int = 0
    time_to_first_token: Histogram = field(default_factory=Histogram)
    time_per_output_token: Histogram = field(default_factory=Histogram)
    queue_time: Histogram = field(default_factory=Histogram)
    good_requests: int = 0
    """Those that were answered and kept to the model's objective."""

    def merge(self, other: "Counters") -> None:
        """Add the counts of another."""
        self.requests += other.requests
        self.errors += other.errors
        self.input_tokens += other.input_tokens
        self.output_tokens += other.output_tokens
        self.cached_input_tokens += other.cached_input_tokens
        self.time_to_first_token.merge(other.time_to_first_token)
        self.time_per_output_token.merge(other.time_per_output_token)
        self.queue_time.merge(other.queue_time)
        self.good_requests += other.good_requests


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """One ended request."""

    outcome: Outcome
    usage: Usage = NO_USAGE
    time_to_first_token_seconds: float | None = None
    time_per_output_token_seconds: float | None = None
    queue_seconds: float | None = None
    is_good: bool = False
    """Whether it was answered and kept to the model's objective."""


class Ring:
    """The last hour of one revision."""

    def __init__(self) -> None:
        self._buckets: deque[tuple[int, Counters]] = deque(maxlen=HORIZON_SECONDS // BUCKET_SECONDS + 1)

    def record(self, observation: Observation, *, now_seconds: float) -> None:
        """Count an ended request. Time must not run backwards."""
        index = int(now_seconds // BUCKET_SECONDS)
        if not self._buckets or self._buckets[-1][0] != index:
            self._buckets.append((index, Counters()))
        counters = self._buckets[-1][1]
        counters.requests += 1
        counters.errors += observation.outcome is Outcome.FAILED
        counters.input_tokens += observation.usage.input_tokens
        counters.output_tokens += observation.usage.output_tokens
        counters.cached_input_tokens += observation.usage.cached_input_tokens
        if observation.time_to_first_token_seconds is not None:
            counters.time_to_first_token.add(observation.time_to_first_token_seconds)
        if observation.time_per_output_token_seconds is not None:
            counters.time_per_output_token.add(observation.time_per_output_token_seconds)
        if observation.queue_seconds is not None:
            counters.queue_time.add(observation.queue_seconds)
        counters.good_requests += observation.is_good

    def window(self, window_seconds: int, *, now_seconds: float) -> Counters:
        """Sum what ended in the last seconds: all of the window, and at most one bucket more."""
        oldest = int((now_seconds - min(window_seconds, HORIZON_SECONDS)) // BUCKET_SECONDS)
        total = Counters()
        for index, counters in reversed(self._buckets):
            if index < oldest:
                break
            total.merge(counters)
        return total


class RevisionMetrics:
    """The rings of all revisions, by model and revision."""

    def __init__(self) -> None:
        self._rings: dict[tuple[str, str], Ring] = {}

    def record(self, model: str, revision: str, observation: Observation, *, now_seconds: float) -> None:
        """Count an ended request of a revision."""
        self._rings.setdefault((model, revision), Ring()).record(observation, now_seconds=now_seconds)

    def window(self, model: str, revision: str, window_seconds: int, *, now_seconds: float) -> Counters:
        """Sum the last seconds of a revision; zeros when it had no traffic."""
        ring = self._rings.get((model, revision))
        return ring.window(window_seconds, now_seconds=now_seconds) if ring else Counters()

    def keep_only(self, revisions: Iterable[tuple[str, str]]) -> None:
        """Forget the revisions that are gone."""
        for gone in self._rings.keys() - set(revisions):
            del self._rings[gone]
