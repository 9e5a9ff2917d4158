"""From a request and what was fetched for it to the trainer's recipe. Pure."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from touchstone_finetuning.core.recipe import Checkpointing, Recipe, Resume
from touchstone_finetuning.core.results import Provenance
from touchstone_finetuning.core.spec import TrainingSpec

OUTPUT = "output"
"""Where the trainer puts what it made, in the workspace."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Where trainers run."""

    threads: int
    image: str
    """With its digest; empty where there is none."""
    code_version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Materials:
    """What a training needs, on this machine."""

    base: Path
    train: Sequence[Path]
    validation: Sequence[Path]
    workspace: Path
    checkpoints: Path
    """Where checkpoints are kept."""


def recipe(spec: TrainingSpec, materials: Materials, origin: Provenance, *, threads: int) -> Recipe:
    """Write the recipe of a training."""
    return Recipe(
        method=spec.method,
        base=str(materials.base),
        train=tuple(map(str, materials.train)),
        validation=tuple(map(str, materials.validation)),
        format=spec.format,
        adapter=spec.adapter,
        hyperparameters=spec.hyperparameters,
        checkpoint=Checkpointing(
            folder=str(materials.checkpoints),
            interval_steps=spec.interval_steps,
            resume=Resume.NEVER if spec.start_afresh else Resume.IF_EXISTS,
        ),
        output=str(materials.workspace / OUTPUT),
        threads=threads,
        lineage={
            "base": spec.base.uri,
            "data": spec.data.uri,
            **{name: str(value) for name, value in asdict(origin).items() if value != ""},
        },
    )
