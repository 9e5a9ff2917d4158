"""The card of an artefact: what it is, of what it was made, how, and how well it does. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import PurePath

from touchstone_finetuning.core.recipe import Recipe


def render(recipe: Recipe, *, metrics: Mapping[str, float], steps: int) -> str:
    """Write the card of a training run in Markdown."""
    base = recipe.lineage.get("base", PurePath(recipe.base).name)
    kind = "LoRA adapter" if recipe.adapter else "Model"
    lines = [
        f"# {kind} from {PurePath(base).name}",
        "",
        f"{kind} made by Touchstone with {recipe.method} in {steps} steps.",
        "",
        *_table("Made of", _origins(recipe, base)),
        *_table("Made how", _numbers(recipe)),
        *_table("Measured", ((name, f"{value:.6g}") for name, value in sorted(metrics.items()))),
        *_table("Lineage", sorted(recipe.lineage.items())),
        "The metrics are of the training itself. Whether it is good enough to serve, an EvalRun says.",
    ]
    return "\n".join(lines) + "\n"


def _origins(recipe: Recipe, base: str) -> Iterator[tuple[str, str]]:
    yield "base", base
    yield "data", ", ".join(PurePath(path).name for path in recipe.train)
    if recipe.validation:
        yield "held out", ", ".join(PurePath(path).name for path in recipe.validation)
    yield "format", recipe.format


def _numbers(recipe: Recipe) -> Iterator[tuple[str, str]]:
    for part in (recipe.hyperparameters, recipe.adapter):
        if part is None:
            continue
        for field in fields(part):
            value = getattr(part, field.name)
            yield field.name, ", ".join(value) if isinstance(value, tuple) else str(value)


def _table(title: str, rows: Iterator[tuple[str, str]] | list[tuple[str, str]]) -> list[str]:
    body = [f"| {name} | {value} |" for name, value in rows]
    return [f"## {title}", "", "| | |", "| --- | --- |", *body, ""] if body else []
