"""From settings to a running server or worker: the composition root."""

import asyncio
import contextlib
import functools
import logging
from datetime import UTC, datetime

from touchstone_runtime import celery_app, channels, telemetry
from touchstone_runtime.artefacts import ArtefactStore, Resolver, cache_folder
from touchstone_runtime.jobs import JobStore
from touchstone_runtime.server import GrpcServer
from touchstone_runtime.server import ServerSettings as GrpcSettings

from touchstone_evaluation.adapters import plugins
from touchstone_evaluation.adapters.background import BackgroundLoop
from touchstone_evaluation.adapters.database import RunDatabase
from touchstone_evaluation.adapters.dataset_files import DatasetFiles
from touchstone_evaluation.adapters.predictions import PredictionDatabase
from touchstone_evaluation.adapters.queue import CeleryQueue
from touchstone_evaluation.adapters.report_store import ReportStore
from touchstone_evaluation.adapters.subjects import GrpcSubjects
from touchstone_evaluation.api.servicer import EvaluationServicer
from touchstone_evaluation.ports import JobKind, Queue
from touchstone_evaluation.reporting.page import HtmlReporter
from touchstone_evaluation.service.concluding_work import Concluding
from touchstone_evaluation.service.course import Course
from touchstone_evaluation.service.evaluations import Evaluations
from touchstone_evaluation.service.measuring_work import Measuring
from touchstone_evaluation.service.planning_work import Planning
from touchstone_evaluation.settings import ServerSettings, WorkerSettings
from touchstone_evaluation.tasks import QUEUE, JobWork

logger = logging.getLogger(__name__)


def now() -> datetime:
    """Tell the time, in UTC."""
    return datetime.now(UTC)


async def serve(settings: ServerSettings) -> None:
    """Serve until a signal."""
    observed = telemetry.setup("touchstone-evaluation", endpoint=settings.otlp_endpoint, log_format=settings.log_format)
    jobs = JobStore(settings.database_url, now=now, lease_seconds=settings.job_lease_seconds)
    app = celery_app.create_app("touchstone_evaluation", broker_url=settings.broker_url, queue=QUEUE)
    queue = CeleryQueue(app)
    runs = RunDatabase(jobs.engine, now=now)
    evaluations = Evaluations(runs, Course(runs, jobs, queue, now=now), plugins.installed())
    server = GrpcServer(
        GrpcSettings(
            listen=settings.listen,
            reflection=settings.reflection,
            drain_delay_seconds=settings.drain_delay_seconds,
            grace_seconds=settings.grace_seconds,
        ),
        [EvaluationServicer(evaluations).registered()],
    )
    await server.start()
    repairing = asyncio.create_task(_repair(evaluations, jobs, queue, settings.repair_seconds))
    try:
        await server.set_serving()
        await server.wait_for_signal_and_stop()
    finally:
        repairing.cancel()
        await asyncio.wait((repairing,))
        app.close()
        observed.shutdown()


async def _repair(evaluations: Evaluations, jobs: JobStore, queue: Queue, seconds: float) -> None:
    """Look for lost work, for ever. A database or broker that is away is looked for again."""
    while True:
        await asyncio.sleep(seconds)
        try:
            await asyncio.to_thread(evaluations.repair_all)
            for kind in JobKind:
                await asyncio.to_thread(celery_app.redispatch, jobs, kind, functools.partial(queue.send, kind))
        except Exception:
            logger.exception("repair failed; it is tried again")


def work(settings: WorkerSettings) -> None:
    """Work until a signal."""
    observed = telemetry.setup(
        "touchstone-evaluation-worker", endpoint=settings.otlp_endpoint, log_format=settings.log_format
    )
    app = celery_app.create_app("touchstone_evaluation", broker_url=settings.broker_url, queue=QUEUE)
    jobs = JobStore(settings.database_url, now=now, lease_seconds=settings.job_lease_seconds)
    loop = BackgroundLoop()
    with contextlib.closing(loop):
        for job_work in _work(settings, app_queue=CeleryQueue(app), jobs=jobs, loop=loop):
            celery_app.job_task(app, job_work.kind, lambda: jobs, job_work)
        logger.info("working", extra={"queue": QUEUE, "concurrency": settings.concurrency})
        celery_app.run_worker(app, concurrency=settings.concurrency)
    observed.shutdown()


def _work(settings: WorkerSettings, *, app_queue: Queue, jobs: JobStore, loop: BackgroundLoop) -> list[JobWork]:
    """Make the work of each kind of job."""
    tasks = plugins.installed()
    runs = RunDatabase(jobs.engine, now=now)
    course = Course(runs, jobs, app_queue, now=now)
    resolver = Resolver(cache_folder(settings.artefacts_uri, settings.cache_dir))
    planning = Planning(runs, DatasetFiles(resolver), course, tasks)
    subjects = loop.run(_subjects(settings))
    measuring = Measuring(runs, PredictionDatabase(jobs.engine, now=now), subjects, course, tasks, now=now)
    store = ReportStore(ArtefactStore(settings.artefacts_uri), loop)
    concluding = Concluding(runs, store, HtmlReporter(), tasks)
    return [
        JobWork(JobKind.PLAN, lambda run, _number, _beat: planning.plan(run)),
        JobWork(JobKind.SHARD, lambda run, number, beat: loop.run(measuring.measure(run, number, beat))),
        JobWork(JobKind.CONCLUDE, lambda run, _number, _beat: concluding.conclude(run)),
    ]


async def _subjects(settings: WorkerSettings) -> GrpcSubjects:
    """Open the channels in the loop that uses them."""
    return GrpcSubjects(
        channels.connect(settings.inference_address),
        channels.connect(settings.retrieval_address),
        timeout_seconds=settings.ask_timeout_seconds,
    )
