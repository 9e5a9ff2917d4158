"""The conditions of a RagIndex. Pure.

A scheduled build at an unchanged generation is no reconciliation: what the spec asks for is active already.
"""

from dataclasses import dataclass

from touchstone_operator.api.common import Condition
from touchstone_operator.api.ragindex import RagIndex, RagIndexStatus
from touchstone_operator.plan import conditions
from touchstone_operator.plan.conditions import Observation
from touchstone_operator.ports import StoredIndex

TYPES = ("Ready", "StoreReachable", "Indexed", "Fresh", "Promoted")
PARTIAL_FAILURE = "PartialFailure"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """What one look came to, for the conditions."""

    reason: str
    message: str = ""
    is_promoted: bool | None = None
    """True: what the spec asks for is active; None: as it was."""
    is_building: bool = False
    is_build_failed: bool = False
    is_stalled: bool = False


def failed_build(index: RagIndex) -> Condition | None:
    """Find the condition that says that the last build failed; None when it did not."""
    indexed = conditions.find(index.status.conditions, "Indexed")
    return indexed if indexed and indexed.status == "False" and indexed.reason != PARTIAL_FAILURE else None


def unreachable(message: str) -> tuple[Observation, ...]:
    """Observe that the retrieval service does not answer; everything else stays as it was."""
    return (
        conditions.fails("StoreReachable", "RetrievalUnavailable", message),
        conditions.holds(conditions.RECONCILING, "RetrievalUnavailable", message),
    )


def observe(index: RagIndex, status: RagIndexStatus, outlook: Outlook, stored: StoredIndex) -> tuple[Observation, ...]:
    """Observe all conditions."""
    promoted = _promoted(index, outlook)
    return (
        _ready(status, stored),
        conditions.holds("StoreReachable", "Reachable"),
        _indexed(index, status, outlook),
        _fresh(status, outlook),
        promoted,
        *_kstatus(outlook, promoted),
    )


def _ready(status: RagIndexStatus, stored: StoredIndex) -> Observation:
    active = status.active_revision
    if not active:
        return conditions.fails("Ready", "NoActiveRevision", "No revision has become active yet.")
    if active not in stored.revisions:
        return conditions.fails("Ready", "IndexLost", f"The store does not hold {active}.")
    return conditions.holds("Ready", "Active", f"Searches see {active}.")


def _indexed(index: RagIndex, status: RagIndexStatus, outlook: Outlook) -> Observation:
    if outlook.is_build_failed:
        return conditions.fails("Indexed", outlook.reason, outlook.message)
    newest = next(iter(status.revisions or ()), None)
    if newest is None or failed_build(index):
        return conditions.unknown("Indexed", "Building" if outlook.is_building else outlook.reason, outlook.message)
    if newest.failed_documents:
        total = newest.documents + newest.failed_documents
        return conditions.fails("Indexed", PARTIAL_FAILURE, f"{newest.failed_documents} of {total} documents failed.")
    return conditions.holds("Indexed", "Indexed", f"{newest.documents} documents, {newest.chunks} chunks.")


def _fresh(status: RagIndexStatus, outlook: Outlook) -> Observation:
    if not status.active_revision:
        return conditions.unknown("Fresh", "NoActiveRevision")
    if outlook.is_build_failed:
        return conditions.fails("Fresh", "BuildFailed", outlook.message)
    if status.failed_revision:
        return conditions.fails("Fresh", outlook.reason, f"{status.failed_revision} did not become active.")
    if outlook.is_building or status.candidate_revision:
        return conditions.unknown("Fresh", "Building", "A newer revision is on its way.")
    return conditions.holds("Fresh", "UpToDate", f"Built {status.last_indexed_time}.")


def _promoted(index: RagIndex, outlook: Outlook) -> Observation:
    if outlook.is_promoted:
        return conditions.holds("Promoted", "Promoted")
    known = conditions.find(index.status.conditions, "Promoted")
    is_realised = (
        known is not None and known.status == "True" and known.observed_generation == index.metadata.generation
    )
    if is_realised and not outlook.is_stalled:
        return conditions.holds("Promoted", "Promoted")
    return conditions.fails("Promoted", outlook.reason, outlook.message)


def _kstatus(outlook: Outlook, promoted: Observation) -> tuple[Observation, ...]:
    if outlook.is_stalled:
        return (conditions.holds(conditions.STALLED, outlook.reason, outlook.message),)
    if promoted.status == "True" or outlook.reason == "Suspended":
        return ()
    return (conditions.holds(conditions.RECONCILING, outlook.reason, outlook.message),)
