"""What is refused before anything is loaded: every fault of a recipe, with its field and what to do. Pure."""

import math
from collections.abc import Iterator
from typing import NamedTuple

from touchstone_finetuning.core.recipe import (
    Adapter,
    Format,
    Hyperparameters,
    MergeRecipe,
    MergeType,
    Method,
    Recipe,
)

MAX_RANK = 512
MIN_SEQUENCE_LENGTH = 8

FORMATS = {
    Method.SFT: (Format.CHATML, Format.ALPACA, Format.TEXT),
    Method.DPO: (Format.PREFERENCE,),
    Method.CONTINUED_PRETRAINING: (Format.TEXT,),
}
NEEDS_BASE = (MergeType.TASK_ARITHMETIC, MergeType.TIES, MergeType.DARE_LINEAR, MergeType.DARE_TIES)


class Fault(NamedTuple):
    """One fault of one field."""

    field: str
    description: str


def faults(recipe: Recipe | MergeRecipe) -> list[Fault]:
    """List every fault of a recipe; none when it can be started."""
    return list(_merge(recipe) if isinstance(recipe, MergeRecipe) else _training(recipe))


def training(
    method: Method, record_format: Format, adapter: Adapter | None, numbers: Hyperparameters
) -> Iterator[Fault]:
    """List the faults of how a run is to train, whatever it trains on."""
    formats = FORMATS.get(method, ())
    if not formats:
        yield Fault("method", "A merge has its own fields: models, type, base.")
    elif record_format not in formats:
        yield Fault("format", f"{method} takes {' or '.join(formats)}, not {record_format}.")
    if adapter is not None:
        yield from _adapter(adapter)
    yield from _hyperparameters(numbers, method)


def _training(recipe: Recipe) -> Iterator[Fault]:
    yield from training(recipe.method, recipe.format, recipe.adapter, recipe.hyperparameters)
    if not recipe.train:
        yield Fault("train", "Name at least one file.")
    yield from _at_least(1, "checkpoint.interval_steps", recipe.checkpoint.interval_steps)
    yield from _at_least(1, "checkpoint.keep", recipe.checkpoint.keep)
    yield from _at_least(1, "threads", recipe.threads)


def _adapter(adapter: Adapter) -> Iterator[Fault]:
    if not 1 <= adapter.rank <= MAX_RANK:
        yield Fault("adapter.rank", f"Must be 1 to {MAX_RANK}, not {adapter.rank}.")
    yield from _positive("adapter.alpha", adapter.alpha)
    if not 0 <= adapter.dropout < 1:
        yield Fault("adapter.dropout", f"Must be at least 0 and under 1, not {adapter.dropout}.")
    if adapter.target_modules == ():
        yield Fault("adapter.target_modules", "Name at least one module, or leave it out for all linear layers.")


def _hyperparameters(numbers: Hyperparameters, method: Method) -> Iterator[Fault]:
    yield from _at_least(1, "hyperparameters.epochs", numbers.epochs)
    if numbers.max_steps is not None:
        yield from _at_least(1, "hyperparameters.max_steps", numbers.max_steps)
    yield from _at_least(1, "hyperparameters.batch_size", numbers.batch_size)
    yield from _at_least(1, "hyperparameters.gradient_accumulation", numbers.gradient_accumulation)
    length = numbers.max_sequence_length
    yield from _at_least(MIN_SEQUENCE_LENGTH, "hyperparameters.max_sequence_length", length)
    yield from _positive("hyperparameters.learning_rate", numbers.learning_rate)
    yield from _positive("hyperparameters.beta", numbers.beta)
    if not 0 <= numbers.seed < 2**32:
        yield Fault("hyperparameters.seed", f"Must be at least 0 and under 2^32, not {numbers.seed}.")
    if not 0 <= numbers.warmup_ratio < 1:
        yield Fault("hyperparameters.warmup_ratio", f"Must be at least 0 and under 1, not {numbers.warmup_ratio}.")
    if numbers.packing and method is Method.DPO:
        yield Fault("hyperparameters.packing", "DPO compares pairs and cannot pack them. Leave it out.")


def _merge(recipe: MergeRecipe) -> Iterator[Fault]:
    if recipe.method is not Method.MERGE:
        yield Fault("method", f"Must be {Method.MERGE}, not {recipe.method}.")
    if recipe.type is MergeType.SLERP and len(recipe.models) != 2:
        yield Fault("models", f"SLERP goes from one model to another: name two, not {len(recipe.models)}.")
    if not recipe.models:
        yield Fault("models", "Name at least one model.")
    if recipe.type in NEEDS_BASE and recipe.base is None:
        yield Fault("base", f"{recipe.type} works on differences to the base. Name it.")
    for i, model in enumerate(recipe.models):
        if not math.isfinite(model.weight):
            yield Fault(f"models[{i}].weight", "Must be a finite number.")
        if not 0 < model.density <= 1:
            yield Fault(f"models[{i}].density", f"Must be over 0 and at most 1, not {model.density}.")


def _at_least(least: int, name: str, value: int) -> Iterator[Fault]:
    if value < least:
        yield Fault(name, f"Must be at least {least}, not {value}.")


def _positive(name: str, value: float) -> Iterator[Fault]:
    if not (math.isfinite(value) and value > 0):
        yield Fault(name, f"Must be over 0, not {value}.")
