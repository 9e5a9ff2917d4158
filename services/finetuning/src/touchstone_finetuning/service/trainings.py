"""Trainings as their callers see them: started once, looked at, cancelled. Blocking; the door runs it in threads.

The record is stored before anything is sent.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from touchstone_runtime.jobs import Dispatcher, Job, JobNotFound, JobState, JobStore

from touchstone_finetuning import errors
from touchstone_finetuning.core import admission, codec
from touchstone_finetuning.core.admission import Platform
from touchstone_finetuning.core.progress import Progress
from touchstone_finetuning.core.results import TrainingResult
from touchstone_finetuning.core.spec import TrainingSpec

KIND = "train"
"""The kind of the jobs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """One training as recorded."""

    dispatch_id: str
    state: JobState
    progress: Progress
    attempts: int
    preemptions: int
    error: Mapping[str, str] | None
    """`reason` and `message` of one that failed, or of the last attempt of one that is tried again."""
    result: TrainingResult | None
    """Of one that succeeded."""
    started_at: datetime | None
    finished_at: datetime | None
    heartbeat_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trainings:
    """Starts trainings and watches over them."""

    jobs: JobStore
    sender: Dispatcher
    platform: Platform

    def start(self, dispatch_id: str, spec: TrainingSpec) -> Training:
        """Start a training; the same dispatch id returns the same one.

        Raises:
            SpecInvalid: With every fault.
            DispatchIdTaken: The dispatch id belongs to a different training.
        """
        faults = [
            *admission.dispatch_faults(dispatch_id),
            *admission.spec_faults(spec),
            *admission.platform_faults(spec, self.platform),
        ]
        if faults:
            raise errors.SpecInvalid(faults)
        job = self.jobs.create(
            dispatch_id,
            KIND,
            {"spec": codec.to_fields(spec)},
            max_attempts=spec.max_attempts,
            max_preemptions=spec.max_preemptions,
            priority=spec.priority,
        )
        if job.kind != KIND or codec.from_fields(job.payload["spec"], TrainingSpec) != spec:
            raise errors.DispatchIdTaken(dispatch_id)
        if job.state is JobState.PENDING:
            self.sender.send(job)
        return _training(job)

    def get(self, dispatch_id: str) -> Training:
        """Read a training."""
        try:
            return _training(self.jobs.get(dispatch_id))
        except JobNotFound as error:
            raise errors.TrainingNotFound(dispatch_id) from error

    def cancel(self, dispatch_id: str) -> Training:
        """Cancel a training; its trainer is killed within seconds. Cancelling an ended one changes nothing."""
        try:
            return _training(self.jobs.cancel(dispatch_id))
        except JobNotFound as error:
            raise errors.TrainingNotFound(dispatch_id) from error

    def resend_overdue(self) -> int:
        """Send trainings that nobody works on again; return how many were sent."""
        return self.sender.resend_overdue(KIND)


def _training(job: Job) -> Training:
    if job.kind != KIND:
        raise errors.TrainingNotFound(job.id)
    return Training(
        dispatch_id=job.id,
        state=job.state,
        progress=codec.from_fields(job.progress, Progress) if job.progress else Progress(),
        attempts=job.attempts,
        preemptions=job.preemptions,
        error=job.error,
        result=codec.from_fields(job.result, TrainingResult) if job.result else None,
        started_at=job.started_at,
        finished_at=job.finished_at,
        heartbeat_at=job.heartbeat_at,
    )
