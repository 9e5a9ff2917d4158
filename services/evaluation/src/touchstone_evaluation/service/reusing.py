"""Answers of earlier runs: what they score is known before anybody is asked, however many items there are."""

from collections.abc import Iterator, Mapping, Sequence

from touchstone_runtime.errors import DomainError

from touchstone_evaluation.core import planning
from touchstone_evaluation.core.items import Item
from touchstone_evaluation.core.planning import Shard
from touchstone_evaluation.core.runs import Run
from touchstone_evaluation.core.scores import Asking, Score
from touchstone_evaluation.core.spec import Suite
from touchstone_evaluation.core.task import Computation, Outcome, Task
from touchstone_evaluation.ports import PredictionKey, Predictions
from touchstone_evaluation.service.talking import MAX_ERROR, Talk, next_step

BATCH_ITEMS = 500
"""Items whose answers are looked up at once."""


class Reusing:
    """Scores what earlier runs have answered. Blocking."""

    def __init__(self, predictions: Predictions, tasks: Mapping[str, Task]) -> None:
        self._predictions = predictions
        self._tasks = tasks

    def scores(self, run: Run, suite: Suite, items: Sequence[Item]) -> Iterator[Score]:
        """Score the askings of a suite for which every answer is there; the others are left for workers."""
        subjects = {run.spec.of_side(side).digest for side in run.spec.sides}
        subjects |= {judge.subject.digest for judge in suite.judges}
        for begin in range(0, len(items), BATCH_ITEMS):
            by_digest = {item.digest: item for item in items[begin : begin + BATCH_ITEMS]}
            known = self._predictions.find_all(subjects, list(by_digest))
            if not known:
                continue
            whole = Shard(number=0, suite=suite.name, items=tuple(by_digest))
            for asking in planning.askings(whole, suite, run.spec.sides):
                score = self._score(run, suite, by_digest[asking.item], asking, known)
                if score is not None:
                    yield score

    def _score(
        self, run: Run, suite: Suite, item: Item, asking: Asking, known: Mapping[PredictionKey, Outcome]
    ) -> Score | None:
        talk = Talk(run, suite, item, asking, is_load=False)
        task = self._tasks[suite.task]
        steps = talk.begin(task)
        outcomes: tuple[Outcome, ...] | None = None
        try:
            while True:
                asks_or_values = next_step(task, steps, outcomes)
                if isinstance(asks_or_values, Mapping):
                    return talk.scored(asks_or_values)
                found: list[Outcome] = []
                for ask in asks_or_values:
                    if isinstance(ask, Computation) or (outcome := known.get(talk.key(ask))) is None:
                        return None
                    talk.add(ask, outcome, is_reused=True)
                    found.append(outcome)
                outcomes = tuple(found)
        except DomainError as failure:
            return talk.scored({}, failure.message[:MAX_ERROR])
