"""A LoRA adapter as llama.cpp takes it: one GGUF file beside the safetensors of peft."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import gguf
import numpy as np
import numpy.typing as npt
from safetensors.numpy import load_file

from touchstone_finetuning.training import durable

Array = npt.NDArray[np.float32]

_KEY = re.compile(r"base_model\.model\.(?P<module>.+)\.lora_(?P<side>[AB])\.weight")


class Family(NamedTuple):
    """How llama.cpp keeps the weights of an architecture."""

    arch: gguf.MODEL_ARCH
    is_permuted: bool
    """Rotary embeddings turn neighbours there and halves here: rows of q and k stand in another order."""


FAMILIES = {
    "llama": Family(gguf.MODEL_ARCH.LLAMA, is_permuted=True),
    "mistral": Family(gguf.MODEL_ARCH.LLAMA, is_permuted=True),
    "qwen2": Family(gguf.MODEL_ARCH.QWEN2, is_permuted=False),
}
"""By `model_type` of a model's config.json."""


class Shape(NamedTuple):
    """What the order of rows depends on."""

    layers: int
    heads: int
    kv_heads: int


def convert(adapter: Path, target: Path, *, family: Family, shape: Shape) -> None:
    """Write the adapter in a folder of peft's as one GGUF file."""
    config = json.loads((adapter / "adapter_config.json").read_text())
    writer = gguf.GGUFWriter(target, gguf.MODEL_ARCH_NAMES[family.arch])
    try:
        writer.add_type(gguf.GGUFType.ADAPTER)
        writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
        writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, float(config["lora_alpha"]))
        for name, values in tensors(adapter / "adapter_model.safetensors", family=family, shape=shape):
            writer.add_tensor(name, values)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
    finally:
        writer.close()
    durable.flush(target)


def tensors(weights: Path, *, family: Family, shape: Shape) -> Iterator[tuple[str, Array]]:
    """Name and order the tensors of an adapter as llama.cpp does.

    Raises:
        ValueError: there is a tensor that has no name there.
    """
    names = gguf.get_tensor_name_map(family.arch, shape.layers)
    for key, values in sorted(load_file(weights).items()):
        found = _KEY.fullmatch(key)
        name = names.get_name(found["module"]) if found else None
        if found is None or name is None:
            raise ValueError(f"llama.cpp has no name for {key}.")
        matrix = values.astype(np.float32)
        if found["side"] == "B" and family.is_permuted:
            matrix = _reordered(matrix, found["module"], shape)
        yield f"{name}.weight.lora_{found['side'].lower()}", matrix


def permute(rows: Array, heads: int) -> Array:
    """Put the rows of a query or key projection in the order of llama.cpp.

    Args:
        rows: Shape (heads * size of a head, any): within a head, the first halves of all pairs, then the second.
        heads: Of queries, or of keys.

    Returns:
        The same rows: within a head, pair by pair.
    """
    count, width = rows.shape
    return np.ascontiguousarray(rows.reshape(heads, 2, count // heads // 2, width).swapaxes(1, 2).reshape(count, width))


def _reordered(matrix: Array, module: str, shape: Shape) -> Array:
    heads = {"q_proj": shape.heads, "k_proj": shape.kv_heads}.get(module.rpartition(".")[2])
    return matrix if heads is None else permute(matrix, heads)
