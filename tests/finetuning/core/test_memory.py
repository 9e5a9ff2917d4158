"""The estimate of memory: what it counts, by hand."""

from dataclasses import replace

import pytest
from touchstone_finetuning.core import memory
from touchstone_finetuning.core.memory import Load, Low, Shape

SMOLLM = Shape(
    layers=30, hidden=576, intermediate=1536, heads=9, kv_heads=3, head_size=64, vocabulary=49152, is_tied=True
)
CPU = Load(sequences=2, length=128, is_gpu=False, recomputes=False, has_reference=False)
LORA = Low(rank=8, has_dropout=False, modules=None)


def test_parameters_are_those_of_the_model_but_its_norms() -> None:
    """SmolLM2-135M has 134,515,008; its norms are 61 vectors of 576."""
    assert SMOLLM.parameters == 134_515_008 - 61 * 576


def test_all_weights_take_sixteen_bytes_and_their_root() -> None:
    """4 a weight, 4 its gradient, 8 its two moments (AdamW, fp32); and the step of the largest parameter."""
    counted = memory.estimate(SMOLLM, CPU, None)
    assert counted.weights == 4 * SMOLLM.parameters
    assert counted.optimizer == 8 * SMOLLM.parameters
    assert counted.gradients == 4 * SMOLLM.parameters + 4 * 49152 * 576


def test_an_adapter_trains_only_its_own() -> None:
    """Rank times inputs and outputs of each module; peft counts 2,442,240 for rank 8 on all linear layers."""
    counted = memory.estimate(SMOLLM, CPU, LORA)
    assert counted.optimizer == 8 * 2_442_240
    assert counted.weights == 4 * (SMOLLM.parameters + 2_442_240)


def test_activations_are_those_that_autograd_keeps() -> None:
    """Counted by hooks on saved tensors of transformers 5.19 for 256 tokens: 294.5 MiB with an adapter, 327.8 without."""
    assert memory.estimate(SMOLLM, CPU, LORA).activations / 2**20 == pytest.approx(294.5, rel=0.01)
    assert memory.estimate(SMOLLM, CPU, None).activations / 2**20 == pytest.approx(327.8, rel=0.01)


def test_recomputing_keeps_one_input_a_layer() -> None:
    least = memory.estimate(SMOLLM, replace(CPU, recomputes=True), LORA).activations
    assert least < memory.estimate(SMOLLM, CPU, LORA).activations / 8
    assert least > 30 * 256 * 576 * 4


def test_a_reference_is_a_second_copy_of_the_weights() -> None:
    with_it = memory.estimate(SMOLLM, replace(CPU, has_reference=True), None)
    assert with_it.weights == 2 * memory.estimate(SMOLLM, CPU, None).weights


def test_four_bits_shrink_the_frozen_weights_of_layers() -> None:
    gpu = replace(CPU, is_gpu=True)
    plain, small = (memory.estimate(SMOLLM, gpu, replace(LORA, is_nf4=is_nf4)).weights for is_nf4 in (False, True))
    assert plain - small == pytest.approx(SMOLLM.in_layers * (2 - 0.516), rel=0.01)


def test_a_long_batch_is_made_in_tiles() -> None:
    long = memory.estimate(SMOLLM, replace(CPU, sequences=64, length=1024), LORA)
    assert long.logits == 4096 * 32768 * 4 * 8


def test_more_of_anything_never_takes_less() -> None:
    before = memory.estimate(SMOLLM, CPU, LORA).total
    for more in (replace(CPU, sequences=4), replace(CPU, length=256), replace(CPU, is_dequantised=True)):
        assert memory.estimate(SMOLLM, more, LORA).total >= before
    assert memory.estimate(SMOLLM, CPU, replace(LORA, has_dropout=True)).total > before
