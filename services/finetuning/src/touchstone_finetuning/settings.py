"""The settings of the server and of the worker: the only place that reads the environment."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from touchstone_runtime.settings import setting
from touchstone_runtime.telemetry import LogFormat

from touchstone_finetuning.core.spec import DEFAULT_QUEUE

TrainerType = Literal["Subprocess", "Kubernetes"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CommonSettings:
    """What the server and the worker share, and must be told alike."""

    database_url: str = setting(secret=True, example="sqlite:////var/lib/touchstone/finetuning.sqlite")
    """SQLAlchemy URL of the record of trainings. Required."""
    broker_url: str = setting(secret=True, example="redis://127.0.0.1:6379/0")
    """Celery broker. Required."""
    job_lease_seconds: float = setting(default=30.0, minimum=1, maximum=600)
    """How long a training goes without a heartbeat before another worker may take it."""
    trainer: TrainerType = "Subprocess"
    """`Subprocess`: trainings are processes of their worker. `Kubernetes`: each is a Job, which gets what it asks
    for."""
    queues: tuple[str, ...] = (DEFAULT_QUEUE,)
    """Of the server: the queues that a training may name; some worker must take from each. Of a worker: those that it
    takes trainings from."""
    log_format: LogFormat = "json"
    """`json` or `text`."""
    otlp_endpoint: str | None = setting(default=None, env="OTEL_EXPORTER_OTLP_ENDPOINT")
    """Where telemetry goes. Unset: it stays in the process."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings(CommonSettings):
    """Settings of `python -m touchstone_finetuning`."""

    listen: str = setting(example="127.0.0.1:50051")
    """`HOST:PORT` of the gRPC server. Required."""
    redispatch_seconds: float = setting(default=5.0, minimum=0.1, maximum=600)
    """How often overdue trainings are looked for."""
    drain_delay_seconds: float = setting(default=0.0, minimum=0, maximum=600)
    """From NOT_SERVING to the last new call."""
    grace_seconds: float = setting(default=25.0, minimum=0, maximum=3600)
    """How long calls in flight may go on after a stop."""
    reflection: bool = False
    """Whether gRPC reflection is on: for development."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSettings(CommonSettings):
    """Settings of `python -m touchstone_finetuning.worker`."""

    work_dir: Path
    """Folder of workspaces and checkpoints. Required; with several workers a shared volume, or a training that moves to
    another worker begins anew."""
    artefacts_uri: str = ""
    """Artefact store. Of use here where it is a folder: as the default place of the cache, and for snapshots in it."""
    cache_dir: Path | None = None
    """Folder of downloaded artefacts. Unset: `artefacts` below the store if it is a folder, else in `work_dir`."""
    file_root: Path = Path("/")
    """`file://` addresses of bases, data sets, checkpoints and outputs must lie below it. In a cluster, set it to a
    volume that holds nothing else: whoever may create a FinetuneJob reads and writes there. Bases and data sets may
    also lie below `artefacts_uri`."""
    trainer_python: str = setting(default=sys.executable)
    """Interpreter that has torch and the rest of touchstone-finetuning[train]. Default: the worker's own."""
    trainer_threads: int = setting(default=0, minimum=0, maximum=1024)
    """Threads of a training on CPUs; 0: as many as there are cores."""
    trainer_job: str = setting(default="", example='{"kind": "Job", …}')
    """With trainer `Kubernetes`: the Job of a training as JSON, but for what is the training's own. `metadata.name`
    begins the names, `metadata.namespace` is where it runs; a container named `trainer` has `work_dir`, the cache and
    `file_root` where they are here."""
    trainer_pending_seconds: float = setting(default=21_600.0, minimum=1, maximum=2_592_000)
    """How long a Job may wait for quota or for a node before its training fails. For its image: ten minutes."""
    kubeconfig: Path | None = setting(default=None, env="KUBECONFIG")
    """How to reach the API server, for Secrets that a training names and for its Job. Unset: as the pod's service
    account."""
    concurrency: int = setting(default=1, minimum=1, maximum=100)
    """How many trainings it sees through at once. More than one is for trainer `Kubernetes`."""
    trainer_image: str = ""
    """The image that the trainer runs in, with its digest; written into the lineage."""
    stop_seconds: float = setting(default=60.0, minimum=1, maximum=3600)
    """How long a trainer may take to save a checkpoint when its worker is stopped."""
    retention_days: int = setting(default=14, minimum=1, maximum=3650)
    """How long checkpoints of trainings that did not succeed are kept."""
