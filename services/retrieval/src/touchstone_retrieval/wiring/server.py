"""From settings to a running server."""

from touchstone_runtime import celery_app, databases, telemetry
from touchstone_runtime import server as runtime_server
from touchstone_runtime.jobs import Dispatcher
from touchstone_runtime.server import Chore, GrpcServer

from touchstone_retrieval import tasks
from touchstone_retrieval.adapters import globs, heap, records
from touchstone_retrieval.adapters.bm25 import EdgeBm25
from touchstone_retrieval.adapters.catalogue import SqlCatalogue
from touchstone_retrieval.adapters.embedder_pool import EmbedderPool
from touchstone_retrieval.api.offload import Offload
from touchstone_retrieval.api.servicer import RetrievalServicer
from touchstone_retrieval.service.builds import Builds
from touchstone_retrieval.service.indexes import Indexes
from touchstone_retrieval.service.readers import Readers
from touchstone_retrieval.service.searching import Searching
from touchstone_retrieval.settings import ServerSettings
from touchstone_retrieval.wiring import parts


def servicer(settings: ServerSettings) -> tuple[RetrievalServicer, Builds]:
    """Make the service's door, and what watches over its builds."""
    app = parts.celery(settings)
    jobs = parts.job_store(settings)
    builds = Builds(
        jobs=jobs,
        sender=Dispatcher(jobs, lambda job: celery_app.send(app, tasks.TASK, job.id, priority=job.priority)),
        jmespath_fault=records.fault,
        glob_fault=globs.fault,
    )
    store = parts.store_of(settings)
    catalogue = SqlCatalogue(databases.connect(settings.database_url))
    readers = Readers(store, capacity=settings.open_revisions)
    embedders = EmbedderPool(parts.resolver_of(settings), threads=settings.embed_threads)
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
        await runtime_server.serve(server, Chore(builds.resend_overdue, settings.redispatch_seconds))
    finally:
        door.close()
        observed.shutdown()
