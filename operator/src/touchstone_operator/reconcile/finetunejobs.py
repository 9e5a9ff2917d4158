"""Reconciles FinetuneJobs: has their data made, has them trained, follows both, writes down what they came to.

Order matters: the finalizer is on the object and the dispatch id in its status before anything is started, so that
what was started is always found again, and cancelled when its FinetuneJob goes.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from touchstone_runtime.revisions import Digest

from touchstone_operator import errors, objects
from touchstone_operator.api.evalrun import EvalRun
from touchstone_operator.api.finetunejob import FinetuneJob
from touchstone_operator.objects import Key
from touchstone_operator.plan import conditions, finetunejob, finetunejob_evaluation, lifetimes
from touchstone_operator.plan.finetunejob import Command, JobPlan
from touchstone_operator.ports import DataSource, Measured, Outside, PipelineRequest, TrainingRequest
from touchstone_operator.reconcile import manifests, subjects
from touchstone_operator.reconcile.execution import Execution
from touchstone_operator.reconcile.outcome import Outcome
from touchstone_operator.reconcile.subjects import Missing

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
        if plan.command is Command.CANCEL:
            await self._stop(job)
        if not plan.is_active:
            await execution.set_finalizer(is_wanted=False)
            return Outcome()
        return Outcome(requeue_at=plan.requeue_at)

    async def _plan(self, job: FinetuneJob, execution: Execution) -> JobPlan:
        now, status = self.outside.now(), job.status
        is_idle = status.dispatch_id is None and (status.dataset is None or status.dataset.uri is not None)
        if is_idle and job.spec.suspend:
            return finetunejob.suspended(job, now)
        try:
            data = finetunejob.data_source(job)
            if data or job.spec.method.merge:
                return await self._train(job, data, execution)
            return await self._prepare(job, execution)
        except errors.PeerUnavailable as error:
            reason = "DataUnavailable" if error.metadata.get("peer") == "data" else "FinetuningUnavailable"
            return finetunejob.waiting(job, reason, error.message, now, poll=WAIT)
        except errors.PeerRefused as error:
            return finetunejob.refused(job, error.message, now)

    async def _prepare(self, job: FinetuneJob, execution: Execution) -> JobPlan:
        """Have the data made that the job trains on."""
        now, asked, dataset = self.outside.now(), job.spec.dataset, job.status.dataset
        if asked is None or asked.pipeline is None or dataset is None or dataset.dispatch_id is None:
            found = await self._models(job)
            if isinstance(found, Missing):
                return finetunejob.waiting(job, found.reason, found.message, now, poll=WAIT)
            return await self._begin(job, execution, partial(finetunejob.preparing, models=found))
        try:
            report = await self.outside.data.get(dataset.dispatch_id)
        except errors.PipelineNotFound:
            request = PipelineRequest(
                dispatch_id=dataset.dispatch_id,
                namespace=job.metadata.namespace,
                name=job.metadata.name,
                pipeline=asked.pipeline,
                secret=asked.credentials_secret_ref,
                models={
                    one.name: Measured(name=one.revision, digest=Digest(one.digest)) for one in dataset.models or ()
                },
            )
            report = await self.outside.data.start(request)
        if job.spec.suspend and report.state != "Succeeded":
            return self._suspend(job, report.state)
        return finetunejob.prepared(job, report, now, poll=self.poll)

    async def _models(self, job: FinetuneJob) -> Mapping[str, Measured] | Missing:
        """Find the revisions that the pipeline's steps ask."""
        pipeline = job.spec.dataset.pipeline if job.spec.dataset else None
        found: dict[str, Measured] = {}
        for model in pipeline.models or () if pipeline else ():
            answering = await subjects.answering(
                self.outside.cluster, job.metadata.namespace, model.model_deployment_ref,
                reason="ModelNotFound", role="the data pipeline asks",
            )  # fmt: skip
            if isinstance(answering, Missing):
                return answering
            found[model.name] = answering
        return found

    async def _train(self, job: FinetuneJob, data: DataSource | None, execution: Execution) -> JobPlan:
        if job.status.dispatch_id is None:
            return await self._begin(job, execution, finetunejob.dispatched)
        try:
            report = await self.outside.finetuning.get(job.status.dispatch_id)
        except errors.TrainingNotFound:  # never started, or lost by its service
            request = TrainingRequest(
                dispatch_id=job.status.dispatch_id,
                namespace=job.metadata.namespace,
                run=job.metadata.uid,
                spec=job.spec,
                data=data,
            )
            report = await self.outside.finetuning.start(request)
        if job.spec.suspend and report.state != "Succeeded":
            return self._suspend(job, report.state)
        return finetunejob.reported(job, report, self.outside.now(), poll=self.poll)

    async def _begin(
        self, job: FinetuneJob, execution: Execution, plan: Callable[[FinetuneJob, datetime], JobPlan]
    ) -> JobPlan:
        now = self.outside.now()
        if complaint := finetunejob.unsupported(job.spec):
            return finetunejob.stalled(job, "NotSupportedYet", complaint, now)
        await execution.set_finalizer(is_wanted=True)
        return plan(job, now)

    def _suspend(self, job: FinetuneJob, state: str) -> JobPlan:
        now = self.outside.now()
        return finetunejob.suspended(job, now) if state in ENDED else finetunejob.suspending(job, now, poll=self.poll)

    async def _stop(self, job: FinetuneJob) -> None:
        """Cancel what runs for a job."""
        if job.status.dispatch_id:
            await self.outside.finetuning.cancel(job.status.dispatch_id)
        elif job.status.dataset and job.status.dataset.dispatch_id:
            await self.outside.data.cancel(job.status.dataset.dispatch_id)

    async def _retire(self, job: FinetuneJob, execution: Execution) -> Outcome:
        await execution.set_finalizer(is_wanted=False)
        is_wanted = finetunejob_evaluation.is_wanted(job)
        if is_wanted and await self._evaluate(job, execution):
            return Outcome(requeue_at=self.outside.now() + WAIT)
        expires_at = finetunejob.expires_at(job)
        if expires_at and expires_at <= self.outside.now():
            await self.outside.cluster.delete(objects.FINETUNE_JOB, execution.obj)
            return Outcome()
        return Outcome(requeue_at=self.outside.now() + WAIT if is_wanted else expires_at)

    async def _evaluate(self, job: FinetuneJob, execution: Execution) -> bool:
        """Have the revision measured that has what the job made, and write down the verdict.

        Returns:
            Whether there is such a revision. While there is none, nothing keeps the job past its time to live.
        """
        cluster, namespace = self.outside.cluster, job.metadata.namespace
        obj = await cluster.get(objects.EVAL_RUN, namespace, finetunejob_evaluation.run_name(job))
        if obj is None:
            deployment = job.spec.evaluation.model_deployment_ref.name if job.spec.evaluation else ""
            labels = objects.labels(objects.MODEL_DEPLOYMENT, deployment)
            found = manifests.read(await cluster.list(objects.CONFIG_MAP, namespace, labels=labels))
            revision = finetunejob_evaluation.revision(job, found.values())
            if not revision:
                await execution.write_conditions([finetunejob_evaluation.waiting(job)])
                return False
            await cluster.create(objects.EVAL_RUN, finetunejob_evaluation.run(job, revision))
            return True
        run = EvalRun.read(obj)
        reference = {"evalRunRef": {"name": run.metadata.name}}
        await execution.write_status({**(execution.obj.get("status") or {}), **reference})
        await execution.write_conditions([finetunejob_evaluation.observed(run)])
        return True

    async def _clean_up(self, job: FinetuneJob, execution: Execution) -> Outcome:
        if objects.FINALIZER in job.metadata.finalizers:
            await self._cancel(job)
            await execution.set_finalizer(is_wanted=False)
        return Outcome()

    async def _cancel(self, job: FinetuneJob) -> None:
        """Cancel what runs for a job that goes. A service that stays away does not block the deletion for ever."""
        if finetunejob.is_finished(job):
            return
        try:
            await self._stop(job)
        except errors.PeerUnavailable:
            if not lifetimes.has_waited(job.metadata, self.outside.now(), CLEANUP_DEADLINE):
                raise
