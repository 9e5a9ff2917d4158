"""What the collector keeps. Pure."""

from dataclasses import dataclass, field

Attribute = str | int | float | bool
"""The value of an attribute; lists and maps are kept as text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """One span."""

    trace_id: str
    """32 hexadecimal digits."""
    span_id: str
    """16 hexadecimal digits."""
    parent_id: str = ""
    """Empty: it is a root."""
    service: str
    name: str
    kind: str = "internal"
    start_nanos: int
    """Since the epoch."""
    end_nanos: int
    is_error: bool = False
    message: str = ""
    """What the status says."""
    attributes: dict[str, Attribute] = field(default_factory=dict)
    events: tuple[str, ...] = ()
    """Names of what happened on the way."""

    @property
    def duration_seconds(self) -> float:
        """How long it took."""
        return (self.end_nanos - self.start_nanos) / 1e9


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """The latest value of one series."""

    service: str
    name: str
    unit: str = ""
    kind: str
    """`gauge`, `sum` or `histogram`."""
    attributes: dict[str, Attribute] = field(default_factory=dict)
    time_nanos: int
    value: float
    """The value; for a histogram the sum."""
    count: int = 1
    """For a histogram: how many values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLine:
    """One log line."""

    service: str
    time_nanos: int
    severity: str
    body: str
    trace_id: str = ""
    span_id: str = ""
    attributes: dict[str, Attribute] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceSummary:
    """A trace in a list."""

    trace_id: str
    root: str
    """Name of the earliest span."""
    service: str
    start_nanos: int
    duration_seconds: float
    spans: int
    has_error: bool


def summarise(spans: tuple[Span, ...]) -> TraceSummary:
    """Return the summary of a trace's spans, of which there is at least one."""
    first = min(spans, key=lambda span: (span.start_nanos, span.parent_id != ""))
    end = max(span.end_nanos for span in spans)
    return TraceSummary(
        trace_id=first.trace_id,
        root=first.name,
        service=first.service,
        start_nanos=first.start_nanos,
        duration_seconds=(end - first.start_nanos) / 1e9,
        spans=len(spans),
        has_error=any(span.is_error for span in spans),
    )
