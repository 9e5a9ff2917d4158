"""Reconciles ModelSelections: makes an EvalRun a candidate, and has the evaluation service choose once all are done."""

from dataclasses import dataclass
from datetime import timedelta

from touchstone_operator import errors, objects
from touchstone_operator.api.evalrun import EvalRun
from touchstone_operator.api.modelselection import ModelSelection
from touchstone_operator.objects import Key
from touchstone_operator.plan import conditions, modelselection, reuse, support
from touchstone_operator.plan.modelselection import SelectionPlan
from touchstone_operator.ports import Outside
from touchstone_operator.reconcile.execution import Execution
from touchstone_operator.reconcile.outcome import Outcome

WAIT = timedelta(seconds=5)
"""How often a selection that waits for the evaluation service is looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSelections:
    """The reconciler of ModelSelections. Its EvalRuns go with it, by their owner references."""

    outside: Outside
    poll: timedelta = timedelta(seconds=1)
    """How often a choice under way is looked at."""

    async def reconcile(self, key: Key) -> Outcome:
        """Look at a ModelSelection once."""
        obj = await self.outside.cluster.get(objects.MODEL_SELECTION, key.namespace, key.name)
        if obj is None or obj["metadata"].get("deletionTimestamp"):
            return Outcome()
        selection = ModelSelection.read(obj)
        execution = Execution(self.outside.cluster, self.outside.now, objects.MODEL_SELECTION, obj)
        if not selection.status.conditions:
            await execution.write_conditions(conditions.first_sight(modelselection.TYPES))
            return Outcome(requeue_at=self.outside.now())
        if modelselection.is_finished(selection):
            return Outcome()
        plan = await self._plan(selection)
        await execution.record(plan.happenings)
        await execution.write_status(plan.status.dump())
        return Outcome(requeue_at=plan.requeue_at)

    async def _plan(self, selection: ModelSelection) -> SelectionPlan:
        now = self.outside.now()
        if selection.spec.suspend:
            return modelselection.suspended(selection, now)
        if complaint := support.of_evaluation(selection.spec.eval_run_template.spec, "spec.evalRunTemplate.spec"):
            return modelselection.stalled(selection, complaint, now)
        found: dict[str, EvalRun] = {}
        for candidate, wanted in modelselection.runs(selection).items():
            name = wanted["metadata"]["name"]
            run = await self._run(selection, name)
            if run is None:
                await self.outside.cluster.create(objects.EVAL_RUN, wanted)
                run = await self._run(selection, name)
            if run is None or not objects.is_controlled_by(run.metadata, selection.metadata):
                return modelselection.blocked(selection, name, now)
            found[candidate] = run
        if not all(reuse.is_finished(run) for run in found.values()):
            return modelselection.measuring(selection, found, now)
        return await self._choose(selection, found)

    async def _run(self, selection: ModelSelection, name: str) -> EvalRun | None:
        obj = await self.outside.cluster.get(objects.EVAL_RUN, selection.metadata.namespace, name)
        return None if obj is None else EvalRun.read(obj)

    async def _choose(self, selection: ModelSelection, found: dict[str, EvalRun]) -> SelectionPlan:
        now = self.outside.now()
        try:
            report = await self.outside.evaluation.select(modelselection.request(selection, found))
        except errors.PeerUnavailable as error:
            return modelselection.waiting(selection, "EvaluationUnavailable", error.message, now, poll=WAIT)
        except errors.PeerRefused as error:
            return modelselection.failed(selection, error.message, now)
        match report.state:
            case "Completed":
                return modelselection.decided(selection, found, report, now)
            case "Failed":
                return modelselection.failed(selection, report.message, now)
            case _:
                return modelselection.waiting(
                    selection, "Choosing", "All candidates are measured; the choice is being made.", now, poll=self.poll
                )
