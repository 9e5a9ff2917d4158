"""From settings to a running server."""

from touchstone_runtime import celery_app, telemetry
from touchstone_runtime import server as runtime_server
from touchstone_runtime.jobs import Dispatcher, Job
from touchstone_runtime.server import Chore, GrpcServer

from touchstone_finetuning import tasks
from touchstone_finetuning.api.servicer import FinetuningServicer
from touchstone_finetuning.core.admission import Platform
from touchstone_finetuning.core.spec import DEFAULT_QUEUE
from touchstone_finetuning.service.trainings import Trainings
from touchstone_finetuning.settings import ServerSettings
from touchstone_finetuning.wiring import parts


def trainings(settings: ServerSettings) -> Trainings:
    """Make what starts trainings and watches over them."""
    app = parts.celery(settings)
    jobs = parts.job_store(settings)

    def send(job: Job) -> None:
        queue = job.payload["spec"].get("queue", DEFAULT_QUEUE)
        celery_app.send(app, tasks.TASK, job.id, priority=job.priority, queue=queue)

    platform = Platform(queues=settings.queues, is_cluster=settings.trainer == "Kubernetes")
    return Trainings(jobs=jobs, sender=Dispatcher(jobs, send), platform=platform)


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
        await runtime_server.serve(server, Chore(found.resend_overdue, settings.redispatch_seconds))
    finally:
        observed.shutdown()
