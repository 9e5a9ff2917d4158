"""The plan of a RagIndex: build aside, gate, activate, retire. Pure.

    new generation, schedule ─▶ building ─▶ candidate ─▶ gates ─▶ active
                                   │ failed      │ failed, or too many documents gone
                                   ▼             ▼
                                retried        held; the active revision stays

A build is on record (dispatch id in status) before it is started. Whether one is under way shows by status.progress.
"""

from dataclasses import replace
from datetime import datetime

from touchstone_operator import objects
from touchstone_operator.api.ragindex import RagIndexSpec, RagIndexStatus
from touchstone_operator.objects import Happening
from touchstone_operator.plan import (
    conditions,
    gates,
    ragindex_builds,
    ragindex_conditions,
    ragindex_gates,
    retention,
    schedule,
    support,
    times,
)
from touchstone_operator.plan.actions import Child, earliest
from touchstone_operator.plan.ragindex_conditions import Outlook
from touchstone_operator.plan.ragindex_terms import IndexPlan, Observed, is_of_this_generation


def plan(observed: Observed, now: datetime) -> IndexPlan:
    """Plan: wanted status, wanted requests."""
    index = observed.index
    draft = _advance(observed, now)
    kept = _retained(observed, draft.status)
    due = draft.status.next_schedule_time
    status = draft.status.model_copy(
        update={
            "observed_generation": index.metadata.generation,
            "revisions": tuple(r for r in draft.status.revisions or () if r.name in kept),
            "conditions": conditions.merge(
                index.status.conditions,
                ragindex_conditions.observe(index, draft.status, draft.outlook, observed.stored),
                generation=index.metadata.generation,
                now=now,
            ),
        }
    )
    return replace(
        draft,
        status=status,
        delete=_outdated(observed, status, kept),
        forget=_forgotten(observed, status, kept),
        requeue_at=earliest(draft.requeue_at, times.read(due) if due and not index.spec.suspend else None),
    )


def unsupported(spec: RagIndexSpec) -> str:
    """Name the first field that asks for what this version cannot do; empty when there is none."""
    asked = {
        "spec.store.type Qdrant: the retrieval service's own store is used; set Embedded": spec.store.type == "Qdrant",
        "spec.embedding.type ModelDeployment: use Local": spec.embedding.type == "ModelDeployment",
        "spec.access.allowedNamespaces: bound callers with a NetworkPolicy": bool(
            spec.access and spec.access.allowed_namespaces
        ),
        "spec.sources[].credentialsSecretRef: give the retrieval service the credentials": any(
            source.credentials_secret_ref for source in spec.sources
        ),
    }
    promoting = (spec.promotion.gates if spec.promotion else None) or ()
    return next(
        (f"Not supported yet: {what}." for what, is_asked in asked.items() if is_asked),
        support.of_gates(promoting, "spec.promotion.gates"),
    )


def _advance(observed: Observed, now: datetime) -> IndexPlan:
    index = observed.index
    refused = _refused(observed, now)
    if refused:
        return refused
    if not is_of_this_generation(index):
        return _suspended(observed) if index.spec.suspend else ragindex_builds.begin(observed, 1, now)
    if index.status.progress is not None:
        return ragindex_builds.follow(observed, observed.report, now)
    if ragindex_conditions.failed_build(index):
        return ragindex_builds.retry(observed, now)
    if index.status.candidate_revision:
        return ragindex_gates.gate(observed, index.status.candidate_revision, now)
    return _rest(observed, now)


def _refused(observed: Observed, now: datetime) -> IndexPlan | None:
    status, spec = observed.index.status, observed.index.spec
    reason, message = "NotSupportedYet", unsupported(spec)
    if not message and spec.schedule and schedule.next_time(spec.schedule, spec.time_zone, now) is None:
        reason = "InvalidSchedule"
        message = f"spec.schedule {spec.schedule!r} in {spec.time_zone} has no next time. Correct it."
    outlook = Outlook(reason=reason, message=message, is_promoted=False, is_stalled=True)
    return IndexPlan(status=status, outlook=outlook) if message else None


def _suspended(observed: Observed) -> IndexPlan:
    outlook = Outlook(reason="Suspended", message="spec.suspend stops builds.", is_promoted=False)
    return IndexPlan(status=observed.index.status, outlook=outlook)


def _rest(observed: Observed, now: datetime) -> IndexPlan:
    index, status = observed.index, observed.index.status
    attempts = status.attempts or 1
    due = status.next_schedule_time
    is_lost = bool(status.active_revision) and status.active_revision not in observed.stored.revisions
    if is_lost and not index.spec.suspend:
        lost = Happening(
            "IndexLost", f"{status.active_revision} is gone from the store. It is built again.", is_warning=True
        )
        return ragindex_builds.begin(observed, attempts + 1, now, happenings=(lost,))
    if due and times.read(due) <= now and not index.spec.suspend:
        return ragindex_builds.begin(observed, attempts + 1, now)
    if status.failed_revision:
        return ragindex_gates.held_still(observed, status.failed_revision, now)
    is_out_of_step = status.active_revision in observed.stored.revisions and (
        observed.stored.active_revision != status.active_revision
    )
    return IndexPlan(
        status=status,
        outlook=Outlook(reason="Active", is_promoted=True),
        activate=(status.active_revision or "") if is_out_of_step else "",
    )


def _retained(observed: Observed, status: RagIndexStatus) -> tuple[str, ...]:
    names = [r.name for r in status.revisions or ()]
    protected = {status.active_revision, status.candidate_revision, *observed.in_use} - {None}
    present = [name for name in protected if name in names]
    return retention.kept(names, protected=[str(n) for n in present], limit=observed.index.spec.revision_history_limit)


def _forgotten(observed: Observed, status: RagIndexStatus, kept: tuple[str, ...]) -> tuple[str, ...]:
    """Name stored revisions that are not kept; while a build runs, what is not on record yet may be its own."""
    if status.progress is not None:
        return ()
    safe = {*kept, status.active_revision, observed.stored.active_revision, *observed.in_use}
    return tuple(name for name in observed.stored.revisions if name not in safe)


def _outdated(observed: Observed, status: RagIndexStatus, kept: tuple[str, ...]) -> tuple[Child, ...]:
    index = observed.index
    gated = ragindex_gates.gated(index, status.candidate_revision) if status.candidate_revision else None
    unfinished = gates.outdated(observed.runs, ragindex_gates.declared(index), gated, index.metadata)
    forgotten = [
        run
        for run in observed.runs
        if run.metadata.labels.get(objects.LABEL_REVISION) not in {*kept, status.candidate_revision}
    ]
    names = {run.metadata.name for run in (*unfinished, *forgotten)}
    return tuple(Child(objects.EVAL_RUN, observed.run_objects[name]) for name in sorted(names))
