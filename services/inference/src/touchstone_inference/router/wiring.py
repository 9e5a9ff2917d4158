"""From settings to a running router: the composition root."""

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import AsyncIterator, Coroutine
from typing import Any

import grpc
import uvicorn
from touchstone.inference.v1 import inference_service_pb2_grpc as pb_grpc
from touchstone_runtime import channels, process, telemetry
from touchstone_runtime.errors import Unavailable
from touchstone_runtime.server import GrpcServer, ServerSettings, Servicer

from touchstone_inference.planner.adapters.processes import PlanningProcess
from touchstone_inference.planner.api.servicer import PlanningServicer
from touchstone_inference.router.adapters.access import KubernetesAuthority
from touchstone_inference.router.adapters.engine import GrpcEngines
from touchstone_inference.router.adapters.external import ExternalEngines
from touchstone_inference.router.adapters.fleet import Fleet
from touchstone_inference.router.adapters.kubernetes import KubernetesCluster, connect
from touchstone_inference.router.adapters.retrieval import GrpcRetrieval, NoRetrieval
from touchstone_inference.router.adapters.static import StaticCluster
from touchstone_inference.router.adapters.telemetry import OtelTracing
from touchstone_inference.router.api.openai import OpenAiDoor
from touchstone_inference.router.api.servicer import InferenceServicer
from touchstone_inference.router.core.metrics import RevisionMetrics
from touchstone_inference.router.core.view import Snapshot
from touchstone_inference.router.ports import Cluster, Retrieval
from touchstone_inference.router.service.asking import Asking
from touchstone_inference.router.service.catalogue import Catalogue
from touchstone_inference.router.service.generating import Generating
from touchstone_inference.router.service.guarding import Guard, OpenGuard, TokenGuard
from touchstone_inference.router.service.placing import Placing, RetryPolicy
from touchstone_inference.router.service.prompting import Prompting
from touchstone_inference.router.service.watching import Watching
from touchstone_inference.router.settings import RouterSettings

SERVICE = "touchstone.inference.v1.InferenceService"

logger = logging.getLogger(__name__)


async def run(settings: RouterSettings) -> None:
    """Serve both doors until a signal."""
    observed = telemetry.setup("touchstone-router", endpoint=settings.otlp_endpoint, log_format=settings.log_format)
    async with contextlib.AsyncExitStack() as stack:
        stack.callback(observed.shutdown)
        watching = Watching(
            await _cluster(settings, stack), default_namespace=settings.default_namespace, random=random.random
        )
        guard = await _guard(settings, watching, stack)
        servicer, door = await _doors(settings, watching, guard, stack)
        server = GrpcServer(
            ServerSettings(
                listen=settings.listen,
                reflection=settings.reflection,
                drain_delay_seconds=settings.drain_delay_seconds,
                grace_seconds=settings.grace_seconds,
                max_concurrent_rpcs=settings.max_concurrent_requests,
                max_deadline_seconds=settings.max_deadline_seconds,
            ),
            [
                Servicer(SERVICE, lambda added: pb_grpc.add_InferenceServiceServicer_to_server(servicer, added)),
                PlanningServicer(guard.identify, PlanningProcess().run).registered(),
            ],
        )
        await server.start()
        await stack.enter_async_context(_background(watching.run()))
        await stack.enter_async_context(_serving_http(settings, door))
        await _until_stopped(server, watching)


async def _until_stopped(server: GrpcServer, watching: Watching) -> None:
    """Serve from the first view on; a signal ends the wait for it too."""
    stopped = asyncio.create_task(process.stop_requested())
    synced = asyncio.create_task(watching.wait_until_synced())
    await asyncio.wait((stopped, synced), return_when=asyncio.FIRST_COMPLETED)
    if synced.done():
        await server.set_serving()
        logger.info("serving", extra={"models": len(watching.current().models)})
    synced.cancel()
    await stopped
    await server.stop()


async def _cluster(settings: RouterSettings, stack: contextlib.AsyncExitStack) -> Cluster:
    if settings.static_view is not None:
        return StaticCluster(settings.static_view)
    cluster = KubernetesCluster(await connect(settings.kubeconfig), namespace=settings.watch_namespace)
    stack.push_async_callback(cluster.close)
    return cluster


async def _doors(
    settings: RouterSettings, watching: Watching, guard: Guard, stack: contextlib.AsyncExitStack
) -> tuple[InferenceServicer, OpenAiDoor]:
    """Make the use cases, and both doors to them."""
    pods = GrpcEngines(_connect_engine, grace_seconds=settings.grace_seconds)
    external = ExternalEngines(api_key=settings.external_api_key)
    stack.push_async_callback(external.close)
    fleet = Fleet(pods=pods, external=external)
    watching.subscribe(lambda snapshot: fleet.keep_only(_addresses(snapshot)))
    await stack.enter_async_context(_background(pods.run()))
    clock = time.monotonic
    metrics = RevisionMetrics()
    tracing = OtelTracing(has_content=settings.log_content)
    placing = Placing(watching, fleet, clock=clock, policy=RetryPolicy(max_attempts=settings.max_attempts))
    watching.subscribe(placing.keep_only)
    watching.subscribe(lambda snapshot: metrics.keep_only(_revisions(snapshot)))
    prompting = Prompting(
        placing,
        await _retrieval(settings, stack),
        tracing,
        clock=clock,
        retrieval_timeout_seconds=settings.retrieval_timeout_seconds,
    )
    generating = Generating(placing, prompting, metrics, tracing, clock=clock)
    asking = Asking(placing, prompting, metrics, clock=clock)
    catalogue = Catalogue(watching, metrics, fleet, clock=clock)
    servicer = InferenceServicer(
        generating, asking, catalogue, guard, clock=clock, max_deadline_seconds=settings.max_deadline_seconds
    )
    door = OpenAiDoor(
        generating,
        asking,
        catalogue,
        guard,
        clock=clock,
        wall_clock=time.time,
        deadline_seconds=settings.max_deadline_seconds,
        is_ready=lambda: _has_view(watching),
    )
    return servicer, door


async def _guard(settings: RouterSettings, watching: Watching, stack: contextlib.AsyncExitStack) -> Guard:
    if settings.auth == "None":
        return OpenGuard()
    api = await connect(settings.kubeconfig)
    stack.push_async_callback(api.close)
    return TokenGuard(watching, KubernetesAuthority(api, audience=settings.auth_audience), clock=time.monotonic)


def _connect_engine(address: str) -> grpc.aio.Channel:
    # Placing tries other replicas itself, and knows which: the channel must not try the same one again.
    return channels.connect(address, retry=False)


async def _retrieval(settings: RouterSettings, stack: contextlib.AsyncExitStack) -> Retrieval:
    if not settings.retrieval_address:
        return NoRetrieval()
    return GrpcRetrieval(await stack.enter_async_context(channels.connect(settings.retrieval_address)))


def _addresses(snapshot: Snapshot) -> set[str]:
    return {
        endpoint.address
        for model in snapshot.models.values()
        for revision in model.revisions.values()
        for endpoint in revision.endpoints
    }


def _revisions(snapshot: Snapshot) -> set[tuple[str, str]]:
    return {(model.name, revision) for model in snapshot.models.values() for revision in model.revisions}


def _has_view(watching: Watching) -> bool:
    try:
        watching.current()
    except Unavailable:
        return False
    return True


@contextlib.asynccontextmanager
async def _background(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run work beside the rest; it is cancelled at the end."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait((task,))


@contextlib.asynccontextmanager
async def _serving_http(settings: RouterSettings, door: OpenAiDoor) -> AsyncIterator[None]:
    """Serve the HTTP door in this event loop; signals stay with the gRPC server."""
    host, _, port = settings.http_listen.rpartition(":")
    config = uvicorn.Config(
        door.application(),
        host=host,
        port=int(port),
        lifespan="off",
        access_log=False,
        log_config=None,
        limit_concurrency=settings.max_concurrent_requests,
        timeout_graceful_shutdown=int(settings.grace_seconds),
    )
    server = _QuietServer(config)
    serving = asyncio.create_task(server.serve())
    try:
        yield
    finally:
        server.should_exit = True
        await serving


class _QuietServer(uvicorn.Server):
    """A server that leaves signals alone."""

    @contextlib.contextmanager
    def capture_signals(self):  # type: ignore[no-untyped-def]
        """Capture none."""
        yield
