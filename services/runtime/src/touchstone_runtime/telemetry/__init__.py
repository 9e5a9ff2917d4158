"""OpenTelemetry for a process: traces, metrics and logs by OTLP when there is an endpoint, else only log lines.

Prompts and answers are never telemetry here; a service that is told to record them does so itself, by
`names.GEN_AI_INPUT_MESSAGES` and `names.GEN_AI_OUTPUT_MESSAGES`.
"""

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass

from opentelemetry import metrics, trace
from opentelemetry.sdk.resources import SERVICE_INSTANCE_ID, SERVICE_NAME, SERVICE_NAMESPACE, SERVICE_VERSION, Resource

from touchstone_runtime.telemetry import logs, names
from touchstone_runtime.telemetry.logs import LogFormat

METRIC_INTERVAL_MILLIS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Telemetry:
    """What was set up; shut it down last, so that the end of the process is seen."""

    stops: tuple[Callable[[], object], ...] = ()

    def shutdown(self) -> None:
        """Send what is left and stop."""
        for stop in self.stops:
            stop()


def setup(service_name: str, *, endpoint: str | None, log_format: LogFormat = "json", version: str = "") -> Telemetry:
    """Set telemetry up for this process; call once, before anything is served and after any fork.

    Args:
        service_name: `service.name` of all telemetry, for example `touchstone-router`.
        endpoint: The OTLP/gRPC address, `http://HOST:PORT` or `https://HOST:PORT`. None: nothing leaves the process.
        log_format: How log lines look on standard error.
        version: `service.version`.
    """
    logs.setup(log_format)
    if not endpoint:
        return Telemetry()
    resource = Resource.create(
        {
            SERVICE_NAME: service_name,
            SERVICE_NAMESPACE: "touchstone",
            SERVICE_VERSION: version,
            SERVICE_INSTANCE_ID: f"{os.uname().nodename}-{os.getpid()}",
        }
    )
    return _export(resource, endpoint)


def _export(resource: Resource, endpoint: str) -> Telemetry:
    # Imported here: a process without a collector does not pay for the exporters.
    from opentelemetry._logs import set_logger_provider  # noqa: PLC0415
    from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter  # noqa: PLC0415
    from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter  # noqa: PLC0415
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
    from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler  # noqa: PLC0415
    from opentelemetry.sdk._logs.export import BatchLogRecordProcessor  # noqa: PLC0415
    from opentelemetry.sdk.metrics import MeterProvider  # noqa: PLC0415
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    is_insecure = not endpoint.startswith("https://")
    spans = TracerProvider(resource=resource)
    spans.add_span_processor(
        BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint, insecure=is_insecure), schedule_delay_millis=1000)
    )
    trace.set_tracer_provider(spans)
    reader = PeriodicExportingMetricReader(
        OTLPMetricExporter(endpoint=endpoint, insecure=is_insecure), export_interval_millis=METRIC_INTERVAL_MILLIS
    )
    meters = MeterProvider(resource=resource, metric_readers=[reader])
    metrics.set_meter_provider(meters)
    records = LoggerProvider(resource=resource)
    records.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter(endpoint=endpoint, insecure=is_insecure)))
    set_logger_provider(records)
    handler = LoggingHandler(level=logging.WARNING, logger_provider=records)
    handler.addFilter(lambda record: not record.name.startswith(("opentelemetry", "grpc")))  # no echo of its own faults
    logging.getLogger().addHandler(handler)
    return Telemetry(stops=(spans.shutdown, meters.shutdown, records.shutdown))


def tracer(name: str) -> trace.Tracer:
    """Return the tracer of a module."""
    return trace.get_tracer(name)


def meter(name: str) -> metrics.Meter:
    """Return the meter of a module."""
    return metrics.get_meter(name)


__all__ = ["LogFormat", "Telemetry", "logs", "meter", "names", "setup", "tracer"]
