"""Merges of whole models: folders of safetensors, one tensor in memory at a time."""

import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from touchstone_runtime import folders

from touchstone_finetuning.core import merging
from touchstone_finetuning.core.merging import Array
from touchstone_finetuning.core.outcome import ArtifactType, Reason, Result
from touchstone_finetuning.core.recipe import MergeRecipe, MergeType
from touchstone_finetuning.training import durable, resident, weights
from touchstone_finetuning.training.faults import TrainingFault
from touchstone_finetuning.training.weights import Tensor, Weights


def run(recipe: MergeRecipe) -> Result:
    """Merge and publish.

    Raises:
        TrainingFault: the models are not of one shape.
    """
    models = [Weights(Path(model.path)) for model in recipe.models]
    base = Weights(Path(recipe.base)) if recipe.base else None
    for model in (*models[1:], *([base] if base else [])):
        _compare(models[0], model)
    output = Path(recipe.output)
    staged = output.with_name(f".{output.name}.partial")
    durable.remove(staged)
    # What is beside the weights (configuration, tokenizer) is the first model's.
    ignored = shutil.ignore_patterns("*.safetensors", weights.INDEX, "*.gguf", "*.bin", "README.md", "lineage.json")
    shutil.copytree(models[0].folder, staged, ignore=ignored)
    weights.save(staged, _merged(recipe, models, base))
    (staged / "README.md").write_text(_card(recipe), encoding="utf-8")
    (staged / "lineage.json").write_text(json.dumps(dict(recipe.lineage), indent=2, sort_keys=True) + "\n")
    durable.publish(staged, output)
    return Result(
        folder=str(output),
        size_bytes=folders.size_bytes(output),
        type=ArtifactType.MODEL,
        rank=None,
        metrics={},
        steps=0,
        resumed_from_step=0,
        peak_memory_bytes=resident.peak_bytes(),
        tokens_trained=0,
    )


def _compare(first: Weights, other: Weights) -> None:
    if first.names != other.names:
        raise TrainingFault(
            Reason.BASE_MODEL_INVALID,
            f"{first.folder.name!r} and {other.folder.name!r} have different tensors. Merge models of one base only.",
        )


def _merged(recipe: MergeRecipe, models: list[Weights], base: Weights | None) -> Iterator[tuple[str, Tensor]]:
    for name in models[0].names:
        given = [model.tensor(name) for model in models]
        origin = base.tensor(name) if base else None
        shapes = {each.numbers.shape for each in (*given, *([origin] if origin else []))}
        if len(shapes) > 1:
            raise TrainingFault(
                Reason.BASE_MODEL_INVALID, f"{name} has different shapes: {shapes}. Merge models of one base only."
            )
        made = _merge(recipe, name, [each.numbers for each in given], origin.numbers if origin else None)
        yield name, Tensor(made, given[0].kind)


def _merge(recipe: MergeRecipe, name: str, arrays: list[Array], base: Array | None) -> Array:
    shares = [model.weight for model in recipe.models]
    densities = [model.density for model in recipe.models]
    if recipe.type is MergeType.SLERP:
        return merging.slerp(arrays[0], arrays[1], shares[1])
    if recipe.type is MergeType.LINEAR or base is None:
        return merging.linear(arrays, shares, normalize=recipe.normalize)
    if recipe.type is MergeType.TASK_ARITHMETIC:
        return merging.task_arithmetic(base, arrays, shares)
    if recipe.type is MergeType.TIES:
        return merging.ties(base, arrays, shares, densities, normalize=recipe.normalize)
    elects_sign = recipe.type is MergeType.DARE_TIES
    random = _random(recipe.seed, name)
    return merging.dare(
        base, arrays, shares, densities, elects_sign=elects_sign, normalize=recipe.normalize, random=random
    )


def _random(seed: int, name: str) -> np.random.Generator:
    """Chance of one tensor's own: it stays the same whatever tensors there are before it."""
    return np.random.default_rng([seed, *hashlib.sha256(name.encode()).digest()])


def _card(recipe: MergeRecipe) -> str:
    rows = "\n".join(f"| {Path(each.path).name} | {each.weight} | {each.density} |" for each in recipe.models)
    return (
        f"# Merge ({recipe.type})\n\nModel made by Touchstone by merging others; base: "
        f"{Path(recipe.base).name if recipe.base else 'none'}; seed {recipe.seed}; normalised: {recipe.normalize}.\n\n"
        f"| model | weight | density |\n| --- | --- | --- |\n{rows}\n\n"
        "Whether it is good enough to serve, an EvalRun says.\n"
    )
