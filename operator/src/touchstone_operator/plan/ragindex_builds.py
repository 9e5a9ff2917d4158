"""Builds of a RagIndex: put on record, followed, tried again. Pure."""

from datetime import datetime, timedelta
from typing import Final

from touchstone_operator.api.ragindex import BuildProgress, IndexRevisionStatus
from touchstone_operator.objects import Happening
from touchstone_operator.plan import ragindex_conditions, schedule, times
from touchstone_operator.plan.ragindex_conditions import Outlook
from touchstone_operator.plan.ragindex_terms import IndexPlan, Observed, dispatch_id
from touchstone_operator.ports import BuildReport

POLL = timedelta(seconds=1)
RETRYABLE: Final = frozenset({"SourceUnreachable", "EmbedderUnavailable", "Cancelled", "PoisonTask"})
MAX_ATTEMPTS = 5
FIRST_BACKOFF = timedelta(seconds=30)
"""Doubled with each attempt."""


def begin(observed: Observed, attempt: int, now: datetime, *, happenings: tuple[Happening, ...] = ()) -> IndexPlan:
    """Put a build on record. What is on its way is let go."""
    index = observed.index
    is_under_way = index.status.progress is not None
    spec = index.spec
    due = schedule.next_time(spec.schedule, spec.time_zone, now) if spec.schedule else None
    status = index.status.model_copy(
        update={
            "dispatch_id": dispatch_id(index, attempt),
            "attempts": attempt,
            "progress": BuildProgress(stage="Pending"),
            "candidate_revision": None,
            "failed_revision": None,
            "next_schedule_time": times.write(due) if due else None,
        }
    )
    return IndexPlan(
        status=status,
        outlook=Outlook(reason="Building", message="The build is handed to the retrieval service.", is_building=True),
        cancel=(index.status.dispatch_id or "") if is_under_way else "",
        happenings=happenings,
        requeue_at=now,
    )


def follow(observed: Observed, report: BuildReport | None, now: datetime) -> IndexPlan:
    """Take over what the retrieval service reports of the build under way."""
    status = observed.index.status
    if report is None:
        return IndexPlan(status=status, outlook=Outlook(reason="Building", is_building=True), requeue_at=now + POLL)
    if report.state == "Succeeded" and report.revision is not None:
        return _built(observed, report.revision, now)
    if report.state in {"Failed", "Cancelled"}:
        reason = report.error_reason or "Cancelled"
        message = report.error_message or "The build was cancelled."
        return IndexPlan(
            status=status.model_copy(update={"progress": None}),
            outlook=Outlook(reason=reason, message=message, is_build_failed=True),
            happenings=(Happening("BuildFailed", f"{reason}: {message}", is_warning=True),),
            requeue_at=now,
        )
    progress = BuildProgress(
        stage=report.stage or report.state,
        documents_done=report.documents_done,
        documents_total=report.documents_total,
    )
    message = f"{progress.stage}: {progress.documents_done} of {progress.documents_total} documents."
    return IndexPlan(
        status=status.model_copy(update={"progress": progress}),
        outlook=Outlook(reason="Building", message=message, is_building=True),
        requeue_at=now + POLL,
    )


def retry(observed: Observed, now: datetime) -> IndexPlan:
    """Build again after a failure that may pass; leave one that will not to a person."""
    index = observed.index
    failure = ragindex_conditions.failed_build(index)
    attempts = index.status.attempts or 1
    if failure is None or failure.reason not in RETRYABLE or attempts >= MAX_ATTEMPTS or index.spec.suspend:
        outlook = Outlook(
            reason=failure.reason if failure else "BuildFailed",
            message=failure.message if failure else "",
            is_build_failed=True,
            is_stalled=True,
        )
        return IndexPlan(status=index.status, outlook=outlook)
    due = times.read(failure.last_transition_time) + FIRST_BACKOFF * (2**attempts - 1)
    if now < due:
        outlook = Outlook(reason=failure.reason, message=failure.message, is_build_failed=True)
        return IndexPlan(status=index.status, outlook=outlook, requeue_at=due)
    return begin(observed, attempts + 1, now)


def _built(observed: Observed, revision: IndexRevisionStatus, now: datetime) -> IndexPlan:
    status = observed.index.status
    old = next((r for r in status.revisions or () if r.name == revision.name), None)
    entry = revision.model_copy(update={"gates": old.gates}) if old else revision
    others = tuple(r for r in status.revisions or () if r.name != revision.name)
    is_active = revision.name == status.active_revision
    built = status.model_copy(
        update={
            "progress": None,
            "revisions": (entry, *others),
            "candidate_revision": None if is_active else revision.name,
            "last_indexed_time": revision.built_at if is_active else status.last_indexed_time,
        }
    )
    needs_activation = is_active and observed.stored.active_revision != revision.name
    counts = f"{revision.documents} documents, {revision.chunks} chunks, {revision.failed_documents} failed"
    return IndexPlan(
        status=built,
        outlook=Outlook(reason="Active" if is_active else "Built", is_promoted=is_active),
        activate=revision.name if needs_activation else "",
        happenings=(Happening("Built", f"Revision {revision.name}: {counts}."),),
        requeue_at=now,
    )
