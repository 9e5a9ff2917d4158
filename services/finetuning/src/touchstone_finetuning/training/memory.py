"""Whether a run fits this machine: the estimate against what is free, before the weights are loaded."""

import ctypes
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil
import torch
from transformers import PretrainedConfig

from touchstone_finetuning.core import memory
from touchstone_finetuning.core.memory import Estimate, Load, Low, Shape
from touchstone_finetuning.core.outcome import Reason
from touchstone_finetuning.core.recipe import Method, Quantization, Recipe
from touchstone_finetuning.training import resident
from touchstone_finetuning.training.bases import GGUF
from touchstone_finetuning.training.faults import TrainingFault

LLAMA_LIKE = {
    "num_hidden_layers", "hidden_size", "intermediate_size", "num_attention_heads", "num_key_value_heads", "vocab_size",
    "tie_word_embeddings",
}  # fmt: skip
"""What the configuration of a model says that is built like a llama."""

CGROUP = Path("/sys/fs/cgroup")
M_MMAP_THRESHOLD = -3
"""Of glibc's malloc.h."""
LARGE_BYTES = 256 * 1024


def require(recipe: Recipe, config: PretrainedConfig, *, longest: int) -> str:
    """Hold the estimate of a run's peak against what is free; returns what to note of it.

    On a CPU, where only the least would fit, memory is given back at once from then on, which takes time.

    Args:
        recipe: What is to be run.
        config: The base's.
        longest: Tokens of the longest record.

    Raises:
        TrainingFault: MemoryInsufficient, with the numbers and what to lower.
    """
    needed = estimate(recipe, config, longest=longest)
    if needed is None:
        return f"How much memory the run needs is not known: models of type {config.model_type!r} are not estimated."
    available = available_bytes(recipe.memory_bytes)
    if needed.total > available:
        raise TrainingFault(
            Reason.MEMORY_INSUFFICIENT,
            f"The run needs about {_gib(needed.total)} and {_gib(available)} are free: weights {_gib(needed.weights)}, "
            f"gradients {_gib(needed.gradients)}, optimizer {_gib(needed.optimizer)}, activations "
            f"{_gib(needed.activations)}, logits {_gib(needed.logits)}. {_advice(recipe, needed)}",
        )
    told = f"Needs about {_gib(needed.total)} of memory at its peak; {_gib(available)} are free."
    if torch.cuda.is_available():
        return told
    if needed.with_holes <= available:
        return f"{told} Takes up to {_gib(needed.with_holes)}, to be fast."
    keep_heap_small()
    return f"{told} Memory is given back at once, which makes steps slower."


def estimate(recipe: Recipe, config: PretrainedConfig, *, longest: int) -> Estimate | None:
    """Estimate the peak of a run from the base's configuration; None for what is not built like a llama.

    Args:
        recipe: What is to be run.
        config: The base's.
        longest: Tokens of the longest record: batches are no wider, whatever `max_sequence_length` would allow.
    """
    numbers, adapter = recipe.hyperparameters, recipe.adapter
    is_dpo = recipe.method is Method.DPO
    shape = _shape(config.to_dict())
    if shape is None:
        return None
    load = Load(
        sequences=numbers.batch_size * (2 if is_dpo else 1),
        length=longest,
        is_gpu=torch.cuda.is_available(),
        recomputes=numbers.gradient_checkpointing,
        has_reference=is_dpo and adapter is None,
        is_dequantised=Path(recipe.base).suffix == GGUF,
    )
    low = None
    if adapter is not None:
        low = Low(
            rank=adapter.rank,
            has_dropout=adapter.dropout > 0,
            modules=adapter.target_modules,
            is_nf4=adapter.quantization is Quantization.NF4,
        )
    return memory.estimate(shape, load, low)


def _shape(config: Mapping[str, Any]) -> Shape | None:
    if not config.keys() >= LLAMA_LIKE:
        return None
    heads, hidden = config["num_attention_heads"], config["hidden_size"]
    return Shape(
        layers=config["num_hidden_layers"],
        hidden=hidden,
        intermediate=config["intermediate_size"],
        heads=heads,
        kv_heads=config["num_key_value_heads"],
        head_size=config.get("head_dim") or hidden // heads,
        vocabulary=config["vocab_size"],
        is_tied=config["tie_word_embeddings"],
    )


def keep_heap_small() -> None:
    """Take large tensors from the system one by one, and give each back when it is freed (glibc only).

    By itself malloc takes those of up to 32 MiB from one heap, whose holes between activations stay the process's
    (`Estimate.with_holes`). Without them steps take about 1.6 times as long: each tensor's pages are made anew.
    """
    try:
        ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, LARGE_BYTES)
    except AttributeError:
        return  # another C library, which has its own ways


def available_bytes(most: int = 0) -> int:
    """Count what is free: on the GPU where there is one, else within the limit of the container and the machine.

    Args:
        most: What the run may count on at most, if it is no GPU's; 0: there is no such limit.
    """
    if torch.cuda.is_available():
        return int(torch.cuda.mem_get_info()[0])
    free = int(psutil.virtual_memory().available)
    limit, used = CGROUP / "memory.max", CGROUP / "memory.current"
    if limit.is_file() and used.is_file() and (set_limit := limit.read_text().strip()) != "max":
        free = min(free, int(set_limit) - int(used.read_text()))
    return min(free, most) if most else free


def peak_bytes() -> int:
    """Measure the most that this process has had: of the GPU where there is one, else resident."""
    if torch.cuda.is_available():
        return int(torch.cuda.max_memory_allocated())
    return resident.peak_bytes()


def _advice(recipe: Recipe, needed: Estimate) -> str:
    if needed.activations + needed.logits > needed.weights + needed.optimizer:
        return (
            "Lower hyperparameters.batch_size (and raise gradient_accumulation as much) or max_sequence_length, or set "
            "gradient_checkpointing."
        )
    if recipe.adapter is None:
        return "Train an adapter instead of all weights, or a smaller base."
    return "Take a smaller base, or a machine with more memory."


def _gib(size: int) -> str:
    return f"{size / 2**30:.2f} GiB"
