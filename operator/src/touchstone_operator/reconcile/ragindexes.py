"""Reconciles RagIndexes: has revisions built and gated, activates them, and removes old ones."""

from dataclasses import dataclass
from datetime import timedelta

from touchstone_operator import errors, objects
from touchstone_operator.api.evalrun import EvalRun
from touchstone_operator.api.modeldeployment import ModelDeployment
from touchstone_operator.api.ragindex import RagIndex
from touchstone_operator.objects import Key
from touchstone_operator.plan import conditions, lifetimes, ragindex, ragindex_conditions, ragindex_terms
from touchstone_operator.plan.ragindex_terms import IndexPlan, Observed
from touchstone_operator.ports import BuildReport, Outside
from touchstone_operator.reconcile.execution import Execution
from touchstone_operator.reconcile.outcome import Outcome

WAIT = timedelta(seconds=5)
CLEANUP_DEADLINE = timedelta(minutes=10)
"""How long a deletion waits for a retrieval service that does not answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RagIndexes:
    """The reconciler of RagIndexes."""

    outside: Outside
    endpoint: str = ""
    """Address of the RetrievalService, for status."""

    async def reconcile(self, key: Key) -> Outcome:
        """Look at a RagIndex once."""
        obj = await self.outside.cluster.get(objects.RAG_INDEX, key.namespace, key.name)
        if obj is None:
            return Outcome()
        index = RagIndex.read(obj)
        execution = Execution(self.outside.cluster, self.outside.now, objects.RAG_INDEX, obj)
        if index.metadata.deletion_timestamp:
            return await self._clean_up(index, execution)
        if not index.status.conditions:
            await execution.write_conditions(conditions.first_sight(ragindex_conditions.TYPES))
            return Outcome(requeue_at=self.outside.now())
        await execution.set_finalizer(is_wanted=True)
        try:
            plan = ragindex.plan(await self._observe(index), self.outside.now())
            await self._carry_out(index, plan, execution)
        except errors.PeerUnavailable as error:
            await execution.write_conditions(ragindex_conditions.unreachable(error.message))
            return Outcome(requeue_at=self.outside.now() + WAIT)
        return Outcome(requeue_at=plan.requeue_at)

    async def _carry_out(self, index: RagIndex, plan: IndexPlan, execution: Execution) -> None:
        cluster, retrieval, name = self.outside.cluster, self.outside.retrieval, _name(index)
        for child in plan.create:
            await cluster.create(child.kind, child.obj)
        if plan.cancel:
            await retrieval.cancel_build(plan.cancel)
        if plan.activate:
            await retrieval.activate(name, plan.activate)
        await execution.record(plan.happenings)
        status = plan.status.model_copy(update={"endpoint": self.endpoint or None})
        await execution.write_status(status.dump())
        for child in plan.delete:
            await cluster.delete(child.kind, child.obj)
        for revision in plan.forget:
            await retrieval.delete_revision(name, revision)

    async def _observe(self, index: RagIndex) -> Observed:
        cluster, namespace = self.outside.cluster, index.metadata.namespace
        labels = objects.labels(objects.RAG_INDEX, index.metadata.name)
        found = await cluster.list(objects.EVAL_RUN, namespace, labels=labels)
        own = [obj for obj in found if objects.is_controlled_by(objects.metadata(obj), index.metadata)]
        return Observed(
            index=index,
            report=await self._report(index),
            stored=await self.outside.retrieval.get_index(_name(index)),
            runs=tuple(EvalRun.read(obj) for obj in own),
            run_objects={obj["metadata"]["name"]: obj for obj in own},
            in_use=await self._in_use(index),
        )

    async def _report(self, index: RagIndex) -> BuildReport | None:
        """Ask for the build under way, and start it where it is not known: never started, or lost."""
        dispatch_id = index.status.dispatch_id
        is_wanted = index.status.progress is not None and ragindex_terms.is_of_this_generation(index)
        if not dispatch_id or not is_wanted or ragindex.unsupported(index.spec):
            return None
        try:
            return await self.outside.retrieval.get_build(dispatch_id)
        except errors.BuildNotFound:
            pass
        try:
            return await self.outside.retrieval.start_build(dispatch_id, _name(index), index.spec)
        except errors.PeerRefused as error:
            return BuildReport(state="Failed", error_reason="Refused", error_message=error.message)

    async def _in_use(self, index: RagIndex) -> frozenset[str]:
        """Find index revisions that ModelDeployments serve from, or are about to."""
        found = await self.outside.cluster.list(objects.MODEL_DEPLOYMENT, index.metadata.namespace)
        used: set[str] = set()
        for deployment in (ModelDeployment.read(obj) for obj in found):
            rag = deployment.spec.rag
            if rag and rag.index_ref.name == index.metadata.name and rag.revision:
                used.add(rag.revision)
            status = deployment.status
            previous = status.rollout.previous_revision if status.rollout else None
            live = {status.stable_revision, status.candidate_revision, previous}
            components = [r.components for r in status.revisions or () if r.name in live and r.components]
            used |= {component.rag_index for component in components if component.rag_index}
        return frozenset(used)

    async def _clean_up(self, index: RagIndex, execution: Execution) -> Outcome:
        if objects.FINALIZER not in index.metadata.finalizers:
            return Outcome()
        try:
            if index.status.dispatch_id and index.status.progress is not None:
                await self.outside.retrieval.cancel_build(index.status.dispatch_id)
            await self.outside.retrieval.delete_index(_name(index))
        except errors.PeerUnavailable:
            if not lifetimes.has_waited(index.metadata, self.outside.now(), CLEANUP_DEADLINE):
                raise
        await execution.set_finalizer(is_wanted=False)
        return Outcome()


def _name(index: RagIndex) -> str:
    return f"{index.metadata.namespace}/{index.metadata.name}"
