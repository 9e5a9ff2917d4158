"""What the server and the worker are both made of."""

from datetime import UTC, datetime

from celery import Celery
from touchstone_runtime import celery_app
from touchstone_runtime.artefacts import Resolver, cache_folder
from touchstone_runtime.jobs import JobStore

from touchstone_retrieval import tasks
from touchstone_retrieval.adapters.edge_store import EdgeStore
from touchstone_retrieval.ports import Store
from touchstone_retrieval.settings import CommonSettings


def now() -> datetime:
    """Tell the time, in UTC."""
    return datetime.now(UTC)


def celery(settings: CommonSettings) -> Celery:
    """Make the Celery application."""
    return celery_app.create_app("touchstone_retrieval", broker_url=settings.broker_url, queue=tasks.QUEUE)


def job_store(settings: CommonSettings) -> JobStore:
    """Open the job records."""
    return JobStore(settings.database_url, now=now, lease_seconds=settings.job_lease_seconds)


def resolver_of(settings: CommonSettings) -> Resolver:
    """Make what fetches artefacts; what it fetches lies beside the indexes where there is no other folder for it."""
    beside = settings.index_dir / ".cache" / "artefacts"
    return Resolver(cache_folder(settings.artefacts_uri, settings.cache_dir, otherwise=beside))


def store_of(settings: CommonSettings) -> Store:
    """Make the store that the settings choose."""
    if not settings.qdrant_url:
        return EdgeStore(settings.index_dir)
    # Imported here: the embedded platform does not pay for the client.
    from touchstone_retrieval.adapters import qdrant_store  # noqa: PLC0415

    return qdrant_store.connect(
        settings.qdrant_url, api_key=settings.qdrant_api_key, quantized=settings.qdrant_quantization == "Int8"
    )
