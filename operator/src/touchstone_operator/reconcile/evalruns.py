"""Reconciles EvalRuns: starts them at the evaluation service, follows them, writes down what they came to.

Order matters: the finalizer is on the object and the dispatch id in its status before anything is started, so that a
run that was started is always found again, and cancelled when its EvalRun goes.
"""

from dataclasses import dataclass
from datetime import timedelta

from touchstone_runtime.revisions import Digest

from touchstone_operator import errors, objects
from touchstone_operator.api.evalrun import EvalRun, EvalRunStatus
from touchstone_operator.objects import Key
from touchstone_operator.plan import conditions, evalrun, lifetimes, reuse, support
from touchstone_operator.plan.evalrun import Command, RunPlan
from touchstone_operator.ports import Measured, Outside, RunReport, RunRequest, Subjects
from touchstone_operator.reconcile import subjects
from touchstone_operator.reconcile.execution import Execution
from touchstone_operator.reconcile.outcome import Outcome
from touchstone_operator.reconcile.subjects import Missing

WAIT = timedelta(seconds=5)
"""How often a run that cannot go on is looked at."""
CLEANUP_DEADLINE = timedelta(minutes=5)
"""How long a deletion waits for a service that does not answer; its own deadlines end the run then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvalRuns:
    """The reconciler of EvalRuns."""

    outside: Outside
    poll: timedelta = timedelta(seconds=1)
    """How often an active run is looked at."""

    async def reconcile(self, key: Key) -> Outcome:
        """Look at an EvalRun once."""
        obj = await self.outside.cluster.get(objects.EVAL_RUN, key.namespace, key.name)
        if obj is None:
            return Outcome()
        run = EvalRun.read(obj)
        execution = Execution(self.outside.cluster, self.outside.now, objects.EVAL_RUN, obj)
        if run.metadata.deletion_timestamp:
            return await self._clean_up(run, execution)
        if not run.status.conditions:
            await execution.write_conditions(conditions.first_sight(evalrun.TYPES))
            return Outcome(requeue_at=self.outside.now())
        if reuse.is_finished(run):
            return await self._retire(run, execution)
        plan = await self._plan(run, execution)
        await execution.record(plan.happenings)
        await execution.write_status(plan.status.dump())
        if plan.command is Command.CANCEL and run.status.dispatch_id:
            await self.outside.evaluation.cancel(run.status.dispatch_id)
        if not plan.is_active:
            await execution.set_finalizer(is_wanted=False)
            return Outcome()
        return Outcome(requeue_at=plan.requeue_at)

    async def _plan(self, run: EvalRun, execution: Execution) -> RunPlan:
        now = self.outside.now()
        if run.status.dispatch_id is None:
            return evalrun.suspended(run, now) if run.spec.suspend else await self._begin(run, execution)
        try:
            report = await self._report(run)
        except errors.PeerUnavailable as error:
            return evalrun.waiting(run, "EvaluationUnavailable", error.message, now, poll=WAIT)
        except errors.PeerRefused as error:
            return evalrun.refused(run, error.message, now)
        return evalrun.reported(run, report, now, poll=self.poll)

    async def _begin(self, run: EvalRun, execution: Execution) -> RunPlan:
        now = self.outside.now()
        if complaint := support.of_evaluation(run.spec, "spec"):
            return evalrun.stalled(run, complaint, now)
        found = await subjects.resolve(self.outside.cluster, run)
        if isinstance(found, Missing):
            return evalrun.waiting(run, found.reason, found.message, now, poll=WAIT)
        key = _verdict_key(run, found)
        earlier = await self._earlier(run, key) if key else None
        if earlier:
            return evalrun.reused(run, earlier, found, now)
        labels = {objects.LABEL_VERDICT_KEY: key.label} if key else {}
        await execution.set_finalizer(is_wanted=True, labels=labels)
        return evalrun.dispatched(run, found, now)

    async def _report(self, run: EvalRun) -> RunReport:
        """Ask for the run, and start it where it is not known: never started, or lost by its service."""
        status = run.status
        dispatch_id = status.dispatch_id or evalrun.dispatch_id(run, 1)
        try:
            return await self.outside.evaluation.get(dispatch_id)
        except errors.RunNotFound:
            request = RunRequest(
                dispatch_id=dispatch_id,
                namespace=run.metadata.namespace,
                spec=run.spec,
                subjects=_on_record(status),
            )
            return await self.outside.evaluation.start(request)

    async def _earlier(self, run: EvalRun, key: reuse.VerdictKey) -> EvalRun | None:
        """Find an earlier verdict on identical digests that may stand in."""
        if run.spec.reuse and not run.spec.reuse.allow:
            return None
        max_age = run.spec.reuse.max_age_seconds if run.spec.reuse else 604_800
        found = await self.outside.cluster.list(
            objects.EVAL_RUN, run.metadata.namespace, labels={objects.LABEL_VERDICT_KEY: key.label}
        )
        matching = reuse.matching((EvalRun.read(obj) for obj in found), key)
        now = self.outside.now()
        return next(
            (
                other
                for other in matching
                if reuse.verdict_of(other) != reuse.ERROR and reuse.is_fresh(other, max_age_seconds=max_age, now=now)
            ),
            None,
        )

    async def _retire(self, run: EvalRun, execution: Execution) -> Outcome:
        await execution.set_finalizer(is_wanted=False)
        expires_at = evalrun.expires_at(run)
        if expires_at and expires_at <= self.outside.now():
            await self.outside.cluster.delete(objects.EVAL_RUN, execution.obj)
            return Outcome()
        return Outcome(requeue_at=expires_at)

    async def _clean_up(self, run: EvalRun, execution: Execution) -> Outcome:
        if objects.FINALIZER in run.metadata.finalizers:
            await self._cancel(run)
            await execution.set_finalizer(is_wanted=False)
        return Outcome()

    async def _cancel(self, run: EvalRun) -> None:
        """Cancel a run whose EvalRun goes. A service that stays away does not block the deletion for ever."""
        if run.status.dispatch_id is None or reuse.is_finished(run):
            return
        try:
            await self.outside.evaluation.cancel(run.status.dispatch_id)
        except errors.PeerUnavailable:
            if not lifetimes.has_waited(run.metadata, self.outside.now(), CLEANUP_DEADLINE):
                raise


def _verdict_key(run: EvalRun, found: Subjects) -> reuse.VerdictKey | None:
    """Say what the verdict will be bound to; None when a dataset may change under it."""
    if not reuse.has_pinned_datasets(run.spec):
        return None
    baseline = found.baseline
    return reuse.VerdictKey(
        subject=found.subject.digest,
        baseline=baseline.digest if baseline else None,
        template=reuse.template_digest(run.spec),
        judges={name: judge.digest for name, judge in found.judges.items()},
        prices=reuse.prices(found.subject.price, baseline.price if baseline else None)
        if reuse.has_price_criteria(run.spec)
        else None,
    )


def _on_record(status: EvalRunStatus) -> Subjects:
    """Take who takes part from the status: what was decided once holds for every attempt."""
    baseline = status.baseline_revision
    return Subjects(
        subject=Measured(
            name=status.subject_revision or "", digest=Digest(status.subject_digest or ""), price=status.subject_price
        ),
        baseline=Measured(name=baseline, digest=Digest(status.baseline_digest or ""), price=status.baseline_price)
        if baseline
        else None,
        judges={one.name: Measured(name=one.revision, digest=Digest(one.digest)) for one in status.judges or ()},
    )
