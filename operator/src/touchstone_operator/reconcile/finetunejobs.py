"""Reconciles FinetuneJobs: says that this version cannot run them yet."""

from dataclasses import dataclass

from touchstone_operator import objects
from touchstone_operator.objects import Key
from touchstone_operator.plan import conditions
from touchstone_operator.ports import Outside
from touchstone_operator.reconcile.execution import Execution
from touchstone_operator.reconcile.outcome import Outcome

MESSAGE = "FinetuneJob is not supported yet: this version checks and keeps the object, and trains nothing."


@dataclass(frozen=True, slots=True, kw_only=True)
class FinetuneJobs:
    """The reconciler of FinetuneJobs."""

    outside: Outside

    async def reconcile(self, key: Key) -> Outcome:
        """Look at a FinetuneJob once."""
        obj = await self.outside.cluster.get(objects.FINETUNE_JOB, key.namespace, key.name)
        if obj is None or obj["metadata"].get("deletionTimestamp"):
            return Outcome()
        execution = Execution(self.outside.cluster, self.outside.now, objects.FINETUNE_JOB, obj)
        observed = (
            conditions.unknown("Succeeded", "NotSupportedYet", MESSAGE),
            conditions.holds(conditions.STALLED, "NotSupportedYet", MESSAGE),
        )
        await execution.write_conditions(observed, is_observed=True)
        return Outcome()
