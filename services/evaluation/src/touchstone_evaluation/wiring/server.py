"""From settings to a running server."""

import asyncio
import logging
from collections.abc import Callable
from datetime import timedelta

from touchstone_runtime import telemetry
from touchstone_runtime.server import GrpcServer
from touchstone_runtime.server import ServerSettings as GrpcSettings

from touchstone_evaluation.adapters import documents, plugins
from touchstone_evaluation.adapters.database import RunDatabase
from touchstone_evaluation.api.servicer import EvaluationServicer
from touchstone_evaluation.ports import JobKind
from touchstone_evaluation.service.course import Course
from touchstone_evaluation.service.evaluations import Evaluations
from touchstone_evaluation.service.selections import Selections
from touchstone_evaluation.settings import ServerSettings
from touchstone_evaluation.wiring import parts

FORGET_SECONDS = 3600.0

logger = logging.getLogger(__name__)


async def serve(settings: ServerSettings) -> None:
    """Serve until a signal."""
    observed = telemetry.setup("touchstone-evaluation", endpoint=settings.otlp_endpoint, log_format=settings.log_format)
    jobs = parts.job_store(settings)
    app = parts.celery(settings)
    sender = parts.dispatcher(app, jobs)
    runs = RunDatabase(jobs.engine, now=parts.now)
    evaluations = Evaluations(runs, Course(runs, jobs, sender, now=parts.now), plugins.installed())
    server = GrpcServer(
        GrpcSettings(
            listen=settings.listen,
            reflection=settings.reflection,
            drain_delay_seconds=settings.drain_delay_seconds,
            grace_seconds=settings.grace_seconds,
        ),
        [EvaluationServicer(evaluations, Selections(jobs, sender, documents)).registered()],
    )

    def repair() -> None:
        evaluations.repair_all()
        for kind in JobKind:
            sender.resend_overdue(kind)

    def forget() -> None:
        evaluations.forget(parts.now() - timedelta(days=settings.retention_days))

    try:
        async with asyncio.TaskGroup() as group:
            await server.start()
            chores = [
                group.create_task(_for_ever(repair, every_seconds=settings.repair_seconds)),
                group.create_task(_for_ever(forget, every_seconds=FORGET_SECONDS)),
            ]
            await server.set_serving()
            await server.wait_for_signal_and_stop()
            for chore in chores:
                chore.cancel()
    finally:
        app.close()
        observed.shutdown()


async def _for_ever(chore: Callable[[], None], *, every_seconds: float) -> None:
    while True:
        try:
            await asyncio.to_thread(chore)
        except Exception:  # the database may be away; the loop must outlive that
            logger.exception("a chore failed; it is tried again", extra={"chore": chore.__name__})
        await asyncio.sleep(every_seconds)
