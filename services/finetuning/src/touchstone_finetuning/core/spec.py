"""What to train, from what, on what, with every default applied. Pure; `admission` says what is refused."""

from dataclasses import dataclass, field

from touchstone_runtime.cluster.references import SecretReference

from touchstone_finetuning.core.recipe import Adapter, Format, Hyperparameters, MergeType, Method
from touchstone_finetuning.core.resources import Resources

DEFAULT_SEQUENCE_LENGTH = 2048
DEFAULT_INTERVAL_STEPS = 200
DEFAULT_ATTEMPTS = 3
DEFAULT_PREEMPTIONS = 10
DEFAULT_QUEUE = "finetuning"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """An artefact to train from or on."""

    uri: str
    digest: str = ""
    """The expected one; empty: whatever is there."""
    credentials: SecretReference | None = None
    """The Secret with the keys of the store."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """One of the models that are merged."""

    source: Source
    weight: float
    density: float
    """The share of a task vector's numbers that TIES and DARE keep."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Merge:
    """Several models to make one of."""

    type: MergeType
    models: tuple[Merged, ...]
    is_normalized: bool = True
    """Linear and TIES: divide by the sum of weights."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingSpec:
    """One training, or a merge in its place."""

    run: str
    """The resource whose training this is: attempts of one run share their checkpoints."""
    base: Source
    method: Method
    adapter: Adapter | None
    """None: all weights are trained."""
    data: Source | None
    """None: a merge has no data."""
    format: Format
    validation_split: float = 0.0
    """Share of a file's records that is held out; a snapshot brings its own split."""
    hyperparameters: Hyperparameters = field(default_factory=Hyperparameters)
    checkpoint_uri: str = ""
    """Empty: in the workspace."""
    interval_steps: int = DEFAULT_INTERVAL_STEPS
    start_afresh: bool = False
    output_uri: str
    output_credentials: SecretReference | None = None
    max_attempts: int = DEFAULT_ATTEMPTS
    max_preemptions: int = DEFAULT_PREEMPTIONS
    priority: int = 0
    resources: Resources = field(default_factory=Resources)
    queue: str = DEFAULT_QUEUE
    """Whose workers see it through."""
    merge: Merge | None = None
    """With the method Merge, and only with it."""
