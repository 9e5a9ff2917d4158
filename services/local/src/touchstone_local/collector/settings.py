"""The collector's settings; the only place that reads its environment."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectorSettings:
    """Where the collector listens, and how much it keeps."""

    listen: str
    """`HOST:PORT` of OTLP over gRPC."""
    http_listen: str
    """`HOST:PORT` of the queries."""
    max_traces: int = 1000
    """Enough for the demo with room to look back; a trace is a few kilobytes."""
    max_spans_per_trace: int = 2000
    """Later spans of a longer trace are dropped."""
    max_series: int = 5000
    """The series that were silent longest are forgotten first."""
    max_logs: int = 5000
    """The oldest lines are forgotten first."""
    log_as_json: bool = False
    """Whether logs are for machines; on one machine a person reads them."""
