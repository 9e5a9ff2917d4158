"""The unit that decides over all records."""

import numpy as np

from touchstone_data import errors
from touchstone_data.core.accounts import StepCount, UnitAccount
from touchstone_data.service.making import Maker
from touchstone_data.service.working import Task


class Deciding:
    """Has a step decide over what was observed of all shards."""

    def __init__(self, maker: Maker) -> None:
        self._maker = maker

    def __call__(self, task: Task) -> UnitAccount:
        """Write the decision of the task's stage.

        Raises:
            Empty: No record came to the step.
        """
        (place,) = task.stage.steps
        observed = task.stage.number - 1
        corpus = task.workshop.corpus(observed, task.shards)
        if not corpus.size:
            raise errors.Empty(f"none came to the step '{task.spec.steps[place].name}'")
        task.beat()
        decision = self._maker.corpus_work(task.spec, place).decide(corpus)
        task.workshop.put_decision(task.stage.number, observed, task.shards, decision)
        dropped = int(np.count_nonzero(decision.dropped))
        count = StepCount(records=corpus.size, dropped={decision.reason: dropped} if dropped else {})
        return UnitAccount(steps={place: count}, facts=decision.facts)
