"""The settings of the data server and worker: the only place that reads the environment."""

from dataclasses import dataclass
from pathlib import Path

from touchstone_runtime.settings import setting
from touchstone_runtime.telemetry import LogFormat


@dataclass(frozen=True, slots=True, kw_only=True)
class CommonSettings:
    """What server and worker share."""

    database_url: str = setting(secret=True, example="sqlite:////var/lib/touchstone/data.sqlite")
    """SQLAlchemy URL of the record. Required."""
    broker_url: str = setting(secret=True, example="redis://127.0.0.1:6379/0")
    """Celery broker. Required."""
    job_lease_seconds: float = setting(default=30.0, minimum=1, maximum=600)
    """After this time without a sign of life a unit of work is given to another worker."""
    artefacts_uri: str = setting(example="file:///var/lib/touchstone/artefacts")
    """fsspec URI of the store that snapshots and exports go to. Required."""
    cache_dir: Path | None = None
    """Folder of downloaded sources. Unset: in `artefacts_uri` if that is a folder, else in the home."""
    file_root: Path = Path("/")
    """`file://` addresses of a specification must lie below it; what is only read, also below `artefacts_uri`. In a
    cluster, set it to a volume that holds nothing else: whoever may start a pipeline reads and writes there."""
    log_format: LogFormat = "json"
    """`json` or `text`."""
    otlp_endpoint: str | None = setting(default=None, env="OTEL_EXPORTER_OTLP_ENDPOINT")
    """Where telemetry goes. Unset: it stays in the process."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings(CommonSettings):
    """Settings of `python -m touchstone_data`."""

    listen: str = setting(example="127.0.0.1:50051")
    """`HOST:PORT` of the gRPC server. Required."""
    feedback_listen: str = setting(default="", example="127.0.0.1:50052")
    """`HOST:PORT` of a door that serves FeedbackService and nothing else: those who may give feedback need not be able
    to read it, nor to start pipelines. Empty: only `listen`, which serves all."""
    feedback_retention_days: int = setting(default=180, minimum=1, maximum=3650)
    """How long feedback is kept that does not say it."""
    sweep_seconds: float = setting(default=60.0, minimum=0.1, maximum=86400)
    """How often feedback is looked through for what has been kept for its time."""
    repair_seconds: float = setting(default=2.0, minimum=0.1, maximum=600)
    """How often pipelines are looked through for work that was lost."""
    drain_delay_seconds: float = setting(default=0.0, minimum=0, maximum=600)
    """From NOT_SERVING to the last new call."""
    grace_seconds: float = setting(default=25.0, minimum=0, maximum=3600)
    """How long calls under way may go on after a stop."""
    reflection: bool = False
    """Whether gRPC reflection is on: for development."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSettings(CommonSettings):
    """Settings of `python -m touchstone_data.worker`."""

    work_dir: Path = setting(example="/var/lib/touchstone/data")
    """Folder of shards under way, shared by all workers: a volume where there are several machines. It takes up to
    three times the size of the sources for as long as a pipeline runs. Required."""
    inference_address: str | None = None
    """`HOST:PORT` of the router, for pipelines with models. Unset: those fail, and say so."""
    token_file: Path | None = None
    """Holds the ServiceAccount token for the router. Unset: calls carry none."""
    ask_timeout_seconds: float = setting(default=120.0, minimum=1, maximum=3600)
    """Deadline of one answer of a model."""
    parallel_asks: int = setting(default=8, minimum=1, maximum=256)
    """Questions to models at once in this process: an engine with more slots is idle in between with fewer."""
    kubeconfig: Path | None = setting(default=None, env="KUBECONFIG")
    """How to reach the API server, for Secrets that a pipeline names. Unset: as the pod's service account."""
    concurrency: int = setting(default=1, minimum=1, maximum=256)
    """Units at once in this process. Steps are Python: more processes are faster, more threads hardly."""
