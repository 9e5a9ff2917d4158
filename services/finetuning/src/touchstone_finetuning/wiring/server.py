"""From settings to a running server."""

import asyncio
import logging

from touchstone_runtime import celery_app, telemetry
from touchstone_runtime import server as runtime_server
from touchstone_runtime.jobs import Dispatcher
from touchstone_runtime.server import GrpcServer

from touchstone_finetuning import tasks
from touchstone_finetuning.api.servicer import FinetuningServicer
from touchstone_finetuning.service.trainings import Trainings
from touchstone_finetuning.settings import ServerSettings
from touchstone_finetuning.wiring import parts

logger = logging.getLogger(__name__)


def trainings(settings: ServerSettings) -> Trainings:
    """Make what starts trainings and watches over them."""
    app = parts.celery(settings)
    jobs = parts.job_store(settings)
    return Trainings(jobs=jobs, sender=Dispatcher(jobs, lambda job: celery_app.send(app, tasks.TASK, job.id)))


async def serve(settings: ServerSettings) -> None:
    """Serve until a signal."""
    observed = telemetry.setup("touchstone-finetuning", endpoint=settings.otlp_endpoint, log_format=settings.log_format)
    found = trainings(settings)
    server = GrpcServer(
        runtime_server.ServerSettings(
            listen=settings.listen,
            reflection=settings.reflection,
            drain_delay_seconds=settings.drain_delay_seconds,
            grace_seconds=settings.grace_seconds,
        ),
        [FinetuningServicer(found).registered()],
    )
    try:
        async with asyncio.TaskGroup() as group:
            await server.start()
            watch = group.create_task(_resend_for_ever(found, every_seconds=settings.redispatch_seconds))
            await server.set_serving()
            await server.wait_for_signal_and_stop()
            watch.cancel()
    finally:
        observed.shutdown()


async def _resend_for_ever(found: Trainings, *, every_seconds: float) -> None:
    while True:
        try:
            await asyncio.to_thread(found.resend_overdue)
        except Exception:  # the database may be away; the loop must outlive that
            logger.exception("overdue trainings could not be looked for")
        await asyncio.sleep(every_seconds)
