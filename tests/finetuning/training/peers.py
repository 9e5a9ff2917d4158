"""What torch and llama.cpp say comes after a prompt, and how far they are apart."""

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

TEXTS = ["The capital of France is", "Two and two make", "<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n"]
SERVICES = Path(__file__).parents[3] / ".venv" / "bin" / "python"
"""The environment that has llama.cpp."""

Prompts = Sequence[Sequence[int]]


def prompts(tokenizer: Any) -> Prompts:
    """Code the texts."""
    return [tokenizer(text, add_special_tokens=False)["input_ids"] for text in TEXTS]


def by_torch(model: torch.nn.Module, asked: Prompts) -> list[torch.Tensor]:
    """Log-probabilities of all tokens after each prompt."""
    with torch.no_grad():
        return [model(torch.tensor([prompt])).logits[0, -1].log_softmax(-1) for prompt in asked]


def by_llamacpp(model: Path, adapter: Path | None, asked: Prompts) -> list[dict[int, float]]:
    """Log-probabilities of the most probable tokens after each prompt."""
    options = [str(adapter)] if adapter else []
    said = _llamacpp("llamacpp_scores.py", [str(model), *options], asked)
    return [{int(token): value for token, value in each.items()} for each in said]


def llamacpp_tokens(model: Path, texts: Sequence[str]) -> list[list[int]]:
    """The tokens that llama.cpp cuts texts into."""
    found: list[list[int]] = _llamacpp("llamacpp_tokens.py", [str(model)], texts)
    return found


def _llamacpp(program: str, arguments: Sequence[str], asked: object) -> Any:
    """Ask a program in the environment that has llama.cpp."""
    if not SERVICES.exists():
        pytest.skip("the environment of the services, which has llama.cpp, is not made (`make setup`)")
    said = subprocess.run(
        [str(SERVICES), str(Path(__file__).with_name(program)), *arguments],
        input=json.dumps(asked), check=True, capture_output=True, text=True,
        env={**os.environ, "OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "0"},
    )  # fmt: skip
    return json.loads(said.stdout.splitlines()[-1])


def distance(theirs: list[dict[int, float]], ours: list[torch.Tensor]) -> float:
    """The mean difference of log-probabilities, over the tokens that llama.cpp finds most probable."""
    pairs = zip(theirs, ours, strict=True)
    return float(np.mean([abs(value - float(mine[token])) for each, mine in pairs for token, value in each.items()]))
