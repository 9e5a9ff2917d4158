"""One asking: ask a side about an item, or take the answer of an earlier run, and score it."""

import asyncio
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import replace

from touchstone_runtime.errors import DomainError

from touchstone_evaluation.core import digests
from touchstone_evaluation.core.items import Item
from touchstone_evaluation.core.runs import Run
from touchstone_evaluation.core.scores import Asking, Score
from touchstone_evaluation.core.spec import Sampling, Suite
from touchstone_evaluation.core.task import Ask, Outcome, Task
from touchstone_evaluation.errors import TaskFailed
from touchstone_evaluation.ports import PredictionKey, Predictions, Subjects

SEEDS = 2**63
"""Seeds are 64-bit; those of repeats wrap round."""


class Asker:
    """Asks and scores. Asynchronous; the record of predictions is blocking, so it goes through threads."""

    def __init__(
        self,
        predictions: Predictions,
        subjects: Subjects,
        tasks: Mapping[str, Task],
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._predictions = predictions
        self._subjects = subjects
        self._tasks = tasks
        self._monotonic = monotonic

    async def score(self, run: Run, suite: Suite, item: Item, asking: Asking, *, is_load: bool) -> Score:
        """Ask once and score the answer; whatever fails is the score's error.

        Under load nothing is taken from earlier runs and nothing is tried again: a refusal is what is measured.
        """
        task = self._tasks[suite.task]
        began = self._monotonic()
        try:
            ask = _ask(task, item, suite)
            outcome, is_reused = await self._outcome(run, suite, item, asking, ask, is_load=is_load)
            values = _values(task, item, outcome, suite)
        except DomainError as error:
            latency = (self._monotonic() - began) * 1000
            return Score(asking=asking, values={}, error=error.message[:500], latency_millis=latency)
        return Score(
            asking=asking,
            values=values,
            is_reused=is_reused,
            input_tokens=outcome.input_tokens,
            output_tokens=outcome.output_tokens,
            latency_millis=outcome.latency_millis,
            answer=_told(outcome) if run.spec.execution.log_samples else "",
        )

    async def _outcome(
        self, run: Run, suite: Suite, item: Item, asking: Asking, ask: Ask, *, is_load: bool
    ) -> tuple[Outcome, bool]:
        subject = run.spec.of_side(asking.side)
        sampling = _of_repeat(suite.sampling, asking.repeat)
        if is_load:
            return await self._subjects.ask(subject, ask, sampling, is_patient=False), False
        how = digests.sampling_digest(suite, self._tasks[suite.task], ask)
        key = PredictionKey(subject=subject.digest, item=item.digest, how=how, repeat=asking.repeat)
        known = await asyncio.to_thread(self._predictions.find, key)
        if known is not None:
            return known, True
        outcome = await self._subjects.ask(subject, ask, sampling, is_patient=True)
        await asyncio.to_thread(self._predictions.keep, key, outcome)
        return outcome, False


def _of_repeat(sampling: Sampling, repeat: int) -> Sampling:
    """Give each repeat a seed of its own: repeats of one seed would be one answer, counted several times."""
    return replace(sampling, seed=(sampling.seed + repeat) % SEEDS) if repeat else sampling


def _ask(task: Task, item: Item, suite: Suite) -> Ask:
    try:
        return task.ask(item, suite.parameters)
    except Exception as error:  # the edge to a plug-in: whatever it does costs its item, not the run
        raise TaskFailed(task.name, f"it could not ask, {type(error).__name__}: {error}") from error


def _values(task: Task, item: Item, outcome: Outcome, suite: Suite) -> Mapping[str, float]:
    try:
        values = dict(task.score(item, outcome, suite.parameters))
    except Exception as error:  # as above
        raise TaskFailed(task.name, f"it could not score, {type(error).__name__}: {error}") from error
    for name, value in values.items():
        if not math.isfinite(value):
            raise TaskFailed(task.name, f"its value {name!r} is {value}")
    return values


def _told(outcome: Outcome) -> str:
    return outcome.text or ", ".join(passage.document_id for passage in outcome.passages)
