"""How llama.cpp names and orders the weights of the architectures that files can be written for."""

from typing import NamedTuple

import gguf
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]


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
    """What names and the order of rows depend on."""

    layers: int
    heads: int
    kv_heads: int


class Layout:
    """The names and the order of one model."""

    def __init__(self, family: Family, shape: Shape) -> None:
        self.arch: str = gguf.MODEL_ARCH_NAMES[family.arch]
        self._names = gguf.get_tensor_name_map(family.arch, shape.layers)
        self._heads = {"q_proj": shape.heads, "k_proj": shape.kv_heads} if family.is_permuted else {}

    def name(self, module: str) -> str:
        """Name a module as llama.cpp does.

        Raises:
            ValueError: it has no name there.
        """
        name: str | None = self._names.get_name(module)
        if name is None:
            raise ValueError(f"llama.cpp has no name for {module}.")
        return name

    def order(self, module: str, rows: Array) -> Array:
        """Put the rows of a module's output in llama.cpp's order."""
        heads = self._heads.get(module.rpartition(".")[2])
        return rows if heads is None else permute(rows, heads)


def permute(rows: Array, heads: int) -> Array:
    """Put the rows of a query or key projection in the order of llama.cpp.

    Args:
        rows: Shape (heads * size of a head, ...): within a head, the first halves of all pairs, then the second.
        heads: Of queries, or of keys.

    Returns:
        The same rows: within a head, pair by pair.
    """
    halves = rows.reshape(heads, 2, rows.shape[0] // heads // 2, *rows.shape[1:])
    return np.ascontiguousarray(halves.swapaxes(1, 2).reshape(rows.shape))
