"""Merges of whole models: folders of safetensors, one tensor in memory at a time."""

import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from touchstone_finetuning.core import merging
from touchstone_finetuning.core.merging import Array
from touchstone_finetuning.core.outcome import ArtifactType, Reason, Result
from touchstone_finetuning.core.recipe import MergeRecipe, MergeType
from touchstone_finetuning.training import durable
from touchstone_finetuning.training.faults import TrainingFault, base_invalid
from touchstone_finetuning.training.memory import peak_bytes

SHARD_BYTES = 2 * 2**30
INDEX = "model.safetensors.index.json"


class Weights:
    """The tensors of one model, read as they are asked for."""

    def __init__(self, folder: Path) -> None:
        files = sorted(folder.glob("*.safetensors"))
        if not (folder / "config.json").is_file() or not files:
            raise base_invalid(folder, "it is no folder with a config.json and safetensors.")
        self.folder = folder
        self._files: dict[str, Path] = {}
        for file in files:
            with safe_open(file, framework="pt") as opened:
                self._files.update(dict.fromkeys(opened.keys(), file))

    @property
    def names(self) -> list[str]:
        """The names of all tensors."""
        return sorted(self._files)

    def tensor(self, name: str) -> torch.Tensor:
        """Read one tensor."""
        with safe_open(self._files[name], framework="pt") as opened:
            tensor: torch.Tensor = opened.get_tensor(name)
            return tensor


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
    ignored = shutil.ignore_patterns("*.safetensors", INDEX, "*.gguf", "*.bin", "README.md", "lineage.json")
    shutil.copytree(models[0].folder, staged, ignore=ignored)
    _save(staged, _merged(recipe, models, base))
    (staged / "README.md").write_text(_card(recipe), encoding="utf-8")
    (staged / "lineage.json").write_text(json.dumps(dict(recipe.lineage), indent=2, sort_keys=True) + "\n")
    durable.publish(staged, output)
    return Result(
        folder=str(output),
        size_bytes=durable.size_bytes(output),
        type=ArtifactType.MODEL,
        rank=None,
        metrics={},
        steps=0,
        resumed_from_step=0,
        peak_memory_bytes=peak_bytes(),
        tokens_trained=0,
    )


def _compare(first: Weights, other: Weights) -> None:
    if first.names != other.names:
        raise TrainingFault(
            Reason.BASE_MODEL_INVALID,
            f"{first.folder.name!r} and {other.folder.name!r} have different tensors. Merge models of one base only.",
        )


def _merged(recipe: MergeRecipe, models: list[Weights], base: Weights | None) -> Iterator[tuple[str, torch.Tensor]]:
    for name in models[0].names:
        given = [model.tensor(name) for model in models]
        origin = base.tensor(name) if base else None
        shapes = {tuple(tensor.shape) for tensor in (*given, *([origin] if origin is not None else []))}
        if len(shapes) > 1:
            raise TrainingFault(
                Reason.BASE_MODEL_INVALID, f"{name} has different shapes: {shapes}. Merge models of one base only."
            )
        arrays = [_array(tensor) for tensor in given]
        made = _merge(recipe, name, arrays, None if origin is None else _array(origin))
        yield name, torch.from_numpy(np.ascontiguousarray(made)).to(given[0].dtype)


def _merge(recipe: MergeRecipe, name: str, arrays: list[Array], base: Array | None) -> Array:
    weights = [model.weight for model in recipe.models]
    densities = [model.density for model in recipe.models]
    if recipe.type is MergeType.SLERP:
        return merging.slerp(arrays[0], arrays[1], weights[1])
    if recipe.type is MergeType.LINEAR or base is None:
        return merging.linear(arrays, weights, normalize=recipe.normalize)
    if recipe.type is MergeType.TASK_ARITHMETIC:
        return merging.task_arithmetic(base, arrays, weights)
    if recipe.type is MergeType.TIES:
        return merging.ties(base, arrays, weights, densities, normalize=recipe.normalize)
    elects_sign = recipe.type is MergeType.DARE_TIES
    random = _random(recipe.seed, name)
    return merging.dare(
        base, arrays, weights, densities, elects_sign=elects_sign, normalize=recipe.normalize, random=random
    )


def _random(seed: int, name: str) -> np.random.Generator:
    """Chance of one tensor's own: it stays the same whatever tensors there are before it."""
    return np.random.default_rng([seed, *hashlib.sha256(name.encode()).digest()])


def _array(tensor: torch.Tensor) -> Array:
    array: Array = tensor.float().numpy()
    return array


def _save(folder: Path, tensors: Iterator[tuple[str, torch.Tensor]]) -> None:
    """Write tensors in files of a bounded size, and where each is."""
    places: dict[str, str] = {}
    held: dict[str, torch.Tensor] = {}
    count = total = size = 0
    for name, tensor in tensors:
        if held and size + tensor.nbytes > SHARD_BYTES:
            count, size = _shard(folder, held, count, places), 0
        held[name] = tensor
        size += tensor.nbytes
        total += tensor.nbytes
    if not count:
        save_file(held, folder / "model.safetensors", metadata={"format": "pt"})
        return
    _shard(folder, held, count, places)
    (folder / INDEX).write_text(json.dumps({"metadata": {"total_size": total}, "weight_map": places}, indent=2))


def _shard(folder: Path, held: dict[str, torch.Tensor], count: int, places: dict[str, str]) -> int:
    name = f"model-{count + 1:05d}.safetensors"
    save_file(held, folder / name, metadata={"format": "pt"})
    places.update(dict.fromkeys(held, name))
    held.clear()
    return count + 1


def _card(recipe: MergeRecipe) -> str:
    rows = "\n".join(f"| {Path(each.path).name} | {each.weight} | {each.density} |" for each in recipe.models)
    return (
        f"# Merge ({recipe.type})\n\nModel made by Touchstone by merging others; base: "
        f"{Path(recipe.base).name if recipe.base else 'none'}; seed {recipe.seed}; normalised: {recipe.normalize}.\n\n"
        f"| model | weight | density |\n| --- | --- | --- |\n{rows}\n\n"
        "Whether it is good enough to serve, an EvalRun says.\n"
    )
