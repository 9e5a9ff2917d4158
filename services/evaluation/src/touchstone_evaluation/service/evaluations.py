"""What callers ask of evaluation: start, look, cancel."""

from collections.abc import Mapping
from datetime import datetime

from touchstone_evaluation import errors
from touchstone_evaluation.core import validation
from touchstone_evaluation.core.runs import Run
from touchstone_evaluation.core.spec import RunSpec
from touchstone_evaluation.core.task import Task
from touchstone_evaluation.ports import Runs
from touchstone_evaluation.service.course import Course


class Evaluations:
    """Runs, from the callers' side. Blocking."""

    def __init__(self, runs: Runs, course: Course, tasks: Mapping[str, Task]) -> None:
        self._runs = runs
        self._course = course
        self._tasks = tasks

    def start(self, dispatch_id: str, spec: RunSpec) -> Run:
        """Record a run and send its first job; the same dispatch id returns the same run.

        Raises:
            SpecInvalid: The specification has faults; nothing was recorded.
            DispatchIdTaken: The dispatch id belongs to a different run.
        """
        faults = validation.faults(dispatch_id, spec, self._tasks)
        if faults:
            raise errors.SpecInvalid(faults)
        run = self._runs.create(dispatch_id, spec)
        if not run.state.is_final:
            self._course.begin(dispatch_id)
        return run

    def get(self, dispatch_id: str) -> Run:
        """Return a run. Raises RunNotFound."""
        return self._runs.get(dispatch_id)

    def cancel(self, dispatch_id: str) -> Run:
        """Cancel a run; one that has ended stays as it is. Raises RunNotFound."""
        return self._runs.cancel(dispatch_id)

    def tasks(self) -> list[Task]:
        """List the tasks that are installed, by name."""
        return [self._tasks[name] for name in sorted(self._tasks)]

    def forget(self, before: datetime) -> None:
        """Delete what only made a verdict: items, scores and predictions from before a time. Verdicts stay."""
        self._runs.forget(before)

    def repair_all(self) -> None:
        """See that each run that has not ended goes on."""
        for dispatch_id in self._runs.unfinished():
            self._course.repair(dispatch_id)
