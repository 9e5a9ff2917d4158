"""From settings to a running server."""

from contextlib import AsyncExitStack

from sqlalchemy import Engine
from touchstone_runtime import server as runtime_server
from touchstone_runtime import telemetry
from touchstone_runtime.artefacts import Resolver, cache_folder
from touchstone_runtime.cluster.references import NoSecrets
from touchstone_runtime.server import Chore, GrpcServer

from touchstone_data.adapters import plugins
from touchstone_data.adapters.database import PipelineDatabase
from touchstone_data.adapters.export_database import ExportDatabase
from touchstone_data.adapters.export_store import ExportShelf
from touchstone_data.adapters.feedback_database import FeedbackDatabase
from touchstone_data.adapters.queue_database import QueueDatabase
from touchstone_data.adapters.sources import SourceFiles
from touchstone_data.api.curation_servicer import CurationServicer
from touchstone_data.api.feedback_servicer import FeedbackServicer
from touchstone_data.api.servicer import DataServicer
from touchstone_data.ports import JobKind
from touchstone_data.service.annotating import AnnotationDesk
from touchstone_data.service.course import Course
from touchstone_data.service.exporting import Exporter
from touchstone_data.service.feedback import FeedbackDesk
from touchstone_data.service.pipelines import PipelineDesk
from touchstone_data.settings import ServerSettings
from touchstone_data.wiring import parts

FEEDBACK_GRACE_SECONDS = 5.0
"""The feedback door closes after the other one has drained: its calls are short."""


async def serve(settings: ServerSettings) -> None:
    """Serve until a signal."""
    observed = telemetry.setup("touchstone-data", endpoint=settings.otlp_endpoint, log_format=settings.log_format)
    jobs = parts.job_store(settings)
    app = parts.celery(settings)
    sender = parts.dispatcher(app, jobs)
    pipelines = PipelineDatabase(jobs.engine, now=parts.now)
    steps = plugins.installed()
    desk = PipelineDesk(pipelines, Course(pipelines, jobs, sender, steps), steps)
    feedback, curation = flywheel(settings, jobs.engine)
    giving = FeedbackServicer(feedback).registered()
    server = GrpcServer(
        runtime_server.ServerSettings(
            listen=settings.listen,
            reflection=settings.reflection,
            drain_delay_seconds=settings.drain_delay_seconds,
            grace_seconds=settings.grace_seconds,
        ),
        [DataServicer(desk).registered(), curation.registered(), giving],
    )

    def repair() -> None:
        desk.repair_all()
        sender.resend_overdue(JobKind.UNIT)

    chores = (Chore(repair, settings.repair_seconds), Chore(feedback.sweep, settings.sweep_seconds))
    try:
        async with AsyncExitStack() as doors:
            if settings.feedback_listen:
                own = runtime_server.ServerSettings(
                    listen=settings.feedback_listen, grace_seconds=FEEDBACK_GRACE_SECONDS
                )
                await doors.enter_async_context(GrpcServer(own, [giving]))
            await runtime_server.serve(server, *chores)
    finally:
        app.close()
        observed.shutdown()


def flywheel(settings: ServerSettings, engine: Engine) -> tuple[FeedbackDesk, CurationServicer]:
    """Make what takes feedback, and what makes data of it."""
    record, queues, exports = (
        FeedbackDatabase(engine, now=parts.now), QueueDatabase(engine, now=parts.now), ExportDatabase(engine),
    )  # fmt: skip
    store = ExportShelf(settings.artefacts_uri)
    feedback = FeedbackDesk(record, exports, store, retention_days=settings.feedback_retention_days)
    resolver = Resolver(cache_folder(settings.artefacts_uri, settings.cache_dir))
    sources = SourceFiles(resolver, NoSecrets(), file_root=settings.file_root, artefacts_uri=settings.artefacts_uri)
    annotations = AnnotationDesk(queues, record, sources)
    return feedback, CurationServicer(feedback, annotations, Exporter(exports, store, queues))
