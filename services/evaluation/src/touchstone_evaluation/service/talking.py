"""What one asking asks, whom and how, and what it has cost so far; who answers is not its concern. Pure."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from touchstone_evaluation.core import costs, digests
from touchstone_evaluation.core import task as tasks_of
from touchstone_evaluation.core.items import Item
from touchstone_evaluation.core.runs import Run
from touchstone_evaluation.core.scores import Asking, Score
from touchstone_evaluation.core.spec import Sampling, Side, Subject, Suite
from touchstone_evaluation.core.task import OTHER_SIDE, SELF, Ask, Outcome, Prompt, Query, Question, Seat, Steps, Task
from touchstone_evaluation.errors import TaskFailed
from touchstone_evaluation.ports import PredictionKey

SEEDS = 2**63
"""Seeds are 64-bit; those of repeats wrap round."""
MAX_ERROR = 500
"""Characters of an error that are kept."""


@dataclass
class Talk:
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
    at_once: int = 1
    """How many askings share what serves the side."""
    answers: list[Outcome] = field(default_factory=list)
    """What the side itself said."""

    def begin(self, task: Task) -> Steps:
        """Begin to ask."""
        load = task.load(self.suite.parameters) if self.is_load else None
        self.at_once = load.concurrency if load else self.run.spec.execution.parallelism
        return tasks_of.steps(task, self.item, self.suite.parameters, self._seats())

    def key(self, ask: Question) -> PredictionKey:
        """What the answer is kept by."""
        how = digests.asking_digest(ask, self.sampling(ask))
        return PredictionKey(subject=self.party(ask).digest, item=self.item.digest, how=how, repeat=self.asking.repeat)

    def scored(self, values: Mapping[str, float], error: str = "") -> Score:
        """The score of what came of it, and what it cost."""
        price = self.run.spec.of_side(self.asking.side).price
        spent = {} if error else costs.values(self.answers, price, at_once=self.at_once)
        return Score(
            asking=self.asking,
            values={**values, **spent},
            error=error,
            is_reused=self.is_reused and not error,
            input_tokens=self.input_tokens,
            output_tokens=self.output_tokens,
            judge_tokens=self.judge_tokens,
            latency_millis=self.latency_millis,
            answer=self.answer if self.run.spec.execution.log_samples and not error else "",
        )

    def _seats(self) -> tuple[Seat, ...]:
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
            if isinstance(ask, Prompt):
                self.answers.append(outcome)
            found = ", ".join(p.document_id for p in outcome.passages) if isinstance(ask, Query) else ""
            self.answer = self.answer or outcome.text or found
        if is_reused:
            return
        if name in (SELF, OTHER_SIDE):
            self.input_tokens += outcome.input_tokens
            self.output_tokens += outcome.output_tokens
        else:
            self.judge_tokens += outcome.input_tokens + outcome.output_tokens


def _name(ask: Question) -> str:
    return ask.of if isinstance(ask, Prompt) else SELF


def next_step(task: Task, steps: Steps, outcomes: tuple[Outcome, ...] | None) -> tuple[Ask, ...] | Mapping[str, float]:
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
