"""The words of a RagIndex's plan: what is observed, what is asked for. Pure."""

from dataclasses import dataclass, field
from datetime import datetime

from touchstone_operator.api.evalrun import EvalRun
from touchstone_operator.api.ragindex import RagIndex, RagIndexStatus
from touchstone_operator.objects import Happening, JsonObject
from touchstone_operator.plan.actions import Child
from touchstone_operator.plan.ragindex_conditions import Outlook
from touchstone_operator.ports import BuildReport, StoredIndex


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """A RagIndex with what belongs to it."""

    index: RagIndex
    stored: StoredIndex
    report: BuildReport | None = None
    """The build under way; None when there is none."""
    runs: tuple[EvalRun, ...] = ()
    run_objects: dict[str, JsonObject] = field(default_factory=dict)
    in_use: frozenset[str] = frozenset()
    """Index revisions that ModelDeployments serve from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexPlan:
    """Wanted status, and what to ask of the cluster and the retrieval service."""

    status: RagIndexStatus
    outlook: Outlook
    create: tuple[Child, ...] = ()
    delete: tuple[Child, ...] = ()
    activate: str = ""
    """Revision to activate before the status is written."""
    forget: tuple[str, ...] = ()
    """Revisions to remove from the store once the status is written."""
    cancel: str = ""
    """Dispatch id of a build that is not wanted any more."""
    happenings: tuple[Happening, ...] = ()
    requeue_at: datetime | None = None


def dispatch_id(index: RagIndex, attempt: int) -> str:
    """Name a build: `UID-GENERATION-ATTEMPT`."""
    return f"{index.metadata.uid}-{index.metadata.generation}-{attempt}"


def is_of_this_generation(index: RagIndex) -> bool:
    """Tell whether the build on record is of the spec as it is now."""
    return (index.status.dispatch_id or "").startswith(f"{index.metadata.uid}-{index.metadata.generation}-")
