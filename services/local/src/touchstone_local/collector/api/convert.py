"""OTLP messages as records. Pure."""

from collections.abc import Iterable, Iterator

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import ResourceLogs
from opentelemetry.proto.metrics.v1 import metrics_pb2
from opentelemetry.proto.metrics.v1.metrics_pb2 import ResourceMetrics
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, Status
from opentelemetry.proto.trace.v1.trace_pb2 import Span as OtlpSpan

from touchstone_local.collector.core.records import Attribute, LogLine, Metric, Span


def spans(resources: Iterable[ResourceSpans]) -> Iterator[Span]:
    """Yield the spans of an export."""
    for resource in resources:
        service = _service(resource.resource)
        for scope in resource.scope_spans:
            for span in scope.spans:
                yield Span(
                    trace_id=span.trace_id.hex(),
                    span_id=span.span_id.hex(),
                    parent_id=span.parent_span_id.hex(),
                    service=service,
                    name=span.name,
                    kind=OtlpSpan.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_").lower(),
                    start_nanos=span.start_time_unix_nano,
                    end_nanos=span.end_time_unix_nano,
                    is_error=span.status.code == Status.STATUS_CODE_ERROR,
                    message=span.status.message,
                    attributes=attributes(span.attributes),
                    events=tuple(event.name for event in span.events),
                )


def metrics(resources: Iterable[ResourceMetrics]) -> Iterator[Metric]:
    """Yield the values of an export; summaries and exponential histograms, which we do not emit, are left out."""
    for resource in resources:
        service = _service(resource.resource)
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                for kind, attached, time_nanos, value, count in _points(metric):
                    yield Metric(
                        service=service,
                        name=metric.name,
                        unit=metric.unit,
                        kind=kind,
                        attributes=attributes(attached),
                        time_nanos=time_nanos,
                        value=value,
                        count=count,
                    )


def log_lines(resources: Iterable[ResourceLogs]) -> Iterator[LogLine]:
    """Yield the log lines of an export."""
    for resource in resources:
        service = _service(resource.resource)
        for scope in resource.scope_logs:
            for line in scope.log_records:
                yield LogLine(
                    service=service,
                    time_nanos=line.time_unix_nano or line.observed_time_unix_nano,
                    severity=line.severity_text,
                    body=str(_value(line.body)),
                    trace_id=line.trace_id.hex(),
                    span_id=line.span_id.hex(),
                    attributes=attributes(line.attributes),
                )


def attributes(pairs: Iterable[KeyValue]) -> dict[str, Attribute]:
    """Return attributes by name."""
    return {pair.key: _value(pair.value) for pair in pairs}


def _points(
    metric: metrics_pb2.Metric,
) -> Iterator[tuple[str, Iterable[KeyValue], int, float, int]]:
    for kind, points in (("gauge", metric.gauge.data_points), ("sum", metric.sum.data_points)):
        for point in points:
            value = point.as_int if point.WhichOneof("value") == "as_int" else point.as_double
            yield kind, point.attributes, point.time_unix_nano, float(value), 1
    for histogram in metric.histogram.data_points:
        yield "histogram", histogram.attributes, histogram.time_unix_nano, histogram.sum, histogram.count


def _service(resource: Resource) -> str:
    return str(attributes(resource.attributes).get("service.name", "unknown"))


def _value(value: AnyValue) -> Attribute:
    match value.WhichOneof("value"):
        case "array_value":
            return ", ".join(str(_value(each)) for each in value.array_value.values)
        case "kvlist_value":
            return ", ".join(f"{each.key}={_value(each.value)}" for each in value.kvlist_value.values)
        case "bytes_value":
            return value.bytes_value.hex()
        case _:
            return _scalar(value)


def _scalar(value: AnyValue) -> Attribute:
    match value.WhichOneof("value"):
        case "bool_value":
            return value.bool_value
        case "int_value":
            return value.int_value
        case "double_value":
            return value.double_value
        case _:
            return value.string_value
