"""From settings to a running worker."""

import logging
from functools import lru_cache

from touchstone_runtime import databases, telemetry
from touchstone_runtime.celery_app import Worker

from touchstone_retrieval import tasks
from touchstone_retrieval.adapters import heap
from touchstone_retrieval.adapters.bm25 import EdgeBm25
from touchstone_retrieval.adapters.catalogue import SqlCatalogue
from touchstone_retrieval.adapters.embedder_pool import EmbedderPool
from touchstone_retrieval.adapters.parsing import FileParser
from touchstone_retrieval.adapters.sources import SourceFetcher
from touchstone_retrieval.adapters.vector_cache import SqliteVectorCache
from touchstone_retrieval.adapters.workplaces import FolderWorkplaces
from touchstone_retrieval.service.pipeline import Pipeline
from touchstone_retrieval.settings import WorkerSettings
from touchstone_retrieval.wiring import parts

logger = logging.getLogger(__name__)


def pipeline(settings: WorkerSettings) -> Pipeline:
    """Make what builds revisions; models are loaded when they are needed."""
    resolver = parts.resolver_of(settings)
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
        store=parts.store_of(settings),
        catalogue=SqlCatalogue(databases.connect(settings.database_url)),
        workplaces=FolderWorkplaces(settings.index_dir / ".work"),
        now=parts.now,
    )


def work(settings: WorkerSettings) -> None:
    """Work on builds until a signal; a build at hand stops between two batches and is taken up again elsewhere."""
    heap.pin_threshold()
    observed = telemetry.setup(
        "touchstone-retrieval-worker", endpoint=settings.otlp_endpoint, log_format=settings.log_format
    )
    worker = Worker(parts.celery(settings), lru_cache(maxsize=1)(lambda: parts.job_store(settings)))
    worker.register(tasks.TASK, tasks.BuildWork(lru_cache(maxsize=1)(lambda: pipeline(settings))))
    logger.info("working", extra={"queue": tasks.QUEUE})
    try:
        worker.run()
    finally:
        observed.shutdown()
