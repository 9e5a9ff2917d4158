"""What a ModelSelection comes to, step by step: requirements, EvalRuns, the choice. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from touchstone_operator import objects
from touchstone_operator.api.evalrun import EvalRun
from touchstone_operator.api.modelselection import (
    CandidateStatus,
    ModelSelection,
    ModelSelectionStatus,
    Requirement,
    SelectionCandidate,
)
from touchstone_operator.objects import Happening, JsonObject
from touchstone_operator.plan import conditions, reuse, times, unanswered
from touchstone_operator.plan.conditions import Observation
from touchstone_operator.ports import SelectionReport, SelectionRequest

TYPES = ("Succeeded", "Chosen", "Suspended")


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectionPlan:
    """Wanted status of a selection."""

    status: ModelSelectionStatus
    happenings: tuple[Happening, ...] = ()
    requeue_at: datetime | None = None
    """None: it is finished, or its EvalRuns wake it."""


def excluded(selection: ModelSelection) -> dict[str, str]:
    """Say why candidates are not measured, by name."""
    found = {}
    for candidate in selection.spec.candidates:
        unmet = [why for one in selection.spec.requirements or () if (why := _unmet(candidate, one))]
        if unmet:
            found[candidate.name] = " ".join(unmet)
    return found


def run_name(selection: ModelSelection, candidate: str) -> str:
    """Name the EvalRun that measures a candidate."""
    return f"{selection.metadata.name}-{candidate}"


def runs(selection: ModelSelection) -> dict[str, JsonObject]:
    """Write the EvalRuns of the candidates that meet the requirements, by the candidates' names.

    Each measures for itself: answers that were paid for are known by the evaluation service and cost nothing again.
    """
    out = excluded(selection)
    body = selection.spec.eval_run_template.spec.dump()
    return {
        candidate.name: {
            "apiVersion": objects.EVAL_RUN.api_version,
            "kind": objects.EVAL_RUN.name,
            "metadata": objects.child_metadata(
                objects.MODEL_SELECTION, selection.metadata, run_name(selection, candidate.name)
            ),
            "spec": {
                **body,
                "subject": {
                    "type": "ModelDeployment",
                    "modelDeploymentRef": candidate.model_deployment_ref.dump(),
                },
                "reuse": {"allow": False},
            },
        }
        for candidate in selection.spec.candidates
        if candidate.name not in out
    }


def request(selection: ModelSelection, found: Mapping[str, EvalRun]) -> SelectionRequest:
    """Ask for the choice, once every run is finished; one that measured nothing is out.

    Args:
        selection: The selection.
        found: The EvalRuns by the candidates' names.
    """
    unmeasured = {
        name: f"its EvalRun {run.metadata.name} measured nothing: {run.status.message or 'it gave no reason.'}"
        for name, run in found.items()
        if not conditions.is_true(run.status.conditions, conditions.SUCCEEDED)
    }
    return SelectionRequest(
        selection_id=f"selection-{selection.metadata.uid}",
        candidates={name: run.status.dispatch_id or "" for name, run in found.items() if name not in unmeasured},
        objectives=selection.spec.objectives,
        excluded=excluded(selection) | unmeasured,
    )


def suspended(selection: ModelSelection, now: datetime) -> SelectionPlan:
    """Plan a selection that is kept from starting."""
    observed = unanswered.suspended("Chosen", "spec.suspend keeps the selection from starting.")
    return SelectionPlan(status=_status(selection, selection.status, observed, now))


def stalled(selection: ModelSelection, message: str, now: datetime) -> SelectionPlan:
    """Plan a selection that asks for what this version cannot do."""
    observed = unanswered.stalled("Chosen", "NotSupportedYet", message)
    return SelectionPlan(status=_status(selection, selection.status, observed, now))


def blocked(selection: ModelSelection, name: str, now: datetime) -> SelectionPlan:
    """Plan a selection one of whose EvalRuns is somebody else's."""
    message = f"EvalRun {name} exists and is not of this selection. Remove it, or name the selection otherwise."
    observed = unanswered.stalled("Chosen", "NameTaken", message)
    return SelectionPlan(
        status=_status(selection, selection.status, observed, now), requeue_at=now + timedelta(seconds=30)
    )


def measuring(selection: ModelSelection, found: Mapping[str, EvalRun], now: datetime) -> SelectionPlan:
    """Plan a selection whose candidates are being measured."""
    done = [name for name, run in found.items() if reuse.is_finished(run)]
    message = f"{len(done)} of {len(found)} candidates are measured."
    status = selection.status.model_copy(update={"candidates": _candidates(selection, found)})
    return SelectionPlan(status=_status(selection, status, unanswered.active("Chosen", "Measuring", message), now))


def waiting(selection: ModelSelection, reason: str, message: str, now: datetime, *, poll: timedelta) -> SelectionPlan:
    """Plan a selection that waits for the evaluation service."""
    return SelectionPlan(
        status=_status(selection, selection.status, unanswered.active("Chosen", reason, message), now),
        requeue_at=now + poll,
    )


def decided(
    selection: ModelSelection, found: Mapping[str, EvalRun], report: SelectionReport, now: datetime
) -> SelectionPlan:
    """Plan a selection that the evaluation service has carried out."""
    results = ModelSelectionStatus.model_validate(report.results)
    names = {name: run.metadata.name for name, run in found.items()}
    candidates = tuple(one.model_copy(update={"eval_run": names.get(one.name)}) for one in results.candidates or ())
    chosen = next((one for one in candidates if one.name == results.chosen), None)
    status = selection.status.model_copy(
        update={
            "chosen": results.chosen,
            "chosen_revision": chosen.revision if chosen else None,
            "message": results.message,
            "candidates": candidates,
            "artifacts": results.artifacts,
            "completion_time": times.write(now),
        }
    )
    message = results.message or ""
    choice = (
        conditions.holds("Chosen", "Chosen", message) if chosen else conditions.fails("Chosen", "NobodyLeft", message)
    )
    observed = (
        conditions.holds("Succeeded", "Completed", message),
        choice,
        conditions.fails("Suspended", "NotSuspended"),
    )
    happening = Happening("Chosen" if chosen else "NobodyLeft", message, is_warning=chosen is None)
    return SelectionPlan(status=_status(selection, status, observed, now), happenings=(happening,))


def failed(selection: ModelSelection, message: str, now: datetime) -> SelectionPlan:
    """Plan a selection that could not be carried out."""
    status = selection.status.model_copy(update={"message": message, "completion_time": times.write(now)})
    observed = (
        conditions.fails("Succeeded", "SelectionFailed", message),
        conditions.unknown("Chosen", "SelectionFailed"),
        conditions.fails("Suspended", "NotSuspended"),
    )
    happening = Happening("SelectionFailed", message, is_warning=True)
    return SelectionPlan(status=_status(selection, status, observed, now), happenings=(happening,))


def is_finished(selection: ModelSelection) -> bool:
    """Tell whether a selection has come to an end."""
    succeeded = conditions.find(selection.status.conditions, conditions.SUCCEEDED)
    return succeeded is not None and succeeded.status != "Unknown"


def _unmet(candidate: SelectionCandidate, requirement: Requirement) -> str:
    """Say why a candidate does not meet a requirement; empty: it does."""
    name = requirement.attribute
    value = (candidate.attributes or {}).get(name)
    if value is None:
        return f"{name} is required, and nothing is said of it."
    if requirement.one_of is not None:
        return (
            ""
            if value in requirement.one_of
            else f"{name} is {value}, and {' or '.join(requirement.one_of)} is required."
        )
    try:
        number = float(value)
    except ValueError:
        return f"{name} is {value}, and a number is required."
    if requirement.at_least is not None and number < float(requirement.at_least):
        return f"{name} is {value}, and at least {requirement.at_least} is required."
    if requirement.at_most is not None and number > float(requirement.at_most):
        return f"{name} is {value}, and at most {requirement.at_most} is required."
    return ""


def _candidates(selection: ModelSelection, found: Mapping[str, EvalRun]) -> tuple[CandidateStatus, ...]:
    out = excluded(selection)
    return tuple(
        CandidateStatus(name=candidate.name, message=out[candidate.name])
        if candidate.name in out
        else CandidateStatus(
            name=candidate.name,
            eval_run=run_name(selection, candidate.name),
            revision=found[candidate.name].status.subject_revision if candidate.name in found else None,
        )
        for candidate in selection.spec.candidates
    )


def _status(
    selection: ModelSelection, status: ModelSelectionStatus, observed: Sequence[Observation], now: datetime
) -> ModelSelectionStatus:
    generation = selection.metadata.generation
    merged = conditions.merge(selection.status.conditions, observed, generation=generation, now=now)
    return status.model_copy(update={"observed_generation": generation, "conditions": merged})
