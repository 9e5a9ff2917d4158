"""Adapters for llama.cpp: they do there what they do in peft."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from touchstone_finetuning.training import gguf_adapter
from touchstone_finetuning.training.gguf_layout import FAMILIES, Layout, Shape

SHAPE = Shape(layers=30, heads=9, kv_heads=3)
TEXTS = ["The capital of France is", "Two and two make", "<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n"]
SERVICES = Path(__file__).parents[3] / ".venv" / "bin" / "python"
"""The environment that has llama.cpp."""


@pytest.fixture(scope="module")
def adapted(smollm: Any) -> Iterator[PeftModel]:
    """SmolLM2 with an adapter that changes what is attended to, by random numbers."""
    torch.manual_seed(5)
    config = LoraConfig(r=4, lora_alpha=12, target_modules=["q_proj", "k_proj", "down_proj"], init_lora_weights=False)
    adapted = get_peft_model(smollm, config)
    yield adapted
    adapted.unload()


@pytest.fixture(scope="module")
def prompts(tokenizer: Any) -> list[list[int]]:
    return [tokenizer(text, add_special_tokens=False)["input_ids"] for text in TEXTS]


def by_peft(model: torch.nn.Module, prompts: list[list[int]]) -> list[torch.Tensor]:
    with torch.no_grad():
        return [model(torch.tensor([prompt])).logits[0, -1].log_softmax(-1) for prompt in prompts]


def by_llamacpp(base: Path, adapter: Path | None, prompts: list[list[int]]) -> list[dict[int, float]]:
    if not SERVICES.exists():
        pytest.skip("the environment of the services, which has llama.cpp, is not made (`make setup`)")
    command = [str(SERVICES), str(Path(__file__).with_name("llamacpp_scores.py")), str(base)]
    environ = {**os.environ, "OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "0"}
    said = subprocess.run(
        [*command, str(adapter)] if adapter else command,
        input=json.dumps(prompts), check=True, capture_output=True, text=True, env=environ,
    )  # fmt: skip
    return [{int(token): value for token, value in each.items()} for each in json.loads(said.stdout.splitlines()[-1])]


def distance(theirs: list[dict[int, float]], ours: list[torch.Tensor]) -> float:
    """The mean difference of log-probabilities, over the tokens that llama.cpp finds most probable."""
    pairs = zip(theirs, ours, strict=True)
    return float(np.mean([abs(value - float(mine[token])) for each, mine in pairs for token, value in each.items()]))


def test_llamacpp_says_with_the_adapter_what_peft_says(
    gguf_base: Path, adapted: PeftModel, prompts: list[list[int]], tmp_path: Path
) -> None:
    adapted.save_pretrained(tmp_path, save_embedding_layers=False)
    right, wrong = tmp_path / "right.gguf", tmp_path / "wrong.gguf"
    gguf_adapter.convert(tmp_path, right, Layout(FAMILIES["llama"], SHAPE))
    gguf_adapter.convert(tmp_path, wrong, Layout(FAMILIES["llama"]._replace(is_permuted=False), SHAPE))
    expected = by_peft(adapted, prompts)
    with adapted.disable_adapter():
        plain = by_peft(adapted, prompts)
    # llama.cpp multiplies four-bit weights with eight-bit activations, torch floats: the base alone shows by how much.
    noise = distance(by_llamacpp(gguf_base, None, prompts), plain)
    told = distance(by_llamacpp(gguf_base, right, prompts), expected)
    mistold = distance(by_llamacpp(gguf_base, wrong, prompts), expected)
    unchanged = distance(by_llamacpp(gguf_base, None, prompts), expected)
    assert told < 2 * noise
    assert mistold > 4 * told
    assert unchanged > 4 * told
