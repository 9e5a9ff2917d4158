"""Gates of a RagIndex: a built revision becomes active, is held, or waits. Pure."""

from datetime import datetime

from touchstone_runtime.revisions import Digest

from touchstone_operator import objects
from touchstone_operator.api.evaluations import Gate
from touchstone_operator.api.ragindex import RagIndex, RagIndexStatus, Update
from touchstone_operator.objects import Happening
from touchstone_operator.plan import conditions, gates
from touchstone_operator.plan.actions import Child
from touchstone_operator.plan.gates import Gated, Judgement
from touchstone_operator.plan.ragindex_conditions import Outlook
from touchstone_operator.plan.ragindex_terms import IndexPlan, Observed
from touchstone_operator.ports import Measured


def gate(observed: Observed, candidate: str, now: datetime) -> IndexPlan:
    """Judge a candidate: activate it, hold it, or wait for its gates."""
    index, annotations = observed.index, observed.index.metadata.annotations
    judgements = _judge(observed, candidate, now)
    status = _with_results(index.status, candidate, judgements)
    if annotations.get(objects.ANNOTATION_PROMOTE) == candidate:
        return _activated(status, candidate, "was promoted by annotation, not by its gates", now)
    if annotations.get(objects.ANNOTATION_ABORT) == candidate:
        return _held(status, candidate, "Aborted", f"Revision {candidate} was aborted by annotation.")
    shrunk = _shrunk(index, candidate)
    if shrunk:
        return _held(status, candidate, "SourceShrunk", shrunk)
    verdicts = {one.name: _effective(one, judgements[one.name]) for one in declared(index)}
    for reason, verdict in (("EvalGateFailed", "Failed"), ("EvalGateError", "Error")):
        names = [name for name, found in verdicts.items() if found == verdict]
        if names:
            said = "; ".join(f"gate {name}: {judgements[name].result.message or verdict}" for name in names)
            return _held(status, candidate, reason, f"Revision {candidate} does not become active: {said}")
    if all(verdict == "Passed" for verdict in verdicts.values()):
        return _activated(status, candidate, "passed its gates and is active", now)
    undecided = [name for name, verdict in verdicts.items() if verdict == "Inconclusive"]
    message = f"Revision {candidate} waits for gate {', '.join(n for n, v in verdicts.items() if v != 'Passed')}."
    return IndexPlan(
        status=status,
        outlook=Outlook(
            reason="Paused" if undecided else "Gating", message=message, is_promoted=False, is_stalled=bool(undecided)
        ),
        create=tuple(Child(objects.EVAL_RUN, j.run) for j in judgements.values() if j.run is not None),
    )


def held_still(observed: Observed, failed: str, now: datetime) -> IndexPlan:
    """Keep a held revision held, unless a person asks to measure it again or promotes it."""
    index = observed.index
    promoted = conditions.find(index.status.conditions, conditions.PROMOTED)
    reason = promoted.reason if promoted else "EvalGateFailed"
    asks_again = reason == "EvalGateError" and any(j.run for j in _judge(observed, failed, now).values())
    is_overridden = index.metadata.annotations.get(objects.ANNOTATION_PROMOTE) == failed
    if asks_again or is_overridden:
        again = index.status.model_copy(update={"candidate_revision": failed, "failed_revision": None})
        return IndexPlan(status=again, outlook=Outlook(reason="Gating", is_promoted=False), requeue_at=now)
    outlook = Outlook(reason=reason, message=promoted.message if promoted else "", is_promoted=False, is_stalled=True)
    return IndexPlan(status=index.status, outlook=outlook)


def gated(index: RagIndex, candidate: str) -> Gated | None:
    """Say what is to be judged; None when the candidate is not on record."""
    digests = {r.name: Digest(r.digest) for r in index.status.revisions or ()}
    active = index.status.active_revision
    if candidate not in digests:
        return None
    return Gated(
        kind=objects.RAG_INDEX,
        owner=index.metadata,
        subject=Measured(name=candidate, digest=digests[candidate]),
        baseline=Measured(name=active, digest=digests[active]) if active and active in digests else None,
        rollout=index.status.dispatch_id or "",
    )


def declared(index: RagIndex) -> tuple[Gate, ...]:
    """Take the gates that the spec declares."""
    return (index.spec.promotion.gates if index.spec.promotion else None) or ()


def _judge(observed: Observed, candidate: str, now: datetime) -> dict[str, Judgement]:
    subject = gated(observed.index, candidate)
    if subject is None:
        return {}
    return {one.name: gates.judge(one, subject, observed.runs, now) for one in declared(observed.index)}


def _effective(declared_gate: Gate, judgement: Judgement) -> str:
    if judgement.result.verdict != "Inconclusive":
        return judgement.result.verdict
    return {"Fail": "Failed", "Pass": "Passed"}.get(declared_gate.on_inconclusive, "Inconclusive")


def _with_results(status: RagIndexStatus, candidate: str, judgements: dict[str, Judgement]) -> RagIndexStatus:
    results = tuple(judgement.result for judgement in judgements.values()) or None
    revisions = tuple(
        r.model_copy(update={"gates": results}) if r.name == candidate else r for r in status.revisions or ()
    )
    return status.model_copy(update={"revisions": revisions})


def _activated(status: RagIndexStatus, candidate: str, how: str, now: datetime) -> IndexPlan:
    built_at = next((r.built_at for r in status.revisions or () if r.name == candidate), None)
    active = status.model_copy(
        update={"active_revision": candidate, "candidate_revision": None, "last_indexed_time": built_at}
    )
    return IndexPlan(
        status=active,
        outlook=Outlook(reason="Active", is_promoted=True),
        activate=candidate,
        happenings=(Happening("Activated", f"Revision {candidate} {how}."),),
        requeue_at=now,
    )


def _held(status: RagIndexStatus, candidate: str, reason: str, message: str) -> IndexPlan:
    held = status.model_copy(update={"candidate_revision": None, "failed_revision": candidate})
    return IndexPlan(
        status=held,
        outlook=Outlook(reason=reason, message=message, is_promoted=False, is_stalled=True),
        happenings=(Happening(reason, message, is_warning=True),),
    )


def _shrunk(index: RagIndex, candidate: str) -> str:
    """Say why a candidate has lost too many documents: an empty source must not wipe an index."""
    documents = {r.name: r.documents for r in index.status.revisions or ()}
    before, after = documents.get(index.status.active_revision or "", 0), documents.get(candidate, 0)
    ratio = (index.spec.update or Update()).max_delete_ratio
    if before and (before - after) / before > float(ratio):
        return (
            f"Revision {candidate} has {after} documents, the active one {before}: more than {ratio} are gone. "
            "Raise update.maxDeleteRatio if that is meant."
        )
    return ""
