"""The plan of an EvalRun: from what the evaluation service reports to status. Pure.

A failed verdict is a finished run: Succeeded, not Passed. A run that could not be measured is tried again up to its
backoff limit, and is never Passed. A service that does not answer loses nothing: the run waits.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from touchstone_operator.api.evalrun import EvalRun, EvalRunStatus, JudgeStatus
from touchstone_operator.objects import Happening
from touchstone_operator.plan import conditions, lifetimes, times, unanswered
from touchstone_operator.plan.conditions import Observation
from touchstone_operator.ports import RunReport, Subjects

TYPES = ("Succeeded", "Passed", "Suspended")
DEADLINE_GRACE = timedelta(seconds=60)
"""The service ends a run at its deadline itself; only one that does not is ended from here."""
FIRST_BACKOFF = timedelta(seconds=5)
"""Doubled with each attempt."""


class Command(StrEnum):
    """What to ask the evaluation service for once the status is written."""

    NONE = "None"
    CANCEL = "Cancel"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPlan:
    """Wanted status of a run, and what to ask for."""

    status: EvalRunStatus
    command: Command = Command.NONE
    happenings: tuple[Happening, ...] = ()
    is_active: bool = True
    """False once it is finished: the finalizer goes."""
    requeue_at: datetime | None = None


def dispatch_id(run: EvalRun, attempt: int) -> str:
    """Name an attempt: `UID-GENERATION-ATTEMPT`. The generation is the one of the first attempt: it names the run."""
    return f"{run.metadata.uid}-{run.metadata.generation}-{attempt}"


def suspended(run: EvalRun, now: datetime) -> RunPlan:
    """Plan a run that is kept from starting."""
    observed = unanswered.suspended("Passed", "spec.suspend keeps the run from starting.")
    return RunPlan(status=_status(run, run.status, observed, now), is_active=False)


def stalled(run: EvalRun, message: str, now: datetime) -> RunPlan:
    """Plan a run that asks for what this version cannot do."""
    observed = unanswered.stalled("Passed", "NotSupportedYet", message)
    return RunPlan(status=_status(run, run.status, observed, now), is_active=False)


def waiting(run: EvalRun, reason: str, message: str, now: datetime, *, poll: timedelta) -> RunPlan:
    """Plan a run that cannot go on yet: its subject does not exist, or the service does not answer."""
    observed = unanswered.active("Passed", reason, message)
    return RunPlan(status=_status(run, run.status, observed, now), requeue_at=now + poll)


def dispatched(run: EvalRun, found: Subjects, now: datetime) -> RunPlan:
    """Plan the first attempt: it is on record before it is started."""
    status = run.status.model_copy(
        update={
            "dispatch_id": dispatch_id(run, 1),
            "attempts": 1,
            **_measured(found),
        }
    )
    observed = unanswered.active("Passed", "Starting", "The run is handed to the evaluation service.")
    return RunPlan(status=_status(run, status, observed, now), requeue_at=now)


def reused(run: EvalRun, earlier: EvalRun, found: Subjects, now: datetime) -> RunPlan:
    """Plan a run for which an earlier verdict on identical digests stands in."""
    copied = {
        name: getattr(earlier.status, name)
        for name in ("verdict", "message", "score", "criteria", "artifacts", "suite_digest")
    }
    status = run.status.model_copy(
        update={
            **copied,
            **_measured(found),
            "completion_time": earlier.status.completion_time,
            "reused_from": earlier.metadata.name,
        }
    )
    happening = Happening("VerdictReused", f"The verdict of {earlier.metadata.name} stands in: equal digests.")
    return _finished(run, status, "Completed", f"Reused from {earlier.metadata.name}.", now, happening)


def refused(run: EvalRun, complaint: str, now: datetime) -> RunPlan:
    """Plan a run that the service refuses to start: it could not be measured."""
    status = run.status.model_copy(
        update={"verdict": "Error", "message": complaint, "completion_time": times.write(now)}
    )
    happening = Happening("Refused", complaint, is_warning=True)
    return _finished(run, status, "Refused", complaint, now, happening)


def reported(run: EvalRun, report: RunReport, now: datetime, *, poll: timedelta) -> RunPlan:
    """Plan a run by what the service reports."""
    results = EvalRunStatus.model_validate(report.results)
    status = run.status.model_copy(update={name: getattr(results, name) for name in results.model_fields_set})
    if report.state == "Cancelled":
        status = status.model_copy(update={"message": "The run was cancelled."})
        happening = Happening("Cancelled", "The run was cancelled.", is_warning=True)
        return _finished(run, status, "Cancelled", "The run was cancelled.", now, happening)
    if report.state == "Completed":
        return _completed(run, status, report.verdict, now)
    if _is_overdue(run, status, now):
        message = f"The run did not end within {run.spec.active_deadline_seconds} seconds."
        status = status.model_copy(update={"verdict": "Error", "message": message, "completion_time": times.write(now)})
        happening = Happening("DeadlineExceeded", message, is_warning=True)
        plan = _finished(run, status, "DeadlineExceeded", message, now, happening)
        return replace(plan, command=Command.CANCEL)
    reason = "Running" if report.state == "Running" else "Queued"
    observed = unanswered.active("Passed", reason, _progress(status))
    return RunPlan(status=_status(run, status, observed, now), requeue_at=now + poll)


def expires_at(run: EvalRun) -> datetime | None:
    """Say when a finished run is removed; None when it stays."""
    ttl_seconds = run.spec.ttl_seconds_after_finished
    return lifetimes.expires_at(run.metadata, completed=run.status.completion_time, ttl_seconds=ttl_seconds)


def _measured(found: Subjects) -> dict[str, object]:
    """Say in the status which revisions take part."""
    baseline = found.baseline
    judges = tuple(JudgeStatus(name=name, revision=one.name, digest=one.digest) for name, one in found.judges.items())
    return {
        "subject_revision": found.subject.name,
        "subject_digest": found.subject.digest,
        "baseline_revision": baseline.name if baseline else None,
        "baseline_digest": baseline.digest if baseline else None,
        "subject_price": found.subject.price,
        "baseline_price": baseline.price if baseline else None,
        "judges": judges or None,
    }


def _completed(run: EvalRun, status: EvalRunStatus, verdict: str, now: datetime) -> RunPlan:
    attempts = run.status.attempts or 1
    if verdict == "Error" and attempts <= run.spec.backoff_limit:
        ended = times.read(status.completion_time) if status.completion_time else None
        due = ended + FIRST_BACKOFF * 2 ** (attempts - 1) if ended else now
        if now < due:
            message = f"Attempt {attempts} could not be measured: {status.message or 'no reason was given.'}"
            observed = unanswered.active("Passed", "Retrying", message)
            return RunPlan(status=_status(run, run.status, observed, now), requeue_at=due)
        retried = run.status.model_copy(
            update={"dispatch_id": dispatch_id(run, attempts + 1), "attempts": attempts + 1, "progress": None}
        )
        happening = Happening("Retried", f"Attempt {attempts} could not be measured: {status.message}", is_warning=True)
        message = f"Attempt {attempts + 1} is handed to the evaluation service."
        observed = unanswered.active("Passed", "Starting", message)
        return RunPlan(status=_status(run, retried, observed, now), happenings=(happening,), requeue_at=now)
    finished = status.model_copy(
        update={"verdict": verdict, "completion_time": status.completion_time or times.write(now)}
    )
    happening = Happening(f"Verdict{verdict}", status.message or f"The verdict is {verdict}.", verdict == "Error")
    reason = "MeasurementFailed" if verdict == "Error" else "Completed"
    return _finished(run, finished, reason, status.message or "", now, happening)


def _finished(
    run: EvalRun, status: EvalRunStatus, reason: str, message: str, now: datetime, happening: Happening
) -> RunPlan:
    make = conditions.holds if reason == "Completed" else conditions.fails
    observed = (
        make("Succeeded", reason, message),
        _passed(status.verdict),
        conditions.fails("Suspended", "NotSuspended"),
    )
    return RunPlan(status=_status(run, status, observed, now), happenings=(happening,), is_active=False)


def _passed(verdict: str | None) -> Observation:
    match verdict:
        case "Passed":
            return conditions.holds("Passed", "Passed")
        case "Failed":
            return conditions.fails("Passed", "Failed")
        case _:
            return conditions.unknown("Passed", verdict or "NoVerdict")


def _progress(status: EvalRunStatus) -> str:
    progress = status.progress
    return f"{progress.items_done} of {progress.items_total} items are done." if progress else "Waits for a worker."


def _is_overdue(run: EvalRun, status: EvalRunStatus, now: datetime) -> bool:
    if status.start_time is None:
        return False
    return now > times.read(status.start_time) + timedelta(seconds=run.spec.active_deadline_seconds) + DEADLINE_GRACE


def _status(run: EvalRun, status: EvalRunStatus, observed: tuple[Observation, ...], now: datetime) -> EvalRunStatus:
    generation = run.metadata.generation
    merged = conditions.merge(run.status.conditions, observed, generation=generation, now=now)
    return status.model_copy(update={"observed_generation": generation, "conditions": merged})
