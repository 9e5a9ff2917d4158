"""One asking: ask about an item step by step, or take the answers of earlier runs, and score what came back."""

import asyncio
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from touchstone_runtime.errors import DomainError

from touchstone_evaluation.core import digests
from touchstone_evaluation.core import task as tasks_of
from touchstone_evaluation.core.items import Item
from touchstone_evaluation.core.runs import Run
from touchstone_evaluation.core.scores import Asking, Score
from touchstone_evaluation.core.spec import Sampling, Side, Subject, Suite
from touchstone_evaluation.core.task import OTHER_SIDE, SELF, Ask, Outcome, Program, Prompt, Question, Seat, Steps, Task
from touchstone_evaluation.errors import TaskFailed
from touchstone_evaluation.ports import PredictionKey, Predictions, Subjects, Trials

SEEDS = 2**63
"""Seeds are 64-bit; those of repeats wrap round."""


class Asker:
    """Asks and scores. Asynchronous; the record of predictions is blocking, so it goes through threads."""

    def __init__(
        self,
        predictions: Predictions,
        subjects: Subjects,
        trials: Trials,
        tasks: Mapping[str, Task],
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._predictions = predictions
        self._subjects = subjects
        self._trials = trials
        self._tasks = tasks
        self._monotonic = monotonic

    async def score(self, run: Run, suite: Suite, item: Item, asking: Asking, *, is_load: bool) -> Score:
        """Ask about an item and score what came back; whatever fails is the score's error.

        Under load nothing is taken from earlier runs and nothing is tried again: a refusal is what is measured.
        """
        talk = _Talk(run, suite, item, asking, is_load=is_load)
        began = self._monotonic()
        values: Mapping[str, float] = {}
        error = ""
        try:
            values = await self._talk(talk)
        except DomainError as failure:
            error = failure.message[:500]
        return Score(
            asking=asking,
            values=values,
            error=error,
            is_reused=talk.is_reused and not error,
            input_tokens=talk.input_tokens,
            output_tokens=talk.output_tokens,
            judge_tokens=talk.judge_tokens,
            latency_millis=(self._monotonic() - began) * 1000 if error else talk.latency_millis,
            answer=talk.answer if run.spec.execution.log_samples and not error else "",
        )

    async def _talk(self, talk: "_Talk") -> Mapping[str, float]:
        """Drive the task's steps to their end."""
        suite = talk.suite
        task = self._tasks[suite.task]
        steps = tasks_of.steps(task, talk.item, suite.parameters, talk.seats())
        outcomes: tuple[Outcome, ...] | None = None
        while True:
            asks_or_values = _next(task, steps, outcomes)
            if isinstance(asks_or_values, Mapping):
                return asks_or_values
            outcomes = tuple([await self._ask(talk, ask) for ask in asks_or_values])

    async def _ask(self, talk: "_Talk", ask: Ask) -> Outcome:
        if isinstance(ask, Program):
            return await self._tried(talk, ask)
        subject, sampling = talk.party(ask), talk.sampling(ask)
        if talk.is_load:
            outcome, is_reused = await self._subjects.ask(subject, ask, sampling, is_patient=False), False
        else:
            outcome, is_reused = await self._known_or_asked(talk, subject, ask, sampling)
        talk.add(ask, outcome, is_reused=is_reused)
        return outcome

    async def _tried(self, talk: "_Talk", ask: Program) -> Outcome:
        """Run a program where both the task and the run say that programs are run."""
        if not self._tasks[talk.suite.task].runs_code or not talk.run.spec.execution.allow_code_execution:
            raise TaskFailed(talk.suite.task, "it runs code that a model wrote, and does not say so or may not")
        return await self._trials.run(ask)

    async def _known_or_asked(
        self, talk: "_Talk", subject: Subject, ask: Question, sampling: Sampling
    ) -> tuple[Outcome, bool]:
        how = digests.asking_digest(ask, sampling)
        repeat = talk.asking.repeat
        key = PredictionKey(subject=subject.digest, item=talk.item.digest, how=how, repeat=repeat)
        known = await asyncio.to_thread(self._predictions.find, key)
        if known is not None:
            return known, True
        outcome = await self._subjects.ask(subject, ask, sampling, is_patient=True)
        await asyncio.to_thread(self._predictions.keep, key, outcome)
        return outcome, False


@dataclass
class _Talk:
    """One asking on its way, and what it has cost so far."""

    run: Run
    suite: Suite
    item: Item
    asking: Asking
    is_load: bool
    is_reused: bool = True
    """Whether all answers of the side itself came from earlier runs."""
    input_tokens: int = 0
    output_tokens: int = 0
    judge_tokens: int = 0
    latency_millis: float = 0.0
    answer: str = ""

    def seats(self) -> tuple[Seat, ...]:
        """The judges as the task sees them: a model may have to judge itself."""
        spec, side = self.run.spec, self.asking.side
        own = spec.of_side(side).digest
        other = {each: spec.of_side(each).digest for each in spec.sides if each is not side}
        return tuple(
            Seat(judge.name, judge.subject.digest == own, judge.subject.digest in other.values())
            for judge in self.suite.judges
        )

    def party(self, ask: Question) -> Subject:
        """Find the revision that is asked.

        Raises:
            TaskFailed: It asks a party that the run does not have.
        """
        name = _name(ask)
        side = self.asking.side
        try:
            if name == SELF:
                return self.run.spec.of_side(side)
            if name == OTHER_SIDE:
                return self.run.spec.of_side(Side.BASELINE if side is Side.SUBJECT else Side.SUBJECT)
            return next(judge.subject for judge in self.suite.judges if judge.name == name)
        except (LookupError, StopIteration) as error:
            raise TaskFailed(self.suite.task, f"it asks {name!r}, which the run does not have") from error

    def sampling(self, ask: Question) -> Sampling:
        """Say how the answer is generated.

        Each repeat and each sample has a seed of its own: answers of one seed would be one answer, counted several
        times. A judge is greedy unless the task says otherwise.
        """
        sampling = self.suite.sampling
        sample = 0
        if isinstance(ask, Prompt):
            sample = ask.sample
            temperature = sampling.temperature if ask.of in (SELF, OTHER_SIDE) else 0.0
            sampling = replace(sampling, temperature=temperature if ask.temperature is None else ask.temperature)
        seed = (sampling.seed + self.asking.repeat + 1009 * sample) % SEEDS
        return replace(sampling, seed=seed, repeats=1)

    def add(self, ask: Question, outcome: Outcome, *, is_reused: bool) -> None:
        """Count an answer; one of an earlier run cost nothing."""
        name = _name(ask)
        if name == SELF:
            self.is_reused = self.is_reused and is_reused
            self.latency_millis += outcome.latency_millis
            self.answer = self.answer or outcome.text or ", ".join(p.document_id for p in outcome.passages)
        if is_reused:
            return
        if name in (SELF, OTHER_SIDE):
            self.input_tokens += outcome.input_tokens
            self.output_tokens += outcome.output_tokens
        else:
            self.judge_tokens += outcome.input_tokens + outcome.output_tokens


def _name(ask: Question) -> str:
    return ask.of if isinstance(ask, Prompt) else SELF


def _next(task: Task, steps: Steps, outcomes: tuple[Outcome, ...] | None) -> tuple[Ask, ...] | Mapping[str, float]:
    """Take the next step: what to ask, or at the end the values."""
    try:
        return next(steps) if outcomes is None else steps.send(outcomes)
    except StopIteration as end:
        values: Mapping[str, float] = dict(end.value)
    except Exception as error:  # the edge to a plug-in: whatever it does costs its item, not the run
        did = "ask" if outcomes is None else "score"
        raise TaskFailed(task.name, f"it could not {did}, {type(error).__name__}: {error}") from error
    for name, value in values.items():
        if not math.isfinite(value):
            raise TaskFailed(task.name, f"its value {name!r} is {value}")
    return values
