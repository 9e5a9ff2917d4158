"""A bounded memory of telemetry. Pure: knows records, not how they came."""

from collections import OrderedDict, deque
from collections.abc import Iterable

from touchstone_local.collector.core import records
from touchstone_local.collector.core.records import LogLine, Metric, Span, TraceSummary


class TelemetryStore:
    """Keeps the newest traces, log lines and metric series, and forgets what is beyond the bounds."""

    def __init__(
        self, *, max_traces: int = 1000, max_spans_per_trace: int = 2000, max_series: int = 5000, max_logs: int = 5000
    ) -> None:
        self._traces: OrderedDict[str, dict[str, Span]] = OrderedDict()
        self._series: OrderedDict[tuple[str, str, str], Metric] = OrderedDict()
        self._logs: deque[LogLine] = deque(maxlen=max_logs)
        self._max_traces = max_traces
        self._max_spans = max_spans_per_trace
        self._max_series = max_series

    def add_spans(self, spans: Iterable[Span]) -> None:
        """Take spans; one that is sent again replaces itself."""
        for span in spans:
            trace = self._traces.setdefault(span.trace_id, {})
            if len(trace) < self._max_spans or span.span_id in trace:
                trace[span.span_id] = span
            self._traces.move_to_end(span.trace_id)
        while len(self._traces) > self._max_traces:
            self._traces.popitem(last=False)

    def add_metrics(self, metrics: Iterable[Metric]) -> None:
        """Take values; the latest of a series replaces the one before."""
        for metric in metrics:
            key = (metric.service, metric.name, repr(sorted(metric.attributes.items())))
            self._series[key] = metric
            self._series.move_to_end(key)
        while len(self._series) > self._max_series:
            self._series.popitem(last=False)

    def add_logs(self, lines: Iterable[LogLine]) -> None:
        """Take log lines."""
        self._logs.extend(lines)

    def traces(self, *, limit: int, service: str = "") -> list[TraceSummary]:
        """Return the traces that were heard of last, newest first; with a service, those that it takes part in."""
        found: list[TraceSummary] = []
        for trace in reversed(self._traces.values()):
            if len(found) >= limit:
                break
            if not service or any(span.service == service for span in trace.values()):
                found.append(records.summarise(tuple(trace.values())))
        return found

    def trace(self, trace_id: str) -> tuple[Span, ...]:
        """Return a trace's spans by time; none for an unknown trace.

        The beginning of an id will do if no other trace's begins so.
        """
        known = self._traces.get(trace_id)
        if known is None and trace_id:
            matches = [key for key in self._traces if key.startswith(trace_id)]
            known = self._traces[matches[0]] if len(matches) == 1 else None
        return tuple(sorted((known or {}).values(), key=lambda span: span.start_nanos))

    def metrics(self, *, name: str = "", service: str = "") -> list[Metric]:
        """Return the series, by service and name."""
        found = (each for each in self._series.values() if each.name.startswith(name) and service in ("", each.service))
        return sorted(found, key=lambda each: (each.service, each.name))

    def logs(self, *, limit: int, trace_id: str = "", service: str = "") -> list[LogLine]:
        """Return the newest log lines, oldest first."""
        found = [line for line in self._logs if trace_id in ("", line.trace_id) and service in ("", line.service)]
        return found[-limit:]
