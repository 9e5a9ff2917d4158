"""Shapes are held to what models publish."""

import json

import pytest
from touchstone_inference.planner.core import shapes
from touchstone_inference.planner.core.known import KNOWN
from touchstone_runtime.errors import Invalid

PUBLISHED_BILLIONS = {
    "smollm2-135m": 0.1345,
    "llama-2-7b": 6.738,
    "llama-2-13b": 13.016,
    "llama-2-70b": 68.977,
    "llama-3.1-8b": 8.030,
    "llama-3.1-70b": 70.554,
    "qwen2.5-7b": 7.616,
    "qwen3-30b-a3b": 30.53,
    "mixtral-8x7b": 46.703,
}
"""Parameters as the safetensors of each model count them."""


@pytest.mark.parametrize(("name", "billions"), PUBLISHED_BILLIONS.items())
def test_a_known_model_has_as_many_parameters_as_its_weights_say(name: str, billions: float) -> None:
    assert KNOWN[name].parameters / 1e9 == pytest.approx(billions, rel=0.002)


def test_every_known_model_is_held_to_its_weights() -> None:
    assert KNOWN.keys() == PUBLISHED_BILLIONS.keys()


def test_a_config_file_says_the_same_as_the_table() -> None:
    config = {
        "model_type": "llama", "hidden_act": "silu", "hidden_size": 4096, "intermediate_size": 14336,
        "num_attention_heads": 32, "num_hidden_layers": 32, "num_key_value_heads": 8, "vocab_size": 128256,
        "tie_word_embeddings": False, "max_position_embeddings": 131072,
    }  # fmt: skip
    assert shapes.read(json.dumps(config)) == KNOWN["llama-3.1-8b"]


def test_a_mixture_of_experts_reads_only_the_experts_that_its_tokens_pick() -> None:
    shape = KNOWN["mixtral-8x7b"]
    dense = shape.layers * shape.attention_parameters + shape.head_parameters
    one = (shape.touched_parameters(1) - dense) / shape.layers / shape.expert_parameters
    many = (shape.touched_parameters(1000) - dense) / shape.layers / shape.expert_parameters
    assert one == pytest.approx(2)
    assert many == pytest.approx(8)
    # Published: 12.9 billion active parameters, embeddings included (Jiang et al. 2024).
    assert (shape.active_parameters + 2 * shape.head_parameters) / 1e9 == pytest.approx(12.9, rel=0.005)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is no JSON"),
        ("[]", "must be a JSON object"),
        ('{"hidden_size": 8, "num_attention_heads": 2, "vocab_size": 9}', "has no num_hidden_layers"),
        ('{"hidden_size": -1, "num_attention_heads": 2}', "must be 1 or more"),
        ('{"hidden_size": "8", "num_attention_heads": 2}', "must be a whole number"),
        ('{"hidden_size": 8, "kv_lora_rank": 512}', "multi-head latent attention is not estimated"),
        ('{"hidden_size": 8, "n_shared_experts": 1}', "shared experts is not estimated"),
    ],
)
def test_a_config_that_cannot_be_estimated_is_refused_with_the_reason(text: str, said: str) -> None:
    with pytest.raises(Invalid, match=said) as refused:
        shapes.read(text)
    assert [violation.field for violation in refused.value.violations] == ["model_config"]


def test_the_real_config_of_a_model_is_read() -> None:
    """SmolLM2-135M's own file, as its authors published it."""
    config = {
        "architectures": ["LlamaForCausalLM"], "attention_bias": False, "attention_dropout": 0.0, "bos_token_id": 1,
        "eos_token_id": 2, "hidden_act": "silu", "hidden_size": 576, "initializer_range": 0.041666666666666664,
        "intermediate_size": 1536, "is_llama_config": True, "max_position_embeddings": 8192, "model_type": "llama",
        "num_attention_heads": 9, "num_hidden_layers": 30, "num_key_value_heads": 3, "pad_token_id": 2,
        "rms_norm_eps": 1e-05, "rope_theta": 100000, "tie_word_embeddings": True, "vocab_size": 49152,
    }  # fmt: skip
    assert shapes.read(json.dumps(config)) == KNOWN["smollm2-135m"]
