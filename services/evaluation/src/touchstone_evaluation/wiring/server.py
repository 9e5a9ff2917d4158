"""From settings to a running server."""

from datetime import timedelta

from touchstone_runtime import server as runtime_server
from touchstone_runtime import telemetry
from touchstone_runtime.server import Chore, GrpcServer

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


async def serve(settings: ServerSettings) -> None:
    """Serve until a signal."""
    observed = telemetry.setup("touchstone-evaluation", endpoint=settings.otlp_endpoint, log_format=settings.log_format)
    jobs = parts.job_store(settings)
    app = parts.celery(settings)
    sender = parts.dispatcher(app, jobs)
    runs = RunDatabase(jobs.engine, now=parts.now)
    evaluations = Evaluations(runs, Course(runs, jobs, sender, now=parts.now), plugins.installed())
    server = GrpcServer(
        runtime_server.ServerSettings(
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
        await runtime_server.serve(server, Chore(repair, settings.repair_seconds), Chore(forget, FORGET_SECONDS))
    finally:
        app.close()
        observed.shutdown()
