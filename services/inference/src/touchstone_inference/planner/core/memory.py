"""Whether a model fits, and how many tokens fit beside it. Pure."""

from typing import NamedTuple

from touchstone_inference.planner.core.roofline import Placement

USABLE = 0.9
"""The share of a chip's memory that an engine takes: vLLM's default."""
ACTIVATION_VALUES = 18
"""Numbers of 16 bits alive at once for each token of a step, in multiples of the hidden size: the residual stream, the
queries, keys and values, and the widened feed-forward layer, twice (Korthikanti et al. 2022, section 4, without what
only training keeps)."""
RUNTIME_BYTES = 1_500_000_000
"""A chip: the CUDA context, captured graphs, workspaces of kernels and of links."""


class Memory(NamedTuple):
    """Where a replica's memory goes, in bytes of all its chips."""

    weight_bytes: int
    activation_bytes: int
    kv_token_bytes: int
    kv_bytes: int
    """What is left for the cache; negative: so much is missing."""

    @property
    def kv_tokens(self) -> int:
        """How many tokens the cache holds."""
        return max(self.kv_bytes // self.kv_token_bytes, 0)


def estimate(placement: Placement, *, step_tokens: int) -> Memory:
    """Tell what is left for the KV cache beside weights, activations and the runtime.

    Args:
        placement: The model on its chips.
        step_tokens: The most tokens of one step.
    """
    usable = placement.chips * (USABLE * placement.chip.memory_bytes - RUNTIME_BYTES)
    activations = placement.tensor * step_tokens * placement.shape.hidden * ACTIVATION_VALUES * 2
    left = usable - placement.weight_bytes - activations
    return Memory(placement.weight_bytes, activations, placement.kv_token_bytes, int(left))
