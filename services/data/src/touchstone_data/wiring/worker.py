"""From settings to a running worker."""

import contextlib
import logging
import os
import time
from functools import lru_cache

from touchstone_runtime import channels, telemetry
from touchstone_runtime.artefacts import Resolver, cache_folder
from touchstone_runtime.background import BackgroundLoop
from touchstone_runtime.celery_app import Worker
from touchstone_runtime.cluster.secrets import ClusterSecrets
from touchstone_runtime.jobs import Dispatcher, JobStore

from touchstone_data.adapters import plugins
from touchstone_data.adapters.database import PipelineDatabase
from touchstone_data.adapters.inference import GrpcModels, NoModels
from touchstone_data.adapters.snapshots import SnapshotShelf
from touchstone_data.adapters.sources import SourceFiles
from touchstone_data.adapters.tools import ResolverTools
from touchstone_data.adapters.trials import ProcessTrials
from touchstone_data.adapters.workshops import FolderWorkshops
from touchstone_data.catalogue.detectors import StepDetectors
from touchstone_data.catalogue.token_counts import Tokenizers
from touchstone_data.core.planning import StageKind
from touchstone_data.ports import Inference, JobKind
from touchstone_data.reporting.page import HtmlReporter
from touchstone_data.service.course import Course
from touchstone_data.service.deciding_work import Deciding
from touchstone_data.service.inspecting import Inspecting
from touchstone_data.service.making import Maker
from touchstone_data.service.reading_work import Reading
from touchstone_data.service.shard_work import ShardWork
from touchstone_data.service.working import Working
from touchstone_data.service.writing_work import Writing
from touchstone_data.settings import WorkerSettings
from touchstone_data.tasks import QUEUE, UnitWork
from touchstone_data.wiring import parts

logger = logging.getLogger(__name__)


def work(settings: WorkerSettings) -> None:
    """Work until a signal; a shard at hand stops between two records and is taken up again elsewhere."""
    observed = telemetry.setup(
        "touchstone-data-worker", endpoint=settings.otlp_endpoint, log_format=settings.log_format
    )
    app = parts.celery(settings)
    jobs = parts.job_store(settings)
    worker = Worker(app, lambda: jobs)
    with contextlib.closing(BackgroundLoop()) as loop:
        made = lru_cache(maxsize=1)(lambda: working(settings, jobs, parts.dispatcher(app, jobs), loop))
        worker.register(JobKind.UNIT, UnitWork(lambda: made().do))
        logger.info("working", extra={"queue": QUEUE, "concurrency": settings.concurrency})
        try:
            worker.run(concurrency=settings.concurrency)
        finally:
            observed.shutdown()


def working(settings: WorkerSettings, jobs: JobStore, sender: Dispatcher, loop: BackgroundLoop) -> Working:
    """Make what does units of work."""
    steps = plugins.installed()
    pipelines = PipelineDatabase(jobs.engine, now=parts.now)
    resolver = Resolver(cache_folder(settings.artefacts_uri, settings.cache_dir))
    tools = ResolverTools(resolver, file_root=settings.file_root, artefacts_uri=settings.artefacts_uri)
    maker = Maker(steps, tools)
    trials = ProcessTrials(loop, parallel=len(os.sched_getaffinity(0)))
    secrets = ClusterSecrets(settings.kubeconfig, setting="data.worker.readSecrets")
    sources = SourceFiles(resolver, secrets, file_root=settings.file_root, artefacts_uri=settings.artefacts_uri)
    shelf = SnapshotShelf(settings.artefacts_uri, settings.work_dir, secrets, file_root=settings.file_root)
    return Working(
        pipelines,
        Course(pipelines, jobs, sender, steps),
        FolderWorkshops(settings.work_dir / "shards"),
        {
            StageKind.READ: Reading(sources, shelf),
            StageKind.WORK: ShardWork(maker, loop.run(_models(settings, loop)), trials),
            StageKind.DECIDE: Deciding(maker),
            StageKind.WRITE: Writing(
                pipelines,
                shelf,
                steps,
                Inspecting(StepDetectors(), Tokenizers(tools), HtmlReporter()),
                now=parts.now,
            ),
        },
        monotonic=time.monotonic,
    )


async def _models(settings: WorkerSettings, loop: BackgroundLoop) -> Inference:
    """Open the channel in the loop that uses it."""
    if settings.inference_address is None:
        return NoModels()
    return GrpcModels(
        loop,
        channels.connect(settings.inference_address, retry=False, token_file=settings.token_file),
        parallel=settings.parallel_asks,
        timeout_seconds=settings.ask_timeout_seconds,
    )
