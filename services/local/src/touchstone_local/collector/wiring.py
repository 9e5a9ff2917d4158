"""Puts the collector together."""

import asyncio
import contextlib
import logging
from collections.abc import Generator

import uvicorn
from touchstone_runtime.server import GrpcServer, ServerSettings

from touchstone_local.collector.api import http, servicers
from touchstone_local.collector.core.store import TelemetryStore
from touchstone_local.collector.settings import CollectorSettings


async def run(settings: CollectorSettings) -> None:
    """Serve until cancelled."""
    logging.getLogger("touchstone.rpc").setLevel(logging.WARNING)  # every process exports every few seconds
    store = TelemetryStore(
        max_traces=settings.max_traces,
        max_spans_per_trace=settings.max_spans_per_trace,
        max_series=settings.max_series,
        max_logs=settings.max_logs,
    )
    grpc_settings = ServerSettings(listen=settings.listen, grace_seconds=1.0)
    async with GrpcServer(grpc_settings, servicers.servicers(store)):
        await _serve_http(store, settings.http_listen)


async def _serve_http(store: TelemetryStore, listen: str) -> None:
    host, _, port = listen.rpartition(":")
    config = uvicorn.Config(
        http.application(store), host=host, port=int(port), log_config=None, access_log=False, lifespan="off"
    )
    server = _SignallessServer(config)
    try:
        await server.serve()
    except asyncio.CancelledError:
        await server.shutdown()
        raise


class _SignallessServer(uvicorn.Server):
    """A server that leaves the process's signals alone: the gRPC server beside it must end too."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Capture none."""
        yield
