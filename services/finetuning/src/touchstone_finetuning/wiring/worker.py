"""From settings to a running worker."""

import logging
import os
from datetime import timedelta
from functools import lru_cache
from importlib import metadata
from pathlib import Path

from touchstone_runtime import telemetry
from touchstone_runtime.artefacts import Resolver, cache_folder
from touchstone_runtime.celery_app import Worker

from touchstone_finetuning import tasks
from touchstone_finetuning.adapters.datasets import FileDatasets
from touchstone_finetuning.adapters.outputs import FolderOutputs
from touchstone_finetuning.adapters.sources import ArtefactSources
from touchstone_finetuning.adapters.subprocess_trainer import SubprocessTrainer
from touchstone_finetuning.adapters.workspaces import FolderWorkspaces
from touchstone_finetuning.core.recipes import Machine
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
    sources = ArtefactSources(Resolver(cache), file_root=settings.file_root, store=store)
    return Conductor(
        sources=sources,
        datasets=FileDatasets(),
        workspaces=FolderWorkspaces(settings.work_dir / "runs", retention=timedelta(days=settings.retention_days)),
        trainer=SubprocessTrainer((settings.trainer_python, "-m", TRAINER, "--leashed"), environ=os.environ),
        outputs=FolderOutputs(sources),
        machine=Machine(
            threads=settings.trainer_threads or os.cpu_count() or 1,
            image=settings.trainer_image,
            code_version=metadata.version("touchstone-finetuning"),
        ),
        stop_seconds=settings.stop_seconds,
    )


def work(settings: WorkerSettings) -> None:
    """See trainings through until a signal; one at hand saves a checkpoint and is taken up again elsewhere."""
    observed = telemetry.setup(
        "touchstone-finetuning-worker", endpoint=settings.otlp_endpoint, log_format=settings.log_format
    )
    worker = Worker(parts.celery(settings), lru_cache(maxsize=1)(lambda: parts.job_store(settings)))
    worker.register(tasks.TASK, tasks.TrainingWork(lru_cache(maxsize=1)(lambda: conductor(settings))))
    logger.info("working", extra={"queue": tasks.QUEUE})
    try:
        worker.run()
    finally:
        observed.shutdown()
