"""Recipes: as JSON and back, and what is refused."""

import json
from dataclasses import replace

import pytest
from touchstone_finetuning.core import codec, recipe, validation
from touchstone_finetuning.core.recipe import (
    Adapter,
    Checkpointing,
    Format,
    Hyperparameters,
    MergedModel,
    MergeRecipe,
    MergeType,
    Method,
    Recipe,
)

WHOLE = Recipe(
    method=Method.SFT,
    base="/models/base",
    train=("/data/a.jsonl", "/data/b.parquet"),
    validation=("/data/c.jsonl",),
    format=Format.CHATML,
    adapter=Adapter(rank=8, target_modules=("q_proj",)),
    hyperparameters=Hyperparameters(max_steps=10, learning_rate=1e-3),
    checkpoint=Checkpointing(folder="/checkpoints"),
    output="/out",
    lineage={"base": "sha256:1"},
)
MERGE = MergeRecipe(
    method=Method.MERGE, models=(MergedModel(path="/a", weight=0.5),), type=MergeType.LINEAR, output="/o"
)


@pytest.mark.parametrize("whole", [WHOLE, replace(WHOLE, adapter=None), MERGE])
def test_a_recipe_comes_back_from_json_as_it_was(whole: Recipe | MergeRecipe) -> None:
    assert recipe.read(codec.to_json(whole)) == whole


def test_what_is_left_out_has_its_default() -> None:
    fields = {
        "method": "ContinuedPretraining", "base": "b", "train": ["t"], "format": "Text",
        "checkpoint": {"folder": "c"}, "output": "o", "hyperparameters": {"learning_rate": 1},
    }  # fmt: skip
    read = recipe.read(json.dumps(fields))
    assert isinstance(read, Recipe)
    assert read.adapter is None
    assert read.hyperparameters == Hyperparameters(learning_rate=1.0)
    assert read.checkpoint.keep == 2


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"method": "Magic"}, "'Magic' is not a valid Method at method"),
        ({"learning_rate": 1}, "learning_rate"),
        ({"threads": "2"}, "must be int, not str at threads"),
        ({"threads": 2.0}, "must be int, not float at threads"),
        ({"hyperparameters": {"epochs": True}}, "must be int, not bool at hyperparameters.epochs"),
        ({"output": None}, "must be str, not NoneType at output"),
    ],
)
def test_what_json_does_not_say_rightly_is_told_with_its_place(change: dict[str, object], told: str) -> None:
    fields = json.loads(codec.to_json(WHOLE)) | change
    with pytest.raises(ValueError, match=told):
        recipe.read(json.dumps(fields))


def test_a_missing_field_is_told() -> None:
    fields = json.loads(codec.to_json(WHOLE))
    del fields["base"]
    with pytest.raises(ValueError, match=r"required field missing at base"):
        recipe.read(json.dumps(fields))


def test_a_good_recipe_has_no_faults() -> None:
    assert validation.faults(WHOLE) == []
    assert validation.faults(MERGE) == []


@pytest.mark.parametrize(
    ("bad", "field"),
    [
        (replace(WHOLE, format=Format.PREFERENCE), "format"),
        (replace(WHOLE, method=Method.DPO), "format"),
        (replace(WHOLE, method=Method.CONTINUED_PRETRAINING), "format"),
        (replace(WHOLE, method=Method.MERGE), "method"),
        (replace(WHOLE, train=()), "train"),
        (replace(WHOLE, threads=0), "threads"),
        (replace(WHOLE, adapter=Adapter(rank=0)), "adapter.rank"),
        (replace(WHOLE, adapter=Adapter(rank=513)), "adapter.rank"),
        (replace(WHOLE, adapter=Adapter(alpha=0.0)), "adapter.alpha"),
        (replace(WHOLE, adapter=Adapter(dropout=1.0)), "adapter.dropout"),
        (replace(WHOLE, adapter=Adapter(target_modules=())), "adapter.target_modules"),
        (replace(WHOLE, hyperparameters=Hyperparameters(max_steps=0)), "hyperparameters.max_steps"),
        (replace(WHOLE, hyperparameters=Hyperparameters(learning_rate=float("nan"))), "hyperparameters.learning_rate"),
        (replace(WHOLE, hyperparameters=Hyperparameters(seed=2**32)), "hyperparameters.seed"),
        (replace(WHOLE, hyperparameters=Hyperparameters(warmup_ratio=1.0)), "hyperparameters.warmup_ratio"),
        (replace(WHOLE, checkpoint=Checkpointing(folder="c", interval_steps=0)), "checkpoint.interval_steps"),
        (replace(MERGE, models=()), "models"),
        (replace(MERGE, type=MergeType.SLERP), "models"),
        (replace(MERGE, type=MergeType.TIES), "base"),
        (replace(MERGE, models=(MergedModel(path="/a", density=0.0),)), "models[0].density"),
    ],
)
def test_each_fault_names_its_field(bad: Recipe | MergeRecipe, field: str) -> None:
    assert [fault.field for fault in validation.faults(bad)] == [field]
