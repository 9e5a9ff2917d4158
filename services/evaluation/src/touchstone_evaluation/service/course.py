"""The course of a run: which job comes next. Each step may be repeated: jobs are named by what they do.

A run is a plan, then shards, then a conclusion. Whoever ends a step calls `advance`; the server calls `repair` from
time to time, for steps whose worker died between two of its writes.
"""

import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from touchstone_runtime.jobs import Job, JobNotFound, JobState, JobStore

from touchstone_evaluation.core import planning
from touchstone_evaluation.core.planning import Shard
from touchstone_evaluation.core.results import Conclusion
from touchstone_evaluation.core.runs import Run, reason_to_stop
from touchstone_evaluation.core.scores import Score
from touchstone_evaluation.core.spec import Verdict
from touchstone_evaluation.ports import JobKind, Runs, Sender

CLOSING_GRACE = timedelta(seconds=60)
"""After its deadline a run has this long to write its report; then it is closed without one."""

logger = logging.getLogger(__name__)


class Course:
    """Moves runs forward."""

    def __init__(self, runs: Runs, jobs: JobStore, sender: Sender, *, now: Callable[[], datetime]) -> None:
        self._runs = runs
        self._jobs = jobs
        self._sender = sender
        self._now = now

    def begin(self, dispatch_id: str) -> None:
        """Send the planning of a run that is recorded."""
        self._send(JobKind.PLAN, dispatch_id)

    def advance(self, dispatch_id: str) -> None:
        """Send what comes next: more shards, or the conclusion."""
        run = self._runs.get(dispatch_id)
        if run.state.is_final:
            return
        if run.stopped or run.settled or self._runs.is_worked_off(dispatch_id):
            self._send(JobKind.CONCLUDE, dispatch_id)
            return

        def choose(waiting: Sequence[Shard], at_work: Sequence[Shard]) -> Sequence[Shard]:
            return planning.startable(waiting, at_work, run.spec.execution.parallelism)

        for shard in self._runs.start_shards(dispatch_id, choose):
            self._send(JobKind.SHARD, dispatch_id, shard.number)

    def repair(self, dispatch_id: str) -> None:
        """See that a run goes on: what was lost is made again, what was given up is accounted for."""
        run = self._runs.get(dispatch_id)
        if run.state.is_final:
            return
        if self._now() > run.deadline + CLOSING_GRACE:
            self._close(run, f"The run did not end within deadlineSeconds, {run.spec.execution.deadline_seconds} s.")
            return
        for kind in (JobKind.PLAN, JobKind.CONCLUDE):
            if (job := self._find(kind, dispatch_id)) and job.state is JobState.FAILED:
                self._close(run, _why(job))
                return
        if why := reason_to_stop(run, self._now()):
            self._runs.stop(dispatch_id, why.why, is_budget=why.is_budget)
        if not run.suites:
            self._ensure(JobKind.PLAN, dispatch_id)
            if not why:
                return
        for shard in self._runs.at_work(dispatch_id):
            job = self._ensure(JobKind.SHARD, dispatch_id, shard.number)
            if job.state.is_final:
                self._account(run, shard, job)
        self.advance(dispatch_id)

    def _account(self, run: Run, shard: Shard, job: Job) -> None:
        """End a shard whose job has ended; of a job that failed, what it did not score has failed."""
        suite = next(suite for suite in run.spec.suites if suite.name == shard.suite)
        if job.state is JobState.FAILED:
            scored = self._runs.scored(run.dispatch_id, shard.suite, shard.items)
            askings = planning.askings(shard, suite, run.spec.sides)
            lost = [Score(asking=asking, values={}, error=_why(job)) for asking in askings if asking not in scored]
            self._runs.record(run.dispatch_id, lost)
        self._runs.end_shard(run.dispatch_id, shard.number)

    def _close(self, run: Run, why: str) -> None:
        logger.warning("run closed without a report", extra={"dispatch_id": run.dispatch_id, "why": why})
        self._runs.finish(run.dispatch_id, Conclusion(verdict=Verdict.ERROR, message=why), ())

    def _find(self, kind: JobKind, dispatch_id: str) -> Job | None:
        try:
            return self._jobs.get(job_id(kind, dispatch_id))
        except JobNotFound:
            return None

    def _ensure(self, kind: JobKind, dispatch_id: str, number: int = 0) -> Job:
        payload = {"dispatch_id": dispatch_id, "number": number}
        return self._jobs.create(job_id(kind, dispatch_id, number), kind, payload)

    def _send(self, kind: JobKind, dispatch_id: str, number: int = 0) -> None:
        self._sender.send(self._ensure(kind, dispatch_id, number))


def job_id(kind: JobKind, dispatch_id: str, number: int = 0) -> str:
    """Name a job after what it does, so that it is there once."""
    return f"{dispatch_id}/{kind.removeprefix('evaluation.')}" + (f"/{number}" if kind is JobKind.SHARD else "")


def _why(job: Job) -> str:
    return (job.error or {}).get("message", "The work ended without a reason.")
