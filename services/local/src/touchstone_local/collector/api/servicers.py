"""OTLP's three services over gRPC."""

from functools import partial

import grpc
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2, logs_service_pb2_grpc
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2, metrics_service_pb2_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc
from touchstone_runtime.server import Servicer

from touchstone_local.collector.api import convert
from touchstone_local.collector.core.store import TelemetryStore

TraceRequest = trace_service_pb2.ExportTraceServiceRequest
TraceResponse = trace_service_pb2.ExportTraceServiceResponse
MetricsRequest = metrics_service_pb2.ExportMetricsServiceRequest
MetricsResponse = metrics_service_pb2.ExportMetricsServiceResponse
LogsRequest = logs_service_pb2.ExportLogsServiceRequest
LogsResponse = logs_service_pb2.ExportLogsServiceResponse


class TraceServicer(trace_service_pb2_grpc.TraceServiceServicer):
    """Takes spans."""

    def __init__(self, store: TelemetryStore) -> None:
        self._store = store

    async def Export(  # noqa: N802 (the proto's name)
        self, request: TraceRequest, context: grpc.aio.ServicerContext[TraceRequest, TraceResponse]
    ) -> TraceResponse:
        """Store the spans."""
        self._store.add_spans(convert.spans(request.resource_spans))
        return TraceResponse()


class MetricsServicer(metrics_service_pb2_grpc.MetricsServiceServicer):
    """Takes metrics."""

    def __init__(self, store: TelemetryStore) -> None:
        self._store = store

    async def Export(  # noqa: N802 (the proto's name)
        self, request: MetricsRequest, context: grpc.aio.ServicerContext[MetricsRequest, MetricsResponse]
    ) -> MetricsResponse:
        """Store the values."""
        self._store.add_metrics(convert.metrics(request.resource_metrics))
        return MetricsResponse()


class LogsServicer(logs_service_pb2_grpc.LogsServiceServicer):
    """Takes log lines."""

    def __init__(self, store: TelemetryStore) -> None:
        self._store = store

    async def Export(  # noqa: N802 (the proto's name)
        self, request: LogsRequest, context: grpc.aio.ServicerContext[LogsRequest, LogsResponse]
    ) -> LogsResponse:
        """Store the lines."""
        self._store.add_logs(convert.log_lines(request.resource_logs))
        return LogsResponse()


def servicers(store: TelemetryStore) -> list[Servicer]:
    """Return the three services over one store."""
    traces, metrics, logs = TraceServicer(store), MetricsServicer(store), LogsServicer(store)
    return [
        Servicer(
            "opentelemetry.proto.collector.trace.v1.TraceService",
            partial(trace_service_pb2_grpc.add_TraceServiceServicer_to_server, traces),
        ),
        Servicer(
            "opentelemetry.proto.collector.metrics.v1.MetricsService",
            partial(metrics_service_pb2_grpc.add_MetricsServiceServicer_to_server, metrics),
        ),
        Servicer(
            "opentelemetry.proto.collector.logs.v1.LogsService",
            partial(logs_service_pb2_grpc.add_LogsServiceServicer_to_server, logs),
        ),
    ]
