"""The plan of a FinetuneJob: from what the finetuning service reports to status. Pure.

The service tries a training again and goes on from its checkpoints; here it is begun, suspended, ended at its deadline,
and written down. A service that does not answer loses nothing: the job waits.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from touchstone_operator.api.finetunejob import (
    DatasetModel,
    DatasetStatus,
    FinetuneJob,
    FinetuneJobSpec,
    FinetuneJobStatus,
)
from touchstone_operator.objects import Happening
from touchstone_operator.plan import conditions, lifetimes, support, times
from touchstone_operator.plan.conditions import Observation
from touchstone_operator.ports import DataSource, Measured, PipelineReport, TrainingReport

TYPES = ("Succeeded", "Suspended", "Progressing")
SILENCE = timedelta(minutes=2)
"""After this time without a word from its worker a running training does not progress."""


class Command(StrEnum):
    """What to ask the services for once the status is written."""

    NONE = "None"
    CANCEL = "Cancel"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobPlan:
    """Wanted status of a job, and what to ask for."""

    status: FinetuneJobStatus
    command: Command = Command.NONE
    happenings: tuple[Happening, ...] = ()
    is_active: bool = True
    """False while nothing runs at the service: the finalizer goes."""
    requeue_at: datetime | None = None


def unsupported(spec: FinetuneJobSpec) -> str:
    """Name the first field that asks for what this version cannot do, and the way out; empty where there is none."""
    template = "spec.evaluation.evalRunTemplate.spec"
    return support.of_evaluation(spec.evaluation.eval_run_template.spec, template) if spec.evaluation else ""


def is_finished(job: FinetuneJob) -> bool:
    """Tell whether a job has come to its end."""
    condition = conditions.find(job.status.conditions, conditions.SUCCEEDED)
    return condition is not None and condition.status != "Unknown"


def expires_at(job: FinetuneJob) -> datetime | None:
    """Say when a finished job is removed; None when it stays."""
    ttl_seconds = job.spec.ttl_seconds_after_finished
    return lifetimes.expires_at(job.metadata, completed=job.status.completion_time, ttl_seconds=ttl_seconds)


def dispatch_id(job: FinetuneJob) -> str:
    """Name a training: `UID-GENERATION`, of the generation that it began at: one that was suspended gets a new name."""
    return f"{job.metadata.uid}-{job.metadata.generation}"


def pipeline_id(job: FinetuneJob) -> str:
    """Name the pipeline of a job, as `dispatch_id` does the training."""
    return f"{dispatch_id(job)}-data"


def data_source(job: FinetuneJob) -> DataSource | None:
    """Say what is trained on; None while its pipeline has not made it, and for a merge."""
    asked, made = job.spec.dataset, job.status.dataset
    if asked is None:
        return None
    if asked.uri:
        return DataSource(uri=asked.uri, digest=asked.digest or "", secret=asked.credentials_secret_ref)
    if made is None or not made.uri:
        return None
    is_users = bool(asked.pipeline and asked.pipeline.output)  # else it lies in the platform's own store
    secret = asked.credentials_secret_ref if is_users else None
    return DataSource(uri=made.uri, digest=made.digest or "", secret=secret)


def stalled(job: FinetuneJob, reason: str, message: str, now: datetime) -> JobPlan:
    """Plan a job that cannot be begun until its spec or this operator changes."""
    observed = (
        conditions.unknown("Succeeded", reason, message),
        conditions.fails("Progressing", reason),
        conditions.holds(conditions.STALLED, reason, message),
    )
    return JobPlan(status=_status(job, job.status, observed, now), is_active=False)


def suspended(job: FinetuneJob, now: datetime) -> JobPlan:
    """Plan a job that is kept from running; what it has saved stays."""
    made = job.status.dataset
    kept = made if made and made.uri else None
    status = job.status.model_copy(update={"dispatch_id": None, "start_time": None, "dataset": kept})
    step = job.status.checkpoint.step if job.status.checkpoint else 0
    where = f" It goes on from step {step}." if step else ""
    observed = (
        conditions.unknown("Succeeded", "Suspended", f"spec.suspend keeps the job from running.{where}"),
        conditions.holds("Suspended", "Suspended"),
        conditions.fails("Progressing", "Suspended"),
    )
    return JobPlan(status=_status(job, status, observed, now), is_active=False)


def suspending(job: FinetuneJob, now: datetime, *, poll: timedelta) -> JobPlan:
    """Plan a job that is being suspended: its training is asked to stop."""
    observed = _active("Suspending", "The training is asked to stop.", is_progressing=False)
    status = _status(job, job.status, observed, now)
    return JobPlan(status=status, command=Command.CANCEL, requeue_at=now + poll)


def waiting(job: FinetuneJob, reason: str, message: str, now: datetime, *, poll: timedelta) -> JobPlan:
    """Plan a job that cannot go on yet."""
    observed = _active(reason, message, is_progressing=False)
    return JobPlan(status=_status(job, job.status, observed, now), requeue_at=now + poll)


def preparing(job: FinetuneJob, now: datetime, *, models: Mapping[str, Measured]) -> JobPlan:
    """Plan the start of the pipeline that makes the data: it is on record, with who answers, before it is made."""
    found = tuple(DatasetModel(name=name, revision=one.name, digest=one.digest) for name, one in models.items())
    dataset = DatasetStatus(dispatch_id=pipeline_id(job), models=found or None)
    status = job.status.model_copy(update={"dataset": dataset, "start_time": times.write(now)})
    observed = _active("PreparingData", "The pipeline is handed to the data service.")
    return JobPlan(status=_status(job, status, observed, now), requeue_at=now)


def prepared(job: FinetuneJob, report: PipelineReport, now: datetime, *, poll: timedelta) -> JobPlan:
    """Plan a job by what the data service reports of its pipeline."""
    match report.state:
        case "Succeeded":
            status = job.status.model_copy(update={"dataset": report.snapshot})
            made = report.snapshot
            message = f"{made.records} records are left, {made.dropped} were dropped." if made else ""
            observed = _active("DataPrepared", message)
            happening = Happening("DataPrepared", message)
            return JobPlan(status=_status(job, status, observed, now), happenings=(happening,), requeue_at=now)
        case "Failed":
            return _failed(job, job.status, report.error_reason or "DatasetInvalid", report.error_message, now)
        case "Cancelled":
            return _failed(job, job.status, "Cancelled", "The pipeline was cancelled.", now)
    if _is_overdue(job, now):
        return _overdue(job, job.status, now)
    observed = _active("PreparingData", report.stage or "Waits for a worker.")
    return JobPlan(status=_status(job, job.status, observed, now), requeue_at=now + poll)


def dispatched(job: FinetuneJob, now: datetime) -> JobPlan:
    """Plan a start: it is on record before it is made."""
    started = job.status.start_time or times.write(now)
    status = job.status.model_copy(update={"dispatch_id": dispatch_id(job), "start_time": started})
    observed = _active("Starting", "The training is handed to the finetuning service.")
    return JobPlan(status=_status(job, status, observed, now), requeue_at=now)


def refused(job: FinetuneJob, complaint: str, now: datetime) -> JobPlan:
    """Plan a job that the service refuses to start."""
    return _failed(job, job.status, "Refused", complaint, now)


def reported(job: FinetuneJob, report: TrainingReport, now: datetime, *, poll: timedelta) -> JobPlan:
    """Plan a job by what the service reports."""
    results = FinetuneJobStatus.model_validate(report.results)
    status = job.status.model_copy(update={name: getattr(results, name) for name in results.model_fields_set})
    match report.state:
        case "Succeeded":
            return _succeeded(job, status, now)
        case "Failed":
            return _failed(job, status, _reason(report.error_reason), report.error_message, now)
        case "Cancelled":
            return _failed(job, status, "Cancelled", "The training was cancelled.", now)
    if _is_overdue(job, now):
        return _overdue(job, status, now)
    return JobPlan(status=_status(job, status, _running(status, report, now), now), requeue_at=now + poll)


def _running(status: FinetuneJobStatus, report: TrainingReport, now: datetime) -> tuple[Observation, ...]:
    if report.state == "Pending":
        attempts = status.attempts or 0
        if attempts:
            end = f"failed: {report.error_message}" if report.error_message else "ended early."
            return _active("Retrying", f"Attempt {attempts} {end} The next one goes on from the last checkpoint.")
        return _active("Queued", "Waits for a worker.", is_progressing=False)
    if report.heartbeat_time and now - times.read(report.heartbeat_time) > SILENCE:
        message = f"Its worker was last heard of at {report.heartbeat_time}; another one takes the training over."
        return _active("HeartbeatLost", message, is_progressing=False)
    if report.waits_for:
        return _active(report.stage, f"Waits for {report.waits_for}.", is_progressing=False)
    progress = status.progress
    done = f"Step {progress.step} of {progress.total_steps}." if progress and progress.total_steps else ""
    return _active(report.stage or "Running", done)


def _succeeded(job: FinetuneJob, status: FinetuneJobStatus, now: datetime) -> JobPlan:
    made = status.artifact
    message = f"{made.type} {made.digest} lies at {made.uri}." if made else ""
    observed = (
        conditions.holds("Succeeded", "Completed", message),
        conditions.fails("Suspended", "NotSuspended"),
        conditions.fails("Progressing", "Completed"),
    )
    finished = status.model_copy(update={"completion_time": status.completion_time or times.write(now)})
    happening = Happening("Completed", message)
    return JobPlan(status=_status(job, finished, observed, now), happenings=(happening,), is_active=False)


def _failed(job: FinetuneJob, status: FinetuneJobStatus, reason: str, message: str, now: datetime) -> JobPlan:
    observed = (
        conditions.fails("Succeeded", reason, message),
        conditions.fails("Suspended", "NotSuspended"),
        conditions.fails("Progressing", reason),
    )
    finished = status.model_copy(update={"completion_time": status.completion_time or times.write(now)})
    happening = Happening(reason, message, is_warning=True)
    return JobPlan(status=_status(job, finished, observed, now), happenings=(happening,), is_active=False)


def _overdue(job: FinetuneJob, status: FinetuneJobStatus, now: datetime) -> JobPlan:
    message = f"The job did not end within {job.spec.active_deadline_seconds} seconds."
    plan = _failed(job, status, "DeadlineExceeded", message, now)
    return replace(plan, command=Command.CANCEL)


def _reason(reason: str) -> str:
    """Name a failure as the API does: a job that used up its attempts says so."""
    given_up = ("PoisonTask", "TrainerDied", "TrainerBroken", "TrainerLost")
    return "BackoffLimitExceeded" if reason in given_up else reason


def _active(reason: str, message: str, *, is_progressing: bool = True) -> tuple[Observation, ...]:
    progressing = conditions.holds if is_progressing else conditions.fails
    return (
        conditions.unknown("Succeeded", reason, message),
        conditions.fails("Suspended", "NotSuspended"),
        progressing("Progressing", reason, message),
        conditions.holds(conditions.RECONCILING, reason, message),
    )


def _is_overdue(job: FinetuneJob, now: datetime) -> bool:
    if job.status.start_time is None:
        return False
    return now > times.read(job.status.start_time) + timedelta(seconds=job.spec.active_deadline_seconds)


def _status(
    job: FinetuneJob, status: FinetuneJobStatus, observed: tuple[Observation, ...], now: datetime
) -> FinetuneJobStatus:
    generation = job.metadata.generation
    merged = conditions.merge(job.status.conditions, observed, generation=generation, now=now)
    return status.model_copy(update={"observed_generation": generation, "conditions": merged})
