"""A task: how to ask about an item, and how to score what came back. Pure; the contract for plug-ins.

A task is one object in a small file, found through the entry point group `touchstone.evaluation.tasks`. It does no I/O:
it says what to ask (`ask`), somebody else asks, and it scores the outcome (`score`) as named values of this one item.
A task that asks more than once about an item, as with a judge, has `steps` instead. A metric then says how the values
of all items become one number.
"""

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple, Protocol, TypeAlias, runtime_checkable

from touchstone_evaluation.core.items import Item
from touchstone_evaluation.core.ranking import Passage
from touchstone_evaluation.core.spec import Goal, Json, Parameters, SubjectKind
from touchstone_evaluation.core.statistics import Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Mean:
    """The mean over items; with repeats, of the items' means."""

    of: str
    """Name of the items' value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Percentile:
    """A percentile over all answers, linearly interpolated."""

    of: str
    percent: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """The sum of one value over the sum of another."""

    of: str
    per: str
    is_exponent: bool = False
    """Whether e to the power of it is told, as perplexity is of a cross entropy in nats."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Corpus:
    """A function of the sums of several values, as BLEU is of the n-grams of a whole corpus."""

    of: tuple[str, ...]
    combine: Callable[[Floats], Floats]
    """From resamples x values, summed over items, to one number a resample."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Auroc:
    """How well one value tells items with the label 1 from those with 0: the area under the ROC curve."""

    of: str
    """Higher for the label 1."""
    label: str
    """0 or 1."""


Aggregate: TypeAlias = Mean | Percentile | Ratio | Corpus | Auroc


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A number that a task yields."""

    name: str
    goal: Goal
    aggregate: Aggregate
    description: str
    """Range, unit and source."""
    is_binary: bool = False
    """Each item's value is 0 or 1."""
    lowest: float | None = None
    """The least value an item can have; None: no bound."""
    highest: float | None = None
    """The greatest value an item can have; None: no bound."""
    has_worst: bool = False
    """An item that failed can be counted with the worst value; false: it has no value, as a latency."""
    counts_failures: bool = False
    """Failed items count whatever the policy says: the metric is about them."""
    is_main: bool = False
    """Part of the displayed score; the range must be 0 to 1."""
    is_match: bool = False
    """An item's value is the points of a match against the other side: 1 won, 0 lost, 0.5 a tie."""

    @property
    def worst(self) -> float | None:
        """The value of an item that failed; None: it has none."""
        if not self.has_worst:
            return None
        return self.lowest if self.goal is Goal.MAXIMIZE else self.highest


SELF = ""
"""The side that is being scored."""
OTHER_SIDE = "@other"
"""The other side: the baseline while the subject is scored, the subject while the baseline is."""


def share(
    name: str, description: str, *, scale: str = "0 to 1", is_binary: bool = False, is_main: bool = False
) -> Metric:
    """A metric that is the mean of items' values of 0 to 1, of which more is better."""
    return Metric(
        name=name,
        goal=Goal.MAXIMIZE,
        aggregate=Mean(of=name),
        description=f"{description}; {scale}.",
        is_binary=is_binary,
        lowest=0,
        highest=1,
        has_worst=True,
        is_main=is_main,
    )


def share_among(name: str, description: str, *, of: str, per: str, goal: Goal = Goal.MAXIMIZE) -> Metric:
    """A metric that is the share of some among others: the sum of items' 0 or 1, or counts, over that of others'."""
    return Metric(
        name=name, goal=goal, aggregate=Ratio(of=of, per=per), description=f"{description}.", lowest=0, highest=1
    )


def detection(name: str, description: str, *, of: str, label: str = "label", goal: Goal = Goal.MAXIMIZE) -> Metric:
    """A metric that is the area under the ROC curve of a value that should be higher for items of the label 1."""
    return Metric(
        name=name, goal=goal, aggregate=Auroc(of=of, label=label), description=f"{description}.", lowest=0, highest=1
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """Asks a model: one user turn."""

    question: str
    of: str = SELF
    """Who is asked: `SELF`, `OTHER_SIDE`, or a judge of the suite by its name."""
    temperature: float | None = None
    """None: as the suite's sampling says; of a judge, 0."""
    sample: int = 0
    """Which of several answers to one question: each has a seed of its own."""
    max_output_tokens: int | None = None
    """None: as the suite's sampling says."""
    json_schema: str = ""
    """A JSON Schema that the answer is held to while it is generated; empty: none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """Asks an index."""

    text: str
    top_k: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Scoring:
    """Asks a model how probable continuations of a prompt are; the prompt is taken as it is, without a template."""

    prompt: str
    continuations: tuple[str, ...]
    has_distributions: bool = False
    """Whether each token is told with the distribution at its place; it is slower."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """Has a program run against its tests, confined. Only tasks with `runs_code` may ask for it."""

    program: str
    """Python."""
    tests: tuple[str, ...]
    """Python that sees the program's names; it passes when none of them raises."""
    timeout_seconds: int
    memory_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderFiles:
    """An encoder by its files."""

    model: str
    """URI of the ONNX file; with the digest."""
    tokenizer: str
    """URI of the `tokenizer.json`."""
    max_tokens: int
    """Longer texts are cut."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Similarity:
    """Asks how alike a text is to others."""

    text: str
    others: tuple[str, ...]
    encoder: EncoderFiles


@dataclass(frozen=True, slots=True, kw_only=True)
class Classification:
    """Asks how probable it is that a text is of a kind."""

    text: str
    classifier: EncoderFiles
    """Its first output is [texts, kinds], logits; or [texts, 1], that of kind 1."""
    label: int
    """The number of the kind, from 0."""


Question: TypeAlias = Prompt | Query | Scoring
"""What a revision is asked; queries and scorings always ask `SELF`."""
Computation: TypeAlias = Program | Similarity | Classification
"""What a worker does itself, each time anew."""
Ask: TypeAlias = Question | Computation


class Trial(NamedTuple):
    """What came of a program."""

    loaded: bool
    """It ran as far as its tests."""
    passed: bool
    error: str
    """Why it did not pass."""


class Likeness(NamedTuple):
    """How alike a text is to another, by an encoder."""

    cosine: float
    """Of the embeddings of both texts, -1 to 1."""
    precision: float
    """Mean over its tokens of the cosine to the other's most alike one."""
    recall: float
    """Mean over the other's tokens of the cosine to its most alike one."""
    f1: float


class Place(NamedTuple):
    """A token of a continuation, and what else could have stood there; natural logarithms."""

    logprob: float
    entropy: float
    """The mean of -log p under p, over the vocabulary."""
    deviation: float
    """The standard deviation of log p under p."""


class Likelihood(NamedTuple):
    """How probable a continuation is."""

    logprob: float
    """Natural logarithm, summed over its tokens."""
    tokens: int
    is_greedy: bool
    """Whether each token was the most probable one."""
    places: tuple[Place, ...] = ()
    """Of its tokens, where they were asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came back, whoever was asked."""

    text: str = ""
    passages: tuple[Passage, ...] = ()
    likelihoods: tuple[Likelihood, ...] = ()
    """Of the continuations, in their order."""
    trial: Trial | None = None
    likenesses: tuple[Likeness, ...] = ()
    """To the other texts, in their order."""
    probability: float | None = None
    """That a text is of the kind that was asked for."""
    input_tokens: int = 0
    output_tokens: int = 0
    ttft_millis: float = 0.0
    """From sending to the first text."""
    tpot_millis: float | None = None
    """Mean time between output tokens after the first; None for fewer than two."""
    latency_millis: float = 0.0
    """From sending to the end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadShape:
    """A load instead of item by item: requests at once, until one of the ends."""

    concurrency: int
    requests: int | None
    """Ends after this many requests of each side."""
    duration_seconds: float | None
    """Ends after this time of each side."""
    synthetic: tuple[Item, ...] = field(default=())
    """Items where there is no dataset; taken in turn."""


Steps: TypeAlias = Generator[tuple[Ask, ...], tuple["Outcome", ...], Mapping[str, float]]
"""Yields what to ask, is sent what came back in the same order, as often as it likes, and returns the item's values."""


class Seat(NamedTuple):
    """A judge as a task sees it."""

    name: str
    is_self: bool = False
    """Whether the revision that is scored is the one that judges."""
    is_other: bool = False
    """Whether the other side is."""


class Described(Protocol):
    """What all tasks have in common. All members are pure."""

    name: str
    version: str
    """Raised with every change that can change a score: predictions and verdicts are kept by it."""
    description: str
    """What it measures, and what it does not."""
    parameters_schema: Mapping[str, Json]
    """JSON Schema of the parameters, an object that refuses unknown names."""
    subjects: frozenset[SubjectKind]
    """What it can measure."""
    needs_dataset: bool
    runs_code: bool
    """Whether it runs code that a model wrote: then a run has to allow it."""

    def metrics(self, parameters: Parameters) -> tuple[Metric, ...]:
        """List what it yields with these parameters; without any, what it is listed with."""
        ...

    def unfit(self, item: Item) -> str:
        """Say why an item cannot be scored; empty when it can."""
        ...

    def load(self, parameters: Parameters) -> LoadShape | None:
        """Return the load to put on; None to ask item by item."""
        ...


class Lack(StrEnum):
    """What an answer that failed was short of."""

    FORM = "Form"
    """The content was there or may be, and not in the form that was asked for."""
    KNOWLEDGE = "Knowledge"
    """The form was right, the content was not, and nothing had been put before the model."""
    SEARCH = "Search"
    """The index did not find what was needed."""
    READING = "Reading"
    """What was needed stood before the model, and its answer is wrong."""


@runtime_checkable
class Diagnosable(Protocol):
    """A task whose values tell what an answer was short of."""

    def lack(self, values: Mapping[str, float]) -> Lack | None:
        """Say what an answer with these values was short of; None: it did not fail."""
        ...


class AskingTask(Described, Protocol):
    """A task that asks once about an item."""

    def ask(self, item: Item, parameters: Parameters) -> Ask:
        """Say what to ask about an item."""
        ...

    def score(self, item: Item, outcome: Outcome, parameters: Parameters) -> Mapping[str, float]:
        """Score what came back: values by the names that the metrics' aggregates use."""
        ...


@runtime_checkable
class SteppedTask(Described, Protocol):
    """A task whose next question may depend on what came back, or that asks several parties."""

    def fault(self, parameters: Parameters, judges: int, *, has_baseline: bool) -> str:
        """Say what a suite lacks beyond what the schema tells, as judges or a baseline; empty: nothing."""
        ...

    def steps(self, item: Item, parameters: Parameters, judges: tuple[Seat, ...]) -> Steps:
        """Ask about an item, step by step; `judges` are the suite's."""
        ...


Task: TypeAlias = AskingTask | SteppedTask


def steps(task: Task, item: Item, parameters: Parameters, judges: tuple[Seat, ...]) -> Steps:
    """The steps of any task: one that asks once has one."""
    if isinstance(task, SteppedTask):
        return (yield from task.steps(item, parameters, judges))
    (outcome,) = yield (task.ask(item, parameters),)
    return task.score(item, outcome, parameters)
