"""Adapters for llama.cpp: they do there what they do in peft."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from touchstone_finetuning.training import gguf_adapter
from touchstone_finetuning.training.gguf_layout import FAMILIES, Layout, Shape

from . import peers

SHAPE = Shape(layers=30, heads=9, kv_heads=3)

pytestmark = pytest.mark.timeout(600)  # models are loaded and trained, on cores that others use too


@pytest.fixture(scope="module")
def adapted(smollm: Any) -> Iterator[PeftModel]:
    """SmolLM2 with an adapter that changes what is attended to, by random numbers."""
    torch.manual_seed(5)
    config = LoraConfig(r=4, lora_alpha=12, target_modules=["q_proj", "k_proj", "down_proj"], init_lora_weights=False)
    adapted = get_peft_model(smollm, config)
    yield adapted
    adapted.unload()


def test_llamacpp_says_with_the_adapter_what_peft_says(
    gguf_base: Path, adapted: PeftModel, tokenizer: Any, tmp_path: Path
) -> None:
    adapted.save_pretrained(tmp_path, save_embedding_layers=False)
    right, wrong = tmp_path / "right.gguf", tmp_path / "wrong.gguf"
    gguf_adapter.convert(tmp_path, right, Layout(FAMILIES["llama"], SHAPE))
    gguf_adapter.convert(tmp_path, wrong, Layout(FAMILIES["llama"]._replace(is_permuted=False), SHAPE))
    prompts = peers.prompts(tokenizer)
    expected = peers.by_torch(adapted, prompts)
    with adapted.disable_adapter():
        plain = peers.by_torch(adapted, prompts)
    base = peers.by_llamacpp(gguf_base, None, prompts)
    # llama.cpp multiplies four-bit weights with eight-bit activations, torch floats: the base alone shows by how much.
    noise = peers.distance(base, plain)
    told = peers.distance(peers.by_llamacpp(gguf_base, right, prompts), expected)
    mistold = peers.distance(peers.by_llamacpp(gguf_base, wrong, prompts), expected)
    assert told < 2 * noise
    assert mistold > 4 * told
    assert peers.distance(base, expected) > 4 * told
