"""Each method does what it is for, on models small enough to see it here."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from touchstone_finetuning.core.outcome import ArtifactType, Reason, Result
from touchstone_finetuning.core.recipe import Adapter, Format, Method, Quantization
from touchstone_finetuning.training import bases, running
from touchstone_finetuning.training.events import EventLog
from touchstone_finetuning.training.faults import TrainingFault
from touchstone_finetuning.training.stopping import Preemption

from .conftest import Making, Workspace, tickets

LORA = Adapter(rank=4, alpha=8.0)
PAIRS = [
    {"prompt": f"Name metal {i}.", "chosen": f"It is gold {i}, and it shines.", "rejected": f"No idea {i}."}
    for i in range(12)
]
TEXTS = [{"text": f"Day {i}: the {who} weighs the {what} and writes it down."}
         for i in range(12) for who in ("clerk", "miller") for what in ("gold", "lead")]  # fmt: skip

pytestmark = pytest.mark.timeout(600)  # models are loaded and trained, on cores that others use too


def run(workspace: Workspace) -> Result:
    """Run in this process, which has loaded the libraries already."""
    with EventLog(workspace.folder) as log:
        result = running.run(workspace.recipe, log, Preemption())
    assert result is not None
    return result


@pytest.mark.parametrize("adapter", [LORA, None], ids=["adapter", "all weights"])
def test_dpo_widens_the_margin_between_chosen_and_rejected(
    make: Making, tiny_base: Path, adapter: Adapter | None
) -> None:
    workspace = make(
        tiny_base, PAIRS, method=Method.DPO, format=Format.PREFERENCE, adapter=adapter,
        numbers={"epochs": 4, "learning_rate": 5e-3 if adapter else 1e-3, "beta": 0.5},
    )  # fmt: skip
    result = run(workspace)
    margins = workspace.values("reward_margin")
    assert margins[0] == pytest.approx(0, abs=1e-4)  # the model is its own reference at first
    assert min(margins[-3:]) > 0.5
    assert workspace.values("train_loss")[0] == pytest.approx(
        math.log(2), abs=1e-4
    )  # Rafailov et al. 2023, eq. 7, at 0
    assert result.metrics["reward_accuracy"] == 1


def test_dpo_tells_when_length_goes_with_preference(make: Making, tiny_base: Path) -> None:
    pairs = [
        {"prompt": f"Name metal {i}.", "chosen": "gold " * (6 + 4 * (i % 3)), "rejected": "lead " * 5} for i in range(9)
    ]
    workspace = make(
        tiny_base, pairs, method=Method.DPO, format=Format.PREFERENCE, adapter=LORA,
        numbers={"epochs": 3, "learning_rate": 5e-3},
    )  # fmt: skip
    metrics = run(workspace).metrics
    assert metrics["length_difference"] == pytest.approx(5)
    assert metrics["length_bias"] > 0.5


def test_continued_pretraining_lowers_the_perplexity_of_text_it_has_not_seen(make: Making, tiny_base: Path) -> None:
    workspace = make(
        tiny_base, TEXTS[:40], held_out=TEXTS[40:], method=Method.CONTINUED_PRETRAINING, format=Format.TEXT,
        numbers={"epochs": 3, "learning_rate": 5e-3}, interval_steps=5,
    )  # fmt: skip
    result = run(workspace)
    losses = workspace.values("eval_loss")
    assert math.exp(losses[-1]) < math.exp(losses[0]) / 2
    assert result.type is ArtifactType.MODEL
    assert result.rank is None


def test_a_model_with_all_weights_trained_is_read_again(make: Making, tiny_base: Path) -> None:
    workspace = make(tiny_base, tickets(4), numbers={"max_steps": 2})
    run(workspace)
    trained = bases.load_model(workspace.output, dtype=torch.float32, quantization=Quantization.NONE)
    assert bases.load_tokenizer(workspace.output).chat_template
    before = load_file(tiny_base / "model.safetensors")
    after = load_file(workspace.output / "model.safetensors")
    assert all(not torch.equal(before[name], values) for name, values in after.items() if values.ndim > 1)
    assert trained.num_parameters() == sum(values.numel() for values in after.values())
    assert (workspace.output / "model.gguf").exists()


def test_packed_records_do_not_see_one_another(make: Making, tiny_base: Path, tokenizer: Any) -> None:
    """The loss of the first step is of the untrained model: packed or not, it must be the same."""
    steps = {"max_steps": 1, "batch_size": 8, "max_sequence_length": 128}
    alone = make(tiny_base, tickets(8), numbers=steps)
    packed = make(tiny_base, tickets(8), numbers={**steps, "packing": True})
    run(alone)
    run(packed)
    assert packed.values("train_loss") == pytest.approx(alone.values("train_loss"), rel=1e-5)


def test_an_adapter_is_learnt_over_a_base_of_four_bits(make: Making, tiny_base: Path) -> None:
    numbers = {"epochs": 12, "batch_size": 4, "learning_rate": 2e-2}
    small, plain = (
        make(tiny_base, tickets(8), adapter=Adapter(rank=8, quantization=quantization), numbers=numbers)
        for quantization in (Quantization.NF4, Quantization.NONE)
    )
    assert run(small).type is ArtifactType.LORA_ADAPTER
    run(plain)
    assert (small.output / "adapter.gguf").exists()
    found, whole = small.values("train_loss"), plain.values("train_loss")
    assert found[0] != whole[0], "the base is another one"
    assert found[0] == pytest.approx(whole[0], rel=1e-3), "and nearly the same"
    assert found[-1] < found[0] - 0.3


def test_four_bits_of_a_gguf_file_are_refused_with_the_reason(make: Making, gguf_base: Path) -> None:
    workspace = make(gguf_base, tickets(4), adapter=Adapter(rank=4, quantization=Quantization.NF4))
    with pytest.raises(TrainingFault, match="the base is a GGUF file") as raised:
        run(workspace)
    assert raised.value.fault.reason is Reason.METHOD_UNSUPPORTED


def test_layers_that_the_base_does_not_have_are_told_with_those_it_has(make: Making, tiny_base: Path) -> None:
    workspace = make(tiny_base, tickets(4), adapter=Adapter(rank=4, target_modules=("q_proj", "query")))
    with pytest.raises(TrainingFault, match=r"no linear layers \['query'\]. It has \['down_proj'") as raised:
        run(workspace)
    assert raised.value.fault.reason is Reason.RECIPE_INVALID


def test_a_run_whose_loss_is_no_number_ends_at_once(make: Making, tiny_base: Path) -> None:
    workspace = make(tiny_base, tickets(8), numbers={"learning_rate": 1e30, "epochs": 20})
    with pytest.raises(TrainingFault, match=r"Lower hyperparameters\.learning_rate") as raised:
        run(workspace)
    assert raised.value.fault.reason is Reason.TRAINING_DIVERGED
    assert not workspace.output.exists()


def test_a_finished_run_that_is_started_again_makes_the_same_without_a_step(make: Making, tiny_base: Path) -> None:
    workspace = make(tiny_base, tickets(6), held_out=tickets(8)[6:], numbers={"max_steps": 3, "warmup_ratio": 0.5})
    first = run(workspace)
    assert workspace.values("learning_rate")[:2] == pytest.approx([0.0, 2e-3 / 2])  # two steps up: half of three
    again = run(workspace)
    assert (again.resumed_from_step, again.steps) == (3, 3)
    assert again.metrics == first.metrics
    assert again.tokens_trained == first.tokens_trained
