"""What to train, from what, on what, with every default applied. Pure; `admission` says what is refused."""

from dataclasses import dataclass, field

from touchstone_finetuning.core.recipe import Adapter, Format, Hyperparameters, Method

DEFAULT_SEQUENCE_LENGTH = 2048
DEFAULT_INTERVAL_STEPS = 200
DEFAULT_ATTEMPTS = 3
DEFAULT_PREEMPTIONS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """An artefact to train from or on."""

    uri: str
    digest: str = ""
    """The expected one; empty: whatever is there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingSpec:
    """One training."""

    run: str
    """The resource whose training this is: attempts of one run share their checkpoints."""
    base: Source
    method: Method
    adapter: Adapter | None
    """None: all weights are trained."""
    data: Source
    format: Format
    validation_split: float = 0.0
    """Share of a file's records that is held out; a snapshot brings its own split."""
    hyperparameters: Hyperparameters = field(default_factory=Hyperparameters)
    checkpoint_uri: str = ""
    """Empty: in the workspace."""
    interval_steps: int = DEFAULT_INTERVAL_STEPS
    start_afresh: bool = False
    output_uri: str
    max_attempts: int = DEFAULT_ATTEMPTS
    max_preemptions: int = DEFAULT_PREEMPTIONS
    priority: int = 0
