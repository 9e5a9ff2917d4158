"""The settings of the evaluation server and worker: the only place that reads the environment."""

from dataclasses import dataclass
from pathlib import Path

from touchstone_runtime.settings import setting
from touchstone_runtime.telemetry import LogFormat


@dataclass(frozen=True, slots=True, kw_only=True)
class CommonSettings:
    """What server and worker share."""

    database_url: str = setting(secret=True, example="sqlite:////var/lib/touchstone/evaluation.sqlite")
    """SQLAlchemy URL of the record. Required."""
    broker_url: str = setting(secret=True, example="redis://127.0.0.1:6379/0")
    """Broker: `redis://` or `rediss://` for Redis and Valkey, `amqp://` or `amqps://` for RabbitMQ. Required."""
    job_lease_seconds: float = setting(default=30.0, minimum=1, maximum=600)
    """After this time without a sign of life a job is given to another worker."""
    log_format: LogFormat = "json"
    """`json` or `text`."""
    otlp_endpoint: str | None = setting(default=None, env="OTEL_EXPORTER_OTLP_ENDPOINT")
    """Where telemetry goes. Unset: it stays in the process."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings(CommonSettings):
    """Settings of `python -m touchstone_evaluation`."""

    listen: str = setting(example="127.0.0.1:50051")
    """`HOST:PORT` of the gRPC server. Required."""
    repair_seconds: float = setting(default=2.0, minimum=0.1, maximum=600)
    """How often runs are looked through for work that was lost."""
    retention_days: float = setting(default=30.0, minimum=0.01, maximum=3650)
    """How long items, scores and predictions are kept after a run; verdicts and reports stay. A baseline that was
    measured longer ago is measured again."""
    drain_delay_seconds: float = setting(default=0.0, minimum=0, maximum=600)
    """From NOT_SERVING to the last new call."""
    grace_seconds: float = setting(default=25.0, minimum=0, maximum=3600)
    """How long calls under way may go on after a stop."""
    reflection: bool = False
    """Whether gRPC reflection is on: for development."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSettings(CommonSettings):
    """Settings of `python -m touchstone_evaluation.worker`."""

    inference_address: str = setting(example="127.0.0.1:50051")
    """`HOST:PORT` of the router. Required."""
    retrieval_address: str = setting(example="127.0.0.1:50051")
    """`HOST:PORT` of RetrievalService. Required."""
    token_file: Path | None = None
    """Holds the ServiceAccount token for the router. Unset: calls carry none."""
    artefacts_uri: str = setting(example="file:///var/lib/touchstone/artefacts")
    """fsspec URI of the store that reports go to. Required."""
    cache_dir: Path | None = None
    """Folder of downloaded datasets. Unset: in `artefacts_uri` if that is a folder, else in the home."""
    file_root: Path = Path("/")
    """`file://` data sets and encoders must lie below it, or below `artefacts_uri` if that is a folder. In a cluster,
    set it to a folder that holds nothing else: whoever may create an EvalRun reads what lies there."""
    kubeconfig: Path | None = setting(default=None, env="KUBECONFIG")
    """How to reach the API server, for Secrets that a data set names. Unset: as the pod's service account."""
    concurrency: int = setting(default=8, minimum=1, maximum=256)
    """Jobs at once; each asks about one item at a time."""
    ask_timeout_seconds: float = setting(default=120.0, minimum=1, maximum=3600)
    """Deadline of one answer."""
