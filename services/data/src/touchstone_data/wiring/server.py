"""From settings to a running server."""

import asyncio
import logging
from collections.abc import Callable

from touchstone_runtime import telemetry
from touchstone_runtime.server import GrpcServer
from touchstone_runtime.server import ServerSettings as GrpcSettings

from touchstone_data.adapters import plugins
from touchstone_data.adapters.database import PipelineDatabase
from touchstone_data.api.servicer import DataServicer
from touchstone_data.ports import JobKind
from touchstone_data.service.course import Course
from touchstone_data.service.pipelines import PipelineDesk
from touchstone_data.settings import ServerSettings
from touchstone_data.wiring import parts

logger = logging.getLogger(__name__)


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
        GrpcSettings(
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
        async with asyncio.TaskGroup() as group:
            await server.start()
            chore = group.create_task(_for_ever(repair, every_seconds=settings.repair_seconds))
            await server.set_serving()
            await server.wait_for_signal_and_stop()
            chore.cancel()
    finally:
        app.close()
        observed.shutdown()


async def _for_ever(chore: Callable[[], None], *, every_seconds: float) -> None:
    while True:
        try:
            await asyncio.to_thread(chore)
        except Exception:  # the database may be away; the loop must outlive that
            logger.exception("a chore failed; it is tried again")
        await asyncio.sleep(every_seconds)
