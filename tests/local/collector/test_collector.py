"""The collector, fed by the OpenTelemetry SDK and asked over HTTP."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace import StatusCode
from touchstone_local.collector import wiring
from touchstone_local.collector.core.records import LogLine, Metric, Span
from touchstone_local.collector.core.store import TelemetryStore
from touchstone_local.collector.settings import CollectorSettings
from touchstone_runtime.testing import free_port

RESOURCE = Resource.create({"service.name": "touchstone-router"})


@pytest.fixture
async def settings() -> AsyncIterator[CollectorSettings]:
    found = CollectorSettings(listen=f"127.0.0.1:{free_port()}", http_listen=f"127.0.0.1:{free_port()}")
    serving = asyncio.create_task(wiring.run(found))
    async with asyncio.timeout(20), httpx.AsyncClient() as client:
        while True:
            try:
                await client.get(f"http://{found.http_listen}/traces")
                break
            except httpx.TransportError:
                await asyncio.sleep(0.02)
    yield found
    serving.cancel()
    await asyncio.wait({serving})


async def ask(settings: CollectorSettings, path: str) -> httpx.Response:
    async with httpx.AsyncClient() as client:
        return await client.get(f"http://{settings.http_listen}{path}")


async def test_spans_that_were_exported_are_found_again(settings: CollectorSettings) -> None:
    provider = TracerProvider(resource=RESOURCE)
    exporter = OTLPSpanExporter(endpoint=f"http://{settings.listen}", insecure=True)
    provider.add_span_processor(SimpleSpanProcessor(exporter))

    def export() -> str:
        tracer = provider.get_tracer("test")
        with (
            tracer.start_as_current_span("Generate", attributes={"model": "chat", "tokens": 3}) as outer,
            tracer.start_as_current_span("Search") as inner,
        ):
            inner.set_status(StatusCode.ERROR, "index is gone")
        return f"{outer.get_span_context().trace_id:032x}"

    trace_id = await asyncio.to_thread(export)
    spans = (await ask(settings, f"/traces/{trace_id[:12]}")).json()["spans"]
    assert [(span["service"], span["name"], span["is_error"]) for span in spans] == [
        ("touchstone-router", "Generate", False),
        ("touchstone-router", "Search", True),
    ]
    assert spans[0]["attributes"] == {"model": "chat", "tokens": 3}
    assert spans[1]["parent_id"] == spans[0]["span_id"]
    summary = (await ask(settings, "/traces?limit=1")).json()["traces"][0]
    assert (summary["trace_id"], summary["root"], summary["spans"], summary["has_error"]) == (
        trace_id, "Generate", 2, True,
    )  # fmt: skip
    await asyncio.to_thread(provider.shutdown)


async def test_the_latest_value_of_a_metric_counts(settings: CollectorSettings) -> None:
    exporter = OTLPMetricExporter(endpoint=f"http://{settings.listen}", insecure=True)
    reader = PeriodicExportingMetricReader(exporter, export_interval_millis=60_000)
    provider = MeterProvider(metric_readers=[reader], resource=RESOURCE)
    counter = provider.get_meter("test").create_counter("requests")
    seconds = provider.get_meter("test").create_histogram("ttft", unit="s")

    def export() -> None:
        for _ in range(2):
            counter.add(1, {"model": "chat"})
            seconds.record(0.5)
            provider.force_flush()

    await asyncio.to_thread(export)
    found = {each["name"]: each for each in (await ask(settings, "/metrics")).json()["metrics"]}
    assert (found["requests"]["value"], found["requests"]["attributes"]) == (2.0, {"model": "chat"})
    assert (found["ttft"]["kind"], found["ttft"]["value"], found["ttft"]["count"]) == ("histogram", 1.0, 2)
    await asyncio.to_thread(provider.shutdown)


async def test_an_unknown_trace_is_not_found(settings: CollectorSettings) -> None:
    answer = await ask(settings, "/traces/feed")
    assert answer.status_code == 404
    assert "feed" in answer.json()["message"]


def span(trace_id: str, span_id: str = "1") -> Span:
    return Span(trace_id=trace_id, span_id=span_id, service="s", name="n", start_nanos=0, end_nanos=1)


def test_the_trace_that_was_silent_longest_is_forgotten_first() -> None:
    store = TelemetryStore(max_traces=2)
    store.add_spans([span("a"), span("b"), span("a", "2"), span("c")])
    assert [each.trace_id for each in store.traces(limit=9)] == ["c", "a"]


def test_a_span_sent_twice_is_one_and_a_long_trace_is_cut() -> None:
    store = TelemetryStore(max_spans_per_trace=2)
    store.add_spans([span("a", "1"), span("a", "1"), span("a", "2"), span("a", "3")])
    assert [each.span_id for each in store.trace("a")] == ["1", "2"]


def test_series_and_lines_are_bounded() -> None:
    store = TelemetryStore(max_series=2, max_logs=2)
    store.add_metrics(Metric(service="s", name=name, kind="gauge", time_nanos=0, value=1) for name in "abc")
    store.add_logs(LogLine(service="s", time_nanos=0, severity="INFO", body=body, trace_id=body) for body in "abc")
    assert [each.name for each in store.metrics()] == ["b", "c"]
    assert [each.body for each in store.logs(limit=9)] == ["b", "c"]
    assert [each.body for each in store.logs(limit=9, trace_id="c")] == ["c"]
