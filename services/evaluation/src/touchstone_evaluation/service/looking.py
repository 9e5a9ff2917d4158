"""Looking at a run while it is under way: what its scores are, and whether its verdict is certain already."""

import math
from collections.abc import Mapping, Sequence

from touchstone_evaluation.core import concluding, costs
from touchstone_evaluation.core.measuring import Measured
from touchstone_evaluation.core.runs import Run
from touchstone_evaluation.core.scores import Score
from touchstone_evaluation.core.task import Metric, Task
from touchstone_evaluation.ports import Runs

FIRST_LOOK = 16
"""Askings before the first look."""
GROWTH = 1.15
"""Each look is at this many times the askings of the one before. The intervals allow any: it only bounds the work."""


class Looking:
    """Looks at runs. Blocking."""

    def __init__(self, runs: Runs, tasks: Mapping[str, Task]) -> None:
        self._runs = runs
        self._tasks = tasks

    def metrics(self, run: Run) -> dict[str, dict[str, Metric]]:
        """The metrics of a run's suites, by suite and name."""
        return {
            suite.name: costs.metrics(self._tasks[suite.task], suite.parameters, run.spec.subject)
            for suite in run.spec.suites
        }

    def measured(self, run: Run, scores: Sequence[Score]) -> dict[str, Measured]:
        """The scores of each suite that is planned, and how they are to be read."""
        execution = run.spec.execution
        found = {}
        for suite in run.spec.suites:
            if suite.name not in run.suites:
                continue
            is_paired = self._tasks[suite.task].load(suite.parameters) is None
            fields = (suite.cluster_by, *suite.slices)
            items = self._runs.suite_items(run.dispatch_id, suite.name) if any(fields) else ()
            labels = {
                field: {item.digest: str(item.metadata[field]) for item in items if field in item.metadata}
                for field in filter(None, fields)
            }
            is_ordered = execution.stop_early and is_paired
            found[suite.name] = Measured(
                scores=[score for score in scores if score.asking.suite == suite.name],
                expected=run.suites[suite.name].expected,
                policy=execution.on_item_error,
                max_error_ratio=execution.max_error_ratio,
                is_paired=is_paired,
                clusters=labels.get(suite.cluster_by, {}),
                labels={field: labels[field] for field in suite.slices},
                order=tuple(self._runs.order(run.dispatch_id, suite.name)) if is_ordered else (),
                askings_per_item=suite.sampling.repeats * len(run.spec.sides),
            )
        return found

    def look(self, dispatch_id: str, askings: int) -> None:
        """End a run whose verdict is certain; `askings` is how many have just been scored."""
        run = self._runs.get(dispatch_id)
        if not run.spec.execution.stop_early or run.state.is_final or run.settled or run.stopped:
            return
        done = run.progress.done
        if done >= run.progress.total or not is_due(done - askings, done):
            return
        suites = self.measured(run, self._runs.scores(dispatch_id))
        if settled := concluding.settled(run.spec, suites, self.metrics(run)):
            self._runs.settle(dispatch_id, settled)


def is_due(before: int, now: int) -> bool:
    """Whether a look lies between two numbers of askings."""
    return now >= FIRST_LOOK and _looks(now) > _looks(before)


def _looks(askings: int) -> int:
    return 1 + math.floor(math.log(askings / FIRST_LOOK, GROWTH)) if askings >= FIRST_LOOK else 0
