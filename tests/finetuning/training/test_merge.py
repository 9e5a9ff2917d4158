"""Merges of whole models on disk."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from peft.utils import merge_utils
from safetensors.torch import load_file, save_file
from touchstone_finetuning.core import codec, outcome
from touchstone_finetuning.core.recipe import MergedModel, MergeRecipe, MergeType, Method, Quantization
from touchstone_finetuning.training import bases, merge, weights
from touchstone_finetuning.training.__main__ import main
from touchstone_finetuning.training.faults import TrainingFault
from transformers import LlamaForCausalLM

Tensors = dict[str, torch.Tensor]
TWO = (MergedModel(path="one", density=0.5), MergedModel(path="other", density=0.5))


@pytest.fixture(scope="module")
def models(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base and two models that differ from it everywhere."""
    folder = tmp_path_factory.mktemp("models")
    for name, seed in (("base", 0), ("one", 1), ("other", 2)):
        model = LlamaForCausalLM.from_pretrained(tiny_base, dtype=torch.float32)
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.1)
        model.save_pretrained(folder / name)
        bases.load_tokenizer(tiny_base).save_pretrained(folder / name)
    return folder


def merged(place: Path, tmp_path: Path, **changes: object) -> tuple[MergeRecipe, Tensors]:
    given = MergeRecipe(method=Method.MERGE, models=TWO, type=MergeType.LINEAR, output=str(tmp_path / "merged"))
    recipe = replace(given, **changes)
    placed = tuple(replace(model, path=str(place / model.path)) for model in recipe.models)
    recipe = replace(recipe, models=placed, base=str(place / "base"))
    merge.run(recipe)
    return recipe, load_file(Path(recipe.output) / "model.safetensors")


def vectors(models: Path) -> tuple[Tensors, list[Tensors]]:
    base = load_file(models / "base" / "model.safetensors")
    others = [load_file(models / name / "model.safetensors") for name in ("one", "other")]
    return base, [{name: other[name] - base[name] for name in base} for other in others]


def assert_same(got: Tensors, expected: Tensors) -> None:
    assert got.keys() == expected.keys()
    for name, values in got.items():
        torch.testing.assert_close(values, expected[name], atol=1e-6, rtol=0)


def test_task_arithmetic_is_what_peft_makes(models: Path, tmp_path: Path) -> None:
    _, got = merged(models, tmp_path, type=MergeType.TASK_ARITHMETIC)
    base, learnt = vectors(models)
    ones = torch.ones(2)
    assert_same(got, {n: base[n] + merge_utils.task_arithmetic([v[n] for v in learnt], ones) for n in base})


def test_ties_is_what_peft_makes(models: Path, tmp_path: Path) -> None:
    _, got = merged(models, tmp_path, type=MergeType.TIES)
    base, learnt = vectors(models)
    ones = torch.ones(2)
    assert_same(got, {n: base[n] + merge_utils.ties([v[n] for v in learnt], ones, density=0.5) for n in base})


@pytest.mark.parametrize("kind", [MergeType.DARE_LINEAR, MergeType.DARE_TIES])
def test_dare_drops_the_same_for_the_same_seed_only(models: Path, tmp_path: Path, kind: MergeType) -> None:
    first, again, other = (
        merged(models, tmp_path / str(i), type=kind, seed=seed)[1] for i, seed in enumerate((1, 1, 2))
    )
    assert_same(first, again)
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_what_is_made_is_a_model_and_says_of_what(models: Path, tmp_path: Path) -> None:
    recipe, _ = merged(models, tmp_path, type=MergeType.SLERP, lineage={"one": "sha256:1"})
    folder = Path(recipe.output)
    assert bases.load_model(folder, dtype=torch.float32, quantization=Quantization.NONE).num_parameters() > 0
    assert bases.load_tokenizer(folder).chat_template
    assert "| other | 1.0 | 0.5 |" in (folder / "README.md").read_text()
    assert json.loads((folder / "lineage.json").read_text()) == {"one": "sha256:1"}


def test_models_of_different_bases_are_refused(models: Path, tmp_path: Path, smollm: LlamaForCausalLM) -> None:
    smollm.save_pretrained(tmp_path / "large")
    with pytest.raises(TrainingFault, match="different tensors"):
        merged(models, tmp_path, models=(*TWO, MergedModel(path=str(tmp_path / "large"))))


def test_the_program_merges_from_its_workspace(models: Path, tmp_path: Path) -> None:
    recipe, _ = merged(models, tmp_path, type=MergeType.LINEAR)
    (tmp_path / outcome.RECIPE).write_text(codec.to_json(recipe))
    assert main(tmp_path) == outcome.EXIT_DONE
    assert codec.from_json((tmp_path / outcome.RESULT).read_text(), outcome.Result).steps == 0


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_numbers_are_read_and_rounded_as_torch_does_it(tmp_path: Path, dtype: torch.dtype) -> None:
    random = torch.Generator().manual_seed(3)
    values = torch.cat([torch.randn(5000, generator=random) * 10.0**power for power in (-40, -6, 0, 3)])
    special = torch.tensor([0.0, -0.0, float("inf"), float("-inf"), float("nan"), 1 + 2**-8, 1 + 3 * 2**-8])
    exact = torch.cat([values, special])
    (tmp_path / "config.json").write_text("{}")
    save_file({"kept": exact.to(dtype)}, tmp_path / "model.safetensors")
    tensor = weights.Weights(tmp_path).tensor("kept")
    torch.testing.assert_close(
        torch.from_numpy(tensor.numbers), exact.to(dtype).float(), rtol=0, atol=0, equal_nan=True
    )
    (tmp_path / "written").mkdir()
    weights.save(tmp_path / "written", iter([("kept", weights.Tensor(exact.numpy(), tensor.kind))]))
    written = load_file(tmp_path / "written" / "model.safetensors")["kept"]
    torch.testing.assert_close(written, exact.to(dtype), rtol=0, atol=0, equal_nan=True)
