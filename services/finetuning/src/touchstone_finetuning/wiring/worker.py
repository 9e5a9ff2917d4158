"""From settings to a running worker."""

import json
import logging
import os
from datetime import timedelta
from functools import lru_cache
from importlib import metadata
from pathlib import Path

from touchstone_runtime import errors, telemetry
from touchstone_runtime.artefacts import Resolver, cache_folder
from touchstone_runtime.celery_app import Worker
from touchstone_runtime.cluster.secrets import ClusterSecrets
from touchstone_runtime.settings import SettingsInvalid

from touchstone_finetuning import tasks
from touchstone_finetuning.adapters.datasets import FileDatasets
from touchstone_finetuning.adapters.outputs import FolderOutputs
from touchstone_finetuning.adapters.sources import ArtefactSources
from touchstone_finetuning.adapters.subprocess_trainer import SubprocessTrainer
from touchstone_finetuning.adapters.workspaces import FolderWorkspaces
from touchstone_finetuning.core import trainer_jobs
from touchstone_finetuning.core.recipes import Machine
from touchstone_finetuning.core.trainer_jobs import JsonObject
from touchstone_finetuning.ports import Trainer
from touchstone_finetuning.service.conducting import Conductor
from touchstone_finetuning.settings import WorkerSettings
from touchstone_finetuning.wiring import parts

TRAINER = "touchstone_finetuning.training"

logger = logging.getLogger(__name__)


def conductor(settings: WorkerSettings) -> Conductor:
    """Make what runs trainings."""
    cache = cache_folder(settings.artefacts_uri, settings.cache_dir, otherwise=settings.work_dir / ".cache")
    is_folder = settings.artefacts_uri.startswith("file://")
    store = Path(settings.artefacts_uri.removeprefix("file://")) if is_folder else None
    secrets = ClusterSecrets(settings.kubeconfig, setting="finetuning.worker.readSecrets")
    sources = ArtefactSources(Resolver(cache), secrets, file_root=settings.file_root, store=store)
    template = job_template(settings)
    threads = trainer_jobs.defaults(template).threads if template else 0
    return Conductor(
        sources=sources,
        datasets=FileDatasets(),
        workspaces=FolderWorkspaces(settings.work_dir / "runs", retention=timedelta(days=settings.retention_days)),
        trainer=_trainer(settings, template),
        outputs=FolderOutputs(sources, secrets),
        machine=Machine(
            threads=settings.trainer_threads or threads or os.cpu_count() or 1,
            image=settings.trainer_image,
            code_version=metadata.version("touchstone-finetuning"),
        ),
        stop_seconds=settings.stop_seconds,
    )


def job_template(settings: WorkerSettings) -> JsonObject | None:
    """Read the Job that trainings are made of; None where they are processes.

    Raises:
        SettingsInvalid: It is none.
    """
    if settings.trainer == "Subprocess":
        return None
    try:
        template: JsonObject = json.loads(settings.trainer_job)
        trainer_jobs.check(template)
    except (ValueError, AttributeError) as error:
        raise SettingsInvalid(
            [errors.Violation("TOUCHSTONE_TRAINER_JOB", f"must be a Job as JSON: {error}")]
        ) from error
    return template


def _trainer(settings: WorkerSettings, template: JsonObject | None) -> Trainer:
    if template is None:
        return SubprocessTrainer((settings.trainer_python, "-m", TRAINER, "--leashed"), environ=os.environ)
    # 20 MB that only a worker on a cluster needs.
    from touchstone_finetuning.adapters.kubernetes_jobs import KubernetesJobs  # noqa: PLC0415
    from touchstone_finetuning.adapters.kubernetes_trainer import KubernetesTrainer, Patience  # noqa: PLC0415

    namespace = template["metadata"]["namespace"]
    api = lru_cache(maxsize=1)(lambda: KubernetesJobs.connect(settings.kubeconfig, namespace))
    return KubernetesTrainer(api, template, patience=Patience(pending=settings.trainer_pending_seconds))


def work(settings: WorkerSettings) -> None:
    """See trainings through until a signal; one at hand saves a checkpoint and is taken up again elsewhere."""
    observed = telemetry.setup(
        "touchstone-finetuning-worker", endpoint=settings.otlp_endpoint, log_format=settings.log_format
    )
    job_template(settings)  # what is wrong with it is told at the start, and not by every training
    worker = Worker(parts.celery(settings), lru_cache(maxsize=1)(lambda: parts.job_store(settings)))
    worker.register(tasks.TASK, tasks.TrainingWork(lru_cache(maxsize=1)(lambda: conductor(settings))))
    logger.info("working", extra={"queues": settings.queues})
    try:
        worker.run(concurrency=settings.concurrency)
    finally:
        observed.shutdown()
