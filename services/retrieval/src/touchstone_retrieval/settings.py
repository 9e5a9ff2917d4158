"""The settings of the server and of the worker: the only place that reads the environment."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from touchstone_runtime.settings import setting
from touchstone_runtime.telemetry import LogFormat


@dataclass(frozen=True, slots=True, kw_only=True)
class CommonSettings:
    """What the server and the worker share, and must be told alike."""

    index_dir: Path
    """Folder of the embedded store and of the cache of embeddings. Required; with several machines a shared volume."""
    database_url: str = setting(secret=True, example="sqlite:////var/lib/touchstone/retrieval.sqlite")
    """SQLAlchemy URL of jobs and catalogue. Required."""
    broker_url: str = setting(secret=True, example="redis://127.0.0.1:6379/0")
    """Broker: `redis://` or `rediss://` for Redis and Valkey, `amqp://` or `amqps://` for RabbitMQ. Required."""
    artefacts_uri: str = ""
    """Artefact store; only its folder is of use here, as the default place of the cache."""
    cache_dir: Path | None = None
    """Folder of downloaded artefacts. Unset: `artefacts` below the store if it is a folder, else in `index_dir`."""
    embed_threads: int = setting(default=2, minimum=1, maximum=64)
    """Threads of one inference of the encoder; more than the cores makes it slower."""
    qdrant_url: str = ""
    """Address of a Qdrant server. Empty: the embedded store."""
    qdrant_api_key: str | None = setting(default=None, secret=True)
    """Key of the Qdrant server."""
    qdrant_quantization: Literal["None", "Int8"] = "None"
    """Int8 keeps a quarter of the vectors' memory in Qdrant and rescores what it finds with the originals."""
    job_lease_seconds: float = setting(default=30.0, minimum=1, maximum=600)
    """How long a build goes without a heartbeat before another worker may take it."""
    log_format: LogFormat = "json"
    """`json` or `text`."""
    otlp_endpoint: str | None = setting(default=None, env="OTEL_EXPORTER_OTLP_ENDPOINT")
    """Where telemetry goes. Unset: it stays in the process."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings(CommonSettings):
    """Settings of `python -m touchstone_retrieval`."""

    listen: str = setting(example="127.0.0.1:50051")
    """`HOST:PORT` of the gRPC server. Required."""
    search_threads: int = setting(default=4, minimum=1, maximum=256)
    """Searches that are worked on at once; the rest wait, within their deadlines."""
    search_timeout_seconds: float = setting(default=30.0, minimum=0.01, maximum=600)
    """Deadline of one search; long, because the first search of a model fetches and loads it."""
    open_revisions: int = setting(default=16, minimum=1, maximum=4096)
    """Revisions kept open; the least recently searched are closed."""
    redispatch_seconds: float = setting(default=5.0, minimum=0.1, maximum=600)
    """How often overdue builds are looked for."""
    drain_delay_seconds: float = setting(default=0.0, minimum=0, maximum=600)
    """From NOT_SERVING to the last new call."""
    grace_seconds: float = setting(default=25.0, minimum=0, maximum=3600)
    """How long calls in flight may go on after a stop."""
    reflection: bool = False
    """Whether gRPC reflection is on: for development."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSettings(CommonSettings):
    """Settings of `python -m touchstone_retrieval.worker`."""

    file_source_root: Path = Path("/")
    """`file://` sources must lie below it. In a cluster, set it to a volume that holds nothing else: whoever may create
    a RagIndex reads what lies there."""
    git_timeout_seconds: float = setting(default=300.0, minimum=1, maximum=3600)
    """For one call of git."""
    max_file_bytes: int = setting(default=256 * 1024 * 1024, minimum=1024)
    """Larger files are counted as failed: a file is parsed in memory."""
    embedding_cache_entries: int = setting(default=1_000_000, minimum=0)
    """Embeddings that are kept for rebuilds; one of 384 dimensions takes 1.6 kB."""
