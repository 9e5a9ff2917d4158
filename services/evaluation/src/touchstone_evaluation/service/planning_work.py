"""The first job of a run: read the datasets, draw the items, cut the shards."""

from collections.abc import Mapping

from touchstone_evaluation import errors
from touchstone_evaluation.core import datasets, digests, planning
from touchstone_evaluation.core.datasets import Drawn
from touchstone_evaluation.core.formats import Unreadable
from touchstone_evaluation.core.runs import SuitePlan
from touchstone_evaluation.core.spec import Suite
from touchstone_evaluation.core.task import LoadShape, Task
from touchstone_evaluation.ports import Datasets, Plan, Runs
from touchstone_evaluation.service.course import Course


class Planning:
    """Plans runs. Blocking."""

    def __init__(self, runs: Runs, source: Datasets, course: Course, tasks: Mapping[str, Task]) -> None:
        self._runs = runs
        self._source = source
        self._course = course
        self._tasks = tasks

    def plan(self, dispatch_id: str) -> None:
        """Plan a run and send its first shards.

        Raises:
            DatasetUnreachable: A later try may succeed.
            DatasetInvalid: It never will; the run ends in Error.
        """
        run = self._runs.get(dispatch_id)
        if not run.state.is_final and not run.suites:
            loads = {suite.name: self._tasks[suite.task].load(suite.parameters) for suite in run.spec.suites}
            drawn = {suite.name: self._draw(suite, loads[suite.name]) for suite in run.spec.suites}
            if run.spec.execution.stop_early:
                drawn = {name: datasets.shuffled(found) for name, found in drawn.items()}
            digested = {name: [item.digest for item in found.items] for name, found in drawn.items()}
            plan = Plan(
                suites={suite.name: _planned(suite, drawn[suite.name], loads[suite.name]) for suite in run.spec.suites},
                items={name: found.items for name, found in drawn.items()},
                shards=planning.shards(run.spec, digested, frozenset(name for name, load in loads.items() if load)),
                suite_digest=digests.suite_digest(
                    run.spec, self._tasks, {name: found.digest for name, found in drawn.items()}
                ),
            )
            self._runs.plan(dispatch_id, plan)
        self._course.advance(dispatch_id)

    def _draw(self, suite: Suite, load: LoadShape | None) -> Drawn:
        if suite.dataset is None:
            return datasets.of(load.synthetic if load else ())
        content = self._source.fetch(suite.name, suite.dataset)
        try:
            drawn = datasets.draw(content, suite.dataset, self._tasks[suite.task].unfit)
        except Unreadable as error:
            raise errors.DatasetInvalid(suite.name, str(error)) from error
        if not drawn.items:
            reasons = ", ".join(f"{reason}: {count}" for reason, count in drawn.left_out.items()) or "it is empty"
            raise errors.DatasetInvalid(suite.name, f"no item is left to measure on ({reasons}).")
        for name in filter(None, (suite.cluster_by, *suite.slice_by)):
            if not any(name in item.metadata for item in drawn.items):
                there = sorted({field for item in drawn.items for field in item.metadata})
                known = f"there are {', '.join(there)}" if there else "they have none at all"
                raise errors.DatasetInvalid(suite.name, f"no item has the metadata {name!r}; {known}.")
        return drawn


def _planned(suite: Suite, drawn: Drawn, load: LoadShape | None) -> SuitePlan:
    expected = (load.requests or 0) if load else len(drawn.items) * suite.sampling.repeats
    return SuitePlan(dataset_digest=drawn.digest, items=len(drawn.items), expected=expected, left_out=drawn.left_out)
