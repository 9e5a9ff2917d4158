"""One asking: ask about an item step by step, or take the answers of earlier runs, and score what came back."""

import asyncio
import time
from collections.abc import Callable, Mapping

from touchstone_runtime.errors import DomainError

from touchstone_evaluation.core.items import Item
from touchstone_evaluation.core.runs import Run
from touchstone_evaluation.core.scores import Asking, Score
from touchstone_evaluation.core.spec import Sampling, Subject, Suite
from touchstone_evaluation.core.task import Ask, Classification, Outcome, Program, Question, Similarity, Task
from touchstone_evaluation.errors import TaskFailed
from touchstone_evaluation.ports import Encoders, Predictions, Subjects, Trials
from touchstone_evaluation.service.talking import MAX_ERROR, Talk, next_step


class Asker:
    """Asks and scores. Asynchronous; the record of predictions is blocking, so it goes through threads."""

    def __init__(
        self,
        predictions: Predictions,
        subjects: Subjects,
        trials: Trials,
        encoders: Encoders,
        tasks: Mapping[str, Task],
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._predictions = predictions
        self._subjects = subjects
        self._trials = trials
        self._encoders = encoders
        self._tasks = tasks
        self._monotonic = monotonic

    async def score(self, run: Run, suite: Suite, item: Item, asking: Asking, *, is_load: bool) -> Score:
        """Ask about an item and score what came back; whatever fails is the score's error.

        Under load nothing is taken from earlier runs and nothing is tried again: a refusal is what is measured.
        """
        talk = Talk(run, suite, item, asking, is_load=is_load)
        began = self._monotonic()
        try:
            return talk.scored(await self._talk(talk))
        except DomainError as failure:
            talk.latency_millis = (self._monotonic() - began) * 1000
            return talk.scored({}, failure.message[:MAX_ERROR])

    async def _talk(self, talk: Talk) -> Mapping[str, float]:
        """Drive the task's steps to their end."""
        task = self._tasks[talk.suite.task]
        steps = talk.begin(task)
        outcomes: tuple[Outcome, ...] | None = None
        while True:
            asks_or_values = next_step(task, steps, outcomes)
            if isinstance(asks_or_values, Mapping):
                return asks_or_values
            outcomes = tuple([await self._ask(talk, ask) for ask in asks_or_values])

    async def _ask(self, talk: Talk, ask: Ask) -> Outcome:
        if isinstance(ask, Program):
            return await self._tried(talk, ask)
        if isinstance(ask, Similarity):
            return await self._encoders.compare(ask)
        if isinstance(ask, Classification):
            return await self._encoders.classify(ask)
        subject, sampling = talk.party(ask), talk.sampling(ask)
        if talk.is_load:
            outcome, is_reused = await self._subjects.ask(subject, ask, sampling, is_patient=False), False
        else:
            outcome, is_reused = await self._known_or_asked(talk, subject, ask, sampling)
        talk.add(ask, outcome, is_reused=is_reused)
        return outcome

    async def _tried(self, talk: Talk, ask: Program) -> Outcome:
        """Run a program where both the task and the run say that programs are run."""
        if not self._tasks[talk.suite.task].runs_code or not talk.run.spec.execution.allow_code_execution:
            raise TaskFailed(talk.suite.task, "it runs code that a model wrote, and does not say so or may not")
        return await self._trials.run(ask)

    async def _known_or_asked(
        self, talk: Talk, subject: Subject, ask: Question, sampling: Sampling
    ) -> tuple[Outcome, bool]:
        key = talk.key(ask)
        known = await asyncio.to_thread(self._predictions.find, key)
        if known is not None:
            return known, True
        outcome = await self._subjects.ask(subject, ask, sampling, is_patient=True)
        await asyncio.to_thread(self._predictions.keep, key, outcome)
        return outcome, False
