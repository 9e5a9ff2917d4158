"""From settings to a server and to a worker: the composition root."""

import asyncio
import logging
import threading
from datetime import UTC, datetime
from functools import lru_cache

from celery import Celery, signals
from touchstone_runtime import celery_app, telemetry
from touchstone_runtime import server as runtime_server
from touchstone_runtime.artefacts import Resolver, cache_folder
from touchstone_runtime.jobs import JobStore
from touchstone_runtime.server import GrpcServer

from touchstone_retrieval import tasks
from touchstone_retrieval.adapters import database, globs, heap, records
from touchstone_retrieval.adapters.bm25 import EdgeBm25
from touchstone_retrieval.adapters.catalogue import SqlCatalogue
from touchstone_retrieval.adapters.edge_store import EdgeStore
from touchstone_retrieval.adapters.embedder_pool import EmbedderPool
from touchstone_retrieval.adapters.parsing import FileParser
from touchstone_retrieval.adapters.sources import SourceFetcher
from touchstone_retrieval.adapters.vector_cache import SqliteVectorCache
from touchstone_retrieval.adapters.workplaces import FolderWorkplaces
from touchstone_retrieval.api.offload import Offload
from touchstone_retrieval.api.servicer import RetrievalServicer
from touchstone_retrieval.ports import Store
from touchstone_retrieval.service.builds import KIND, Builds
from touchstone_retrieval.service.indexes import Indexes
from touchstone_retrieval.service.pipeline import Pipeline
from touchstone_retrieval.service.readers import Readers
from touchstone_retrieval.service.searching import Searching
from touchstone_retrieval.settings import CommonSettings, ServerSettings, WorkerSettings

logger = logging.getLogger(__name__)


def celery(settings: CommonSettings) -> Celery:
    """Make the Celery application."""
    return celery_app.create_app("touchstone_retrieval", broker_url=settings.broker_url, queue=tasks.QUEUE)


def store_of(settings: CommonSettings) -> Store:
    """Make the store that the settings choose."""
    if not settings.qdrant_url:
        return EdgeStore(settings.index_dir)
    # Imported here: the embedded platform does not pay for the client.
    from touchstone_retrieval.adapters import qdrant_store  # noqa: PLC0415

    return qdrant_store.connect(
        settings.qdrant_url, api_key=settings.qdrant_api_key, quantized=settings.qdrant_quantization == "Int8"
    )


def resolver_of(settings: CommonSettings) -> Resolver:
    """Make what fetches artefacts; what it fetches lies beside the indexes where there is no other folder for it."""
    beside = settings.index_dir / ".cache" / "artefacts"
    return Resolver(cache_folder(settings.artefacts_uri, settings.cache_dir, otherwise=beside))


def job_store(settings: CommonSettings) -> JobStore:
    """Open the job records."""
    return JobStore(settings.database_url, lease_seconds=settings.job_lease_seconds)


def pipeline(settings: WorkerSettings) -> Pipeline:
    """Make what builds revisions; models are loaded when they are needed."""
    resolver = resolver_of(settings)
    cache = SqliteVectorCache(
        settings.index_dir / ".cache" / "embeddings.sqlite", max_entries=settings.embedding_cache_entries
    )
    return Pipeline(
        sources=SourceFetcher(
            resolver, file_root=settings.file_source_root, git_timeout_seconds=settings.git_timeout_seconds
        ),
        parser=FileParser(max_file_bytes=settings.max_file_bytes),
        embedders=EmbedderPool(resolver, threads=settings.embed_threads),
        sparse=EdgeBm25(),
        cache=cache,
        store=store_of(settings),
        catalogue=SqlCatalogue(database.connect(settings.database_url)),
        workplaces=FolderWorkplaces(settings.index_dir / ".work"),
        now=lambda: datetime.now(UTC),
    )


def servicer(settings: ServerSettings) -> tuple[RetrievalServicer, Builds]:
    """Make the service's door, and what watches over its builds."""
    app = celery(settings)
    builds = Builds(
        jobs=job_store(settings),
        dispatch=lambda job_id: celery_app.send(app, tasks.TASK, job_id),
        jmespath_fault=records.fault,
        glob_fault=globs.fault,
    )
    store = store_of(settings)
    catalogue = SqlCatalogue(database.connect(settings.database_url))
    readers = Readers(store, capacity=settings.open_revisions)
    embedders = EmbedderPool(resolver_of(settings), threads=settings.embed_threads)
    searching = Searching(catalogue=catalogue, readers=readers, embedders=embedders, sparse=EdgeBm25())
    indexes = Indexes(catalogue=catalogue, store=store, readers=readers, searching=searching)
    door = RetrievalServicer(
        builds,
        indexes,
        searching,
        searches=Offload("search", threads=settings.search_threads),
        others=Offload("records", threads=4),
        search_timeout_seconds=settings.search_timeout_seconds,
    )
    return door, builds


async def serve(settings: ServerSettings) -> None:
    """Serve until a signal."""
    heap.pin_threshold()
    observed = telemetry.setup("touchstone-retrieval", endpoint=settings.otlp_endpoint, log_format=settings.log_format)
    door, builds = servicer(settings)
    server = GrpcServer(
        runtime_server.ServerSettings(
            listen=settings.listen,
            reflection=settings.reflection,
            drain_delay_seconds=settings.drain_delay_seconds,
            grace_seconds=settings.grace_seconds,
        ),
        [door.registered()],
    )
    try:
        async with asyncio.TaskGroup() as group:
            await server.start()
            watch = group.create_task(redispatch_for_ever(builds, every_seconds=settings.redispatch_seconds))
            await server.set_serving()
            await server.wait_for_signal_and_stop()
            watch.cancel()
    finally:
        door.close()
        observed.shutdown()


async def redispatch_for_ever(builds: Builds, *, every_seconds: float) -> None:
    """Send overdue builds again, time after time."""
    while True:
        try:
            await asyncio.to_thread(builds.redispatch)
        except Exception:  # the database may be away; the loop must outlive that
            logger.exception("overdue builds could not be looked for")
        await asyncio.sleep(every_seconds)


def work(settings: WorkerSettings) -> None:
    """Work on builds until a signal; a build at hand stops between two batches and is taken up again elsewhere."""
    heap.pin_threshold()
    observed = telemetry.setup(
        "touchstone-retrieval-worker", endpoint=settings.otlp_endpoint, log_format=settings.log_format
    )
    app = celery(settings)
    stopping = threading.Event()

    def stop(**_: object) -> None:
        stopping.set()

    signals.worker_shutting_down.connect(stop)
    jobs = lru_cache(maxsize=1)(lambda: job_store(settings))
    made = lru_cache(maxsize=1)(lambda: pipeline(settings))
    celery_app.job_task(app, tasks.TASK, jobs, tasks.BuildWork(made, stopping))
    logger.info("working", extra={"queue": tasks.QUEUE, "kind": KIND})
    try:
        celery_app.run_worker(app)
    finally:
        signals.worker_shutting_down.disconnect(stop)
        observed.shutdown()
