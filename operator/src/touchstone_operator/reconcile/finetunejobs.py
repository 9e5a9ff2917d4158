"""Reconciles FinetuneJobs: starts them at the finetuning service, follows them, writes down what they came to.

Order matters: the finalizer is on the object and the dispatch id in its status before anything is started, so that a
training that was started is always found again, and cancelled when its FinetuneJob goes.
"""

from dataclasses import dataclass
from datetime import timedelta

from touchstone_operator import errors, objects
from touchstone_operator.api.finetunejob import FinetuneJob
from touchstone_operator.objects import Key
from touchstone_operator.plan import conditions, finetunejob, times
from touchstone_operator.plan.finetunejob import Command, JobPlan
from touchstone_operator.ports import Outside, TrainingReport, TrainingRequest
from touchstone_operator.reconcile.execution import Execution
from touchstone_operator.reconcile.outcome import Outcome

WAIT = timedelta(seconds=5)
"""How often a job that cannot go on is looked at."""
CLEANUP_DEADLINE = timedelta(minutes=5)
"""How long a deletion waits for a service that does not answer."""
ENDED = ("Succeeded", "Failed", "Cancelled")


@dataclass(frozen=True, slots=True, kw_only=True)
class FinetuneJobs:
    """The reconciler of FinetuneJobs."""

    outside: Outside
    poll: timedelta = timedelta(seconds=2)
    """How often an active job is looked at."""

    async def reconcile(self, key: Key) -> Outcome:
        """Look at a FinetuneJob once."""
        obj = await self.outside.cluster.get(objects.FINETUNE_JOB, key.namespace, key.name)
        if obj is None:
            return Outcome()
        job = FinetuneJob.read(obj)
        execution = Execution(self.outside.cluster, self.outside.now, objects.FINETUNE_JOB, obj)
        if job.metadata.deletion_timestamp:
            return await self._clean_up(job, execution)
        if not job.status.conditions:
            await execution.write_conditions(conditions.first_sight(finetunejob.TYPES))
            return Outcome(requeue_at=self.outside.now())
        if finetunejob.is_finished(job):
            return await self._retire(job, execution)
        plan = await self._plan(job, execution)
        await execution.record(plan.happenings)
        await execution.write_status(plan.status.dump())
        if plan.command is Command.CANCEL and job.status.dispatch_id:
            await self.outside.finetuning.cancel(job.status.dispatch_id)
        if not plan.is_active:
            await execution.set_finalizer(is_wanted=False)
            return Outcome()
        return Outcome(requeue_at=plan.requeue_at)

    async def _plan(self, job: FinetuneJob, execution: Execution) -> JobPlan:
        now = self.outside.now()
        if job.status.dispatch_id is None:
            return await self._begin(job, execution)
        try:
            report = await self._report(job)
        except errors.PeerUnavailable as error:
            return finetunejob.waiting(job, "FinetuningUnavailable", error.message, now, poll=WAIT)
        except errors.PeerRefused as error:
            return finetunejob.refused(job, error.message, now)
        if job.spec.suspend and report.state != "Succeeded":
            has_stopped = report.state in ENDED
            return finetunejob.suspended(job, now) if has_stopped else finetunejob.suspending(job, now, poll=self.poll)
        return finetunejob.reported(job, report, now, poll=self.poll)

    async def _begin(self, job: FinetuneJob, execution: Execution) -> JobPlan:
        now = self.outside.now()
        if job.spec.suspend:
            return finetunejob.suspended(job, now)
        if complaint := finetunejob.unsupported(job.spec):
            return finetunejob.stalled(job, "NotSupportedYet", complaint, now)
        await execution.set_finalizer(is_wanted=True)
        return finetunejob.dispatched(job, now)

    async def _report(self, job: FinetuneJob) -> TrainingReport:
        """Ask for the training, and start it where it is not known: never started, or lost by its service."""
        name = job.status.dispatch_id or finetunejob.dispatch_id(job)
        try:
            return await self.outside.finetuning.get(name)
        except errors.TrainingNotFound:
            request = TrainingRequest(dispatch_id=name, run=job.metadata.uid, spec=job.spec)
            return await self.outside.finetuning.start(request)

    async def _retire(self, job: FinetuneJob, execution: Execution) -> Outcome:
        await execution.set_finalizer(is_wanted=False)
        expires_at = finetunejob.expires_at(job)
        if expires_at and expires_at <= self.outside.now():
            await self.outside.cluster.delete(objects.FINETUNE_JOB, execution.obj)
            return Outcome()
        return Outcome(requeue_at=expires_at)

    async def _clean_up(self, job: FinetuneJob, execution: Execution) -> Outcome:
        if objects.FINALIZER in job.metadata.finalizers:
            await self._cancel(job)
            await execution.set_finalizer(is_wanted=False)
        return Outcome()

    async def _cancel(self, job: FinetuneJob) -> None:
        """Cancel the training of a job that goes. A service that stays away does not block the deletion for ever."""
        if job.status.dispatch_id is None or finetunejob.is_finished(job):
            return
        try:
            await self.outside.finetuning.cancel(job.status.dispatch_id)
        except errors.PeerUnavailable:
            asked_at = times.read(job.metadata.deletion_timestamp or job.metadata.creation_timestamp)
            if self.outside.now() < asked_at + CLEANUP_DEADLINE:
                raise
