"""From settings to a running server."""

from touchstone_runtime import server as runtime_server
from touchstone_runtime import telemetry
from touchstone_runtime.server import Chore, GrpcServer

from touchstone_data.adapters import plugins
from touchstone_data.adapters.database import PipelineDatabase
from touchstone_data.api.servicer import DataServicer
from touchstone_data.ports import JobKind
from touchstone_data.service.course import Course
from touchstone_data.service.pipelines import PipelineDesk
from touchstone_data.settings import ServerSettings
from touchstone_data.wiring import parts


async def serve(settings: ServerSettings) -> None:
    """Serve until a signal."""
    observed = telemetry.setup("touchstone-data", endpoint=settings.otlp_endpoint, log_format=settings.log_format)
    jobs = parts.job_store(settings)
    app = parts.celery(settings)
    sender = parts.dispatcher(app, jobs)
    pipelines = PipelineDatabase(jobs.engine, now=parts.now)
    steps = plugins.installed()
    desk = PipelineDesk(pipelines, Course(pipelines, jobs, sender, steps), steps)
    server = GrpcServer(
        runtime_server.ServerSettings(
            listen=settings.listen,
            reflection=settings.reflection,
            drain_delay_seconds=settings.drain_delay_seconds,
            grace_seconds=settings.grace_seconds,
        ),
        [DataServicer(desk).registered()],
    )

    def repair() -> None:
        desk.repair_all()
        sender.resend_overdue(JobKind.UNIT)

    try:
        await runtime_server.serve(server, Chore(repair, settings.repair_seconds))
    finally:
        app.close()
        observed.shutdown()
