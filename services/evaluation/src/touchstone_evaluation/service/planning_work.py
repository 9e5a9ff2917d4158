"""The first job of a run: read the datasets, draw the items, score what is known, cut the rest into shards."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from touchstone_evaluation import errors
from touchstone_evaluation.core import contamination, datasets, digests, planning
from touchstone_evaluation.core.datasets import Drawn
from touchstone_evaluation.core.formats import Unreadable
from touchstone_evaluation.core.items import Item, ItemDigest
from touchstone_evaluation.core.runs import Run, SuitePlan
from touchstone_evaluation.core.scores import Score
from touchstone_evaluation.core.spec import Dataset, Suite
from touchstone_evaluation.core.task import LoadShape, Task
from touchstone_evaluation.ports import Datasets, Plan, Runs
from touchstone_evaluation.service.course import Course
from touchstone_evaluation.service.reusing import Reusing


class Planning:
    """Plans runs. Blocking."""

    def __init__(
        self, runs: Runs, source: Datasets, reusing: Reusing, course: Course, tasks: Mapping[str, Task]
    ) -> None:
        self._runs = runs
        self._source = source
        self._reusing = reusing
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
            scores = list(self._known(run, {name: found.items for name, found in drawn.items() if not loads[name]}))
            unknown = _unknown(run, drawn, scores)
            plan = Plan(
                suites={suite.name: _planned(suite, drawn[suite.name], loads[suite.name]) for suite in run.spec.suites},
                items={name: found.items for name, found in drawn.items()},
                shards=planning.shards(run.spec, unknown, frozenset(name for name, load in loads.items() if load)),
                suite_digest=digests.suite_digest(
                    run.spec, self._tasks, {name: found.digest for name, found in drawn.items()}
                ),
                scores=scores,
            )
            self._runs.plan(dispatch_id, plan)
        self._course.advance(dispatch_id)

    def _known(self, run: Run, drawn: Mapping[str, Sequence[Item]]) -> Iterator[Score]:
        """Score what earlier runs have answered, of no more items than the run may ask about."""
        left = run.spec.execution.max_items or None
        for suite in (suite for suite in run.spec.suites if suite.name in drawn):
            items = drawn[suite.name][:left]
            yield from self._reusing.scores(run, suite, items)
            left = None if left is None else left - len(items)

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
        if suite.contamination_corpus:
            drawn = self._marked(suite, drawn, suite.contamination_corpus)
        for name in filter(None, (suite.cluster_by, *suite.slice_by)):
            if not any(name in item.metadata for item in drawn.items):
                there = sorted({field for item in drawn.items for field in item.metadata})
                known = f"there are {', '.join(there)}" if there else "they have none at all"
                raise errors.DatasetInvalid(suite.name, f"no item has the metadata {name!r}; {known}.")
        return drawn

    def _marked(self, suite: Suite, drawn: Drawn, corpus: Dataset) -> Drawn:
        """Note which items stand in the corpus."""
        content = self._source.fetch(suite.name, corpus)
        try:
            return contamination.marked(drawn, contamination.texts(content, corpus))
        except Unreadable as error:
            raise errors.DatasetInvalid(suite.name, f"its contamination corpus: {error}") from error


def _unknown(run: Run, drawn: Mapping[str, Drawn], scores: Sequence[Score]) -> dict[str, list[ItemDigest]]:
    """The items of each suite that have an asking without a score."""
    counts = Counter((score.asking.suite, score.asking.item) for score in scores)
    repeats = {suite.name: suite.sampling.repeats for suite in run.spec.suites}
    return {
        name: [item.digest for item in found.items if counts[name, item.digest] < repeats[name] * len(run.spec.sides)]
        for name, found in drawn.items()
    }


def _planned(suite: Suite, drawn: Drawn, load: LoadShape | None) -> SuitePlan:
    expected = (load.requests or 0) if load else len(drawn.items) * suite.sampling.repeats
    return SuitePlan(dataset_digest=drawn.digest, items=len(drawn.items), expected=expected, left_out=drawn.left_out)
