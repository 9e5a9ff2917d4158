"""What a run tells: while it goes, one event a line; at its end, a result or a fault. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

EVENTS = "events.jsonl"
RECIPE = "recipe.json"
RESULT = "result.json"
FAULT = "fault.json"
LEASH = "leash"
"""Touched by the worker that tends a trainer on another machine."""
LEASH_OPTION = "--leash-seconds"
"""How long the trainer goes on while nobody touches the leash."""
LEASH_SECONDS = 600.0
"""By default: a rollout of workers takes less, and a trainer that nobody tends holds its GPU no longer."""

EXIT_DONE = 0
EXIT_FAULT = 1
EXIT_PREEMPTED = 75
"""The run was told to stop and left a checkpoint (EX_TEMPFAIL of sysexits.h: try again)."""


class Reason(StrEnum):
    """Why a run ended without a result."""

    RECIPE_INVALID = "RecipeInvalid"
    DATASET_INVALID = "DatasetInvalid"
    BASE_MODEL_INVALID = "BaseModelInvalid"
    METHOD_UNSUPPORTED = "MethodUnsupported"
    MEMORY_INSUFFICIENT = "MemoryInsufficient"
    """It was refused before the start: it would not fit."""
    OUT_OF_MEMORY = "OutOfMemory"
    """It ran and memory ended."""
    DISK_FULL = "DiskFull"
    TRAINING_DIVERGED = "TrainingDiverged"
    TRAINER_MISSING = "TrainerMissing"
    """There is no torch where it runs."""
    INTERNAL_ERROR = "InternalError"


class ArtifactType(StrEnum):
    """What a run made."""

    LORA_ADAPTER = "LoRAAdapter"
    MODEL = "Model"


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """A step was done."""

    step: int
    total_steps: int
    epoch: float
    time: float
    """Seconds since 1970."""
    kind: str = "progress"


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A number was measured."""

    name: str
    value: float | None
    """None when it is not a finite number."""
    step: int
    kind: str = "metric"


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointWritten:
    """The state of a step is safe on disk."""

    step: int
    folder: str
    kind: str = "checkpoint"


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Something that whoever reads the run should know."""

    message: str
    kind: str = "note"


Event: TypeAlias = Progress | Metric | CheckpointWritten | Note


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a run made."""

    folder: str
    size_bytes: int
    type: ArtifactType
    rank: int | None
    """Of an adapter; None for a model."""
    metrics: Mapping[str, float]
    """The last value of each."""
    steps: int
    resumed_from_step: int
    """0 when it began at the beginning."""
    peak_memory_bytes: int
    """Of the GPU where there is one, else the resident memory of the process."""
    tokens_trained: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Why there is no result, and what to do."""

    reason: Reason
    message: str
