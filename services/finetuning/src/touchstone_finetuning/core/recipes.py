"""From a request and what was fetched for it to the trainer's recipe. Pure."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from touchstone_finetuning.core.recipe import Checkpointing, MergedModel, MergeRecipe, Method, Recipe, Resume
from touchstone_finetuning.core.results import Provenance
from touchstone_finetuning.core.spec import Merge, TrainingSpec

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


def merge_recipe(
    spec: TrainingSpec, merge: Merge, models: Sequence[Path], base: Path, workspace: Path, origin: Provenance
) -> MergeRecipe:
    """Write the recipe of a merge.

    Args:
        spec: What was asked for.
        merge: Its merge.
        models: Where its models lie, in their order.
        base: What they were trained from.
        workspace: Where it is made.
        origin: What is known of all of them.
    """
    merged = (
        MergedModel(path=str(path), weight=asked.weight, density=asked.density)
        for path, asked in zip(models, merge.models, strict=True)
    )
    return MergeRecipe(
        method=Method.MERGE,
        models=tuple(merged),
        type=merge.type,
        output=str(workspace / OUTPUT),
        base=str(base),
        seed=spec.hyperparameters.seed,
        normalize=merge.is_normalized,
        lineage=_lineage(spec, origin)
        | {f"model {number}": each.source.uri for number, each in enumerate(merge.models)},
    )


def recipe(spec: TrainingSpec, materials: Materials, origin: Provenance, *, threads: int) -> Recipe:
    """Write the recipe of a training.

    Args:
        spec: What was asked for.
        materials: What is needed.
        origin: What is known of it all.
        threads: Of a training that names no cores.
    """
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
        threads=spec.resources.threads or threads,
        memory_bytes=spec.resources.memory_bytes,
        lineage=_lineage(spec, origin),
    )


def _lineage(spec: TrainingSpec, origin: Provenance) -> dict[str, str]:
    data = {"data": spec.data.uri} if spec.data else {}
    known = {name: str(value) for name, value in asdict(origin).items() if value != ""}
    return {"base": spec.base.uri, **data, **known}
