"""What a run is asked to measure and what must hold. Values only; `validation` says which are refused."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple, TypeAlias

from touchstone_runtime.cluster.references import SecretReference

Json: TypeAlias = bool | int | float | str | list["Json"] | dict[str, "Json"] | None
Parameters: TypeAlias = Mapping[str, Json]

DEFAULT_CONFIDENCE = 0.95
DEFAULT_PARALLELISM = 4
DEFAULT_MAX_ERROR_RATIO = 0.02
DEFAULT_DEADLINE_SECONDS = 3600
DEFAULT_MAX_OUTPUT_TOKENS = 64
CONTAMINATION = "contamination"
"""The item metadata that says whether an item stands in the contamination corpus."""


class SubjectKind(StrEnum):
    """What kind of thing is measured."""

    MODEL_DEPLOYMENT = "ModelDeployment"
    RAG_INDEX = "RagIndex"


class Layout(StrEnum):
    """How a dataset is read."""

    JSON_LINES = "JSONLines"
    SQUAD = "SQuAD"
    JSON = "JSON"
    CSV = "CSV"
    ARROW = "Arrow"


class Goal(StrEnum):
    """The better direction of a metric."""

    MAXIMIZE = "Maximize"
    MINIMIZE = "Minimize"


class Operator(StrEnum):
    """Compares a value with a number."""

    GREATER_OR_EQUAL = "GreaterOrEqual"
    LESS_OR_EQUAL = "LessOrEqual"


class ItemErrorPolicy(StrEnum):
    """What an item that failed counts as."""

    COUNT = "Count"
    EXCLUDE = "Exclude"


class Verdict(StrEnum):
    """What a run or a criterion came to."""

    PASSED = "Passed"
    FAILED = "Failed"
    INCONCLUSIVE = "Inconclusive"
    ERROR = "Error"


class Side(StrEnum):
    """Whose answer: the revision that is measured, or the one it is compared with."""

    SUBJECT = "subject"
    BASELINE = "baseline"


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What a model's answers cost: by their tokens, or by the hour of what serves them."""

    currency: str
    """ISO 4217, as USD."""
    input_per_million: float = 0.0
    """Of a million prompt tokens."""
    output_per_million: float = 0.0
    """Of a million generated tokens."""
    per_hour: float | None = None
    """Of an hour of all replicas that serve the revision; None: it is priced by tokens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A revision of a model or of an index."""

    kind: SubjectKind
    name: str
    """`NAMESPACE/NAME`."""
    revision: str
    digest: str
    price: Price | None = None
    """None: nobody said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """A list of items."""

    uri: str
    digest: str = ""
    layout: Layout = Layout.JSON_LINES
    records: str = ""
    """JMESPath that selects the records; empty: the layout's own."""
    filter: str = ""
    """JMESPath that must be true of an item; empty: all items."""
    limit: int = 0
    """The most items; 0: all."""
    seed: int = 0
    credentials: SecretReference | None = None
    """The Secret with the keys of the store."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How answers are generated."""

    max_output_tokens: int = DEFAULT_MAX_OUTPUT_TOKENS
    temperature: float = 0.0
    seed: int = 0
    repeats: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """A model that scores answers."""

    name: str
    """Unique in the suite."""
    subject: Subject


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """How well the judges of a suite must be known to judge."""

    suite: str
    """Another suite of the run, which measures it."""
    metric: str
    at_least: float
    """The least value, at the lower end of its interval."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """One task over one dataset."""

    name: str
    task: str
    dataset: Dataset | None = None
    sampling: Sampling = field(default_factory=Sampling)
    parameters: Parameters = field(default_factory=dict)
    judges: tuple[Judge, ...] = ()
    calibration: Calibration | None = None
    slice_by: tuple[str, ...] = ()
    """The item metadata by which metrics are told apart."""
    contamination_corpus: Dataset | None = None
    """Texts that a model may have been trained on: items that stand in them are told apart. None: nobody looks."""
    cluster_by: str = ""
    """The item metadata that tells what items belong together, as their document; empty: each stands alone."""
    weight: float = 1.0

    @property
    def slices(self) -> tuple[str, ...]:
        """All item metadata by which metrics are told apart."""
        has_more = self.contamination_corpus and CONTAMINATION not in self.slice_by
        return (*self.slice_by, CONTAMINATION) if has_more else self.slice_by


@dataclass(frozen=True, slots=True, kw_only=True)
class Absolute:
    """Compares the subject's value with a number."""

    operator: Operator
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Relative:
    """Compares the subject with the baseline."""

    max_regression: float | None = None
    min_improvement: float | None = None
    confidence: float = DEFAULT_CONFIDENCE


class Split(NamedTuple):
    """The parts of `SUITE/METRIC`."""

    suite: str
    metric: str


def split(name: str) -> Split:
    """Take the name of a metric of a run apart; what is missing is empty."""
    suite, _, metric = name.partition("/")
    return Split(suite, metric)


@dataclass(frozen=True, slots=True, kw_only=True)
class BusinessMetric:
    """What a metric's values mean for the business."""

    name: str
    """As `tickets that nobody has to look at`."""
    unit: str
    """As `%`."""
    curve: tuple[tuple[float, float], ...]
    """Values of the metric, and what each means; two or more, rising or falling throughout."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Criterion:
    """One thing that must hold."""

    name: str
    metric: str
    """`SUITE/METRIC`."""
    goal: Goal | None = None
    """None: the metric's own."""
    absolute: Absolute | None = None
    relative: Relative | None = None
    min_samples: int = 1
    required: bool = False
    business_metric: BusinessMetric | None = None

    @property
    def confidence(self) -> float:
        """The level of the criterion's interval."""
        return self.relative.confidence if self.relative else DEFAULT_CONFIDENCE

    @property
    def suite_name(self) -> str:
        """The part of the metric before the slash."""
        return split(self.metric).suite

    @property
    def metric_name(self) -> str:
        """The part of the metric after the slash."""
        return split(self.metric).metric


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """Bounds of a run."""

    parallelism: int = DEFAULT_PARALLELISM
    max_tokens: int = 0
    """0: no budget."""
    max_seconds: int = 0
    """0: no budget."""
    max_items: int = 0
    """0: no budget."""
    stop_early: bool = False
    """Ends the run as soon as its verdict is certain."""
    on_item_error: ItemErrorPolicy = ItemErrorPolicy.COUNT
    max_error_ratio: float = DEFAULT_MAX_ERROR_RATIO
    deadline_seconds: int = DEFAULT_DEADLINE_SECONDS
    log_samples: bool = False
    allow_code_execution: bool = False
    """Lets tasks run code that a model wrote, confined."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSpec:
    """What to measure and what must hold."""

    subject: Subject
    baseline: Subject | None = None
    suites: tuple[Suite, ...] = ()
    criteria: tuple[Criterion, ...] = ()
    execution: Execution = field(default_factory=Execution)

    @property
    def sides(self) -> tuple[Side, ...]:
        """The sides that are asked."""
        return (Side.SUBJECT, Side.BASELINE) if self.baseline else (Side.SUBJECT,)

    def of_side(self, side: Side) -> Subject:
        """Return the revision of a side.

        Raises:
            LookupError: The run has no baseline.
        """
        revision = self.subject if side is Side.SUBJECT else self.baseline
        if revision is None:
            raise LookupError("the run has no baseline")
        return revision
