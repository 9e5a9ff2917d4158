"""From settings to a running worker."""

import contextlib
import logging

from touchstone_runtime import channels, telemetry
from touchstone_runtime.artefacts import ArtefactStore, Resolver, cache_folder, places
from touchstone_runtime.background import BackgroundLoop
from touchstone_runtime.celery_app import Worker
from touchstone_runtime.cluster.secrets import ClusterSecrets
from touchstone_runtime.jobs import Dispatcher, JobStore

from touchstone_evaluation.adapters import documents, plugins
from touchstone_evaluation.adapters.database import RunDatabase
from touchstone_evaluation.adapters.dataset_files import DatasetFiles
from touchstone_evaluation.adapters.encoders import OnnxEncoders
from touchstone_evaluation.adapters.predictions import PredictionDatabase
from touchstone_evaluation.adapters.report_store import ReportStore
from touchstone_evaluation.adapters.subjects import GrpcSubjects
from touchstone_evaluation.adapters.trials import ProcessTrials
from touchstone_evaluation.ports import JobKind
from touchstone_evaluation.reporting.page import HtmlReporter
from touchstone_evaluation.reporting.selection_page import SelectionPage
from touchstone_evaluation.service.asking import Asker
from touchstone_evaluation.service.concluding_work import Concluding
from touchstone_evaluation.service.course import Course
from touchstone_evaluation.service.measuring_work import Measuring
from touchstone_evaluation.service.planning_work import Planning
from touchstone_evaluation.service.reusing import Reusing
from touchstone_evaluation.service.selections import Selecting
from touchstone_evaluation.settings import WorkerSettings
from touchstone_evaluation.tasks import QUEUE, JobWork, SelectWork
from touchstone_evaluation.wiring import parts

logger = logging.getLogger(__name__)


def work(settings: WorkerSettings) -> None:
    """Work until a signal; a shard at hand stops between two items and is taken up again elsewhere."""
    observed = telemetry.setup(
        "touchstone-evaluation-worker", endpoint=settings.otlp_endpoint, log_format=settings.log_format
    )
    app = parts.celery(settings)
    jobs = parts.job_store(settings)
    worker = Worker(app, lambda: jobs)
    loop = BackgroundLoop()
    with contextlib.closing(loop):
        for job_work in _work(settings, parts.dispatcher(app, jobs), jobs, loop):
            worker.register(job_work.kind, job_work)
        logger.info("working", extra={"queue": QUEUE, "concurrency": settings.concurrency})
        worker.run(concurrency=settings.concurrency)
    observed.shutdown()


def _work(
    settings: WorkerSettings, sender: Dispatcher, jobs: JobStore, loop: BackgroundLoop
) -> list[JobWork | SelectWork]:
    """Make the work of each kind of job."""
    tasks = plugins.installed()
    runs = RunDatabase(jobs.engine, now=parts.now)
    course = Course(runs, jobs, sender, now=parts.now)
    resolver = Resolver(cache_folder(settings.artefacts_uri, settings.cache_dir))
    roots = places.readable(settings.file_root, settings.artefacts_uri)
    predictions = PredictionDatabase(jobs.engine, now=parts.now)
    secrets = ClusterSecrets(settings.kubeconfig, setting="evaluation.worker.readSecrets")
    source = DatasetFiles(resolver, secrets, roots=roots)
    planning = Planning(runs, source, Reusing(predictions, tasks), course, tasks)
    encoders = OnnxEncoders(resolver, roots=roots)
    asker = Asker(predictions, loop.run(_subjects(settings)), ProcessTrials(), encoders, tasks)
    measuring = Measuring(runs, asker, course, tasks, now=parts.now)
    store = ReportStore(ArtefactStore(settings.artefacts_uri), loop)
    concluding = Concluding(runs, store, HtmlReporter(), tasks)
    return [
        JobWork(JobKind.PLAN, lambda run, _number, _beat: planning.plan(run)),
        JobWork(JobKind.SHARD, lambda run, number, beat: loop.run(measuring.measure(run, number, beat))),
        JobWork(JobKind.CONCLUDE, lambda run, _number, _beat: concluding.conclude(run)),
        SelectWork(Selecting(runs, store, SelectionPage(), tasks), documents),
    ]


async def _subjects(settings: WorkerSettings) -> GrpcSubjects:
    """Open the channels in the loop that uses them."""
    return GrpcSubjects(
        channels.connect(settings.inference_address, retry=False, token_file=settings.token_file),
        channels.connect(settings.retrieval_address, retry=False),
        timeout_seconds=settings.ask_timeout_seconds,
    )
