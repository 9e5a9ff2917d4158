"""How long a step of an engine takes, and what binds it. Pure.

A step does so many operations and moves so many bytes; a chip does so many of each a second. Whichever takes longer
binds (Williams, Waterman and Patterson, "Roofline", CACM 2009). No chip reaches its peaks: the shares that engines do
reach were fitted to published measurements, see `Efficiency`.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from touchstone_inference.chips import Chip, Precision
from touchstone_inference.planner.core.shapes import Shape

BYTES = {
    Precision.FLOAT32: 4.0,
    Precision.FLOAT16: 2.0,
    Precision.FLOAT8: 1.0,
    Precision.INT8: 1.0,
    Precision.INT4: 0.5,
}
"""Of one number."""


class Bound(StrEnum):
    """What a step waits for."""

    COMPUTE = "compute"
    BANDWIDTH = "bandwidth"
    LINKS = "links"
    OVERHEAD = "overhead"


@dataclass(frozen=True, slots=True, kw_only=True)
class Efficiency:
    """Which share of its peaks a chip reaches, and what a step costs besides.

    Fitted by hand to LMDeploy 0.1 on A100 in 16 bits (llama2-7b and 13b on one chip at 1 to 64 requests at once, 70b on
    four at one request) and, for 8 bits, to one point of TensorRT-LLM 0.5 on H100. Other points of both, which were not
    fitted to, are held to the estimate in tests/inference/planner/test_published.py.
    """

    compute: dict[Precision, float] = field(
        default_factory=lambda: {
            Precision.FLOAT32: 0.6,
            Precision.FLOAT16: 0.65,
            Precision.FLOAT8: 0.42,
            Precision.INT8: 0.42,
        }
    )
    bandwidth: float = 0.81
    links: float = 0.6
    step_seconds: float = 1.6e-3
    """For the scheduler, the launch of kernels, sampling."""
    exchange_seconds: float = 40e-6
    """Before the first byte of an exchange between chips has moved."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """A model on the chips of one replica."""

    shape: Shape
    chip: Chip
    tensor: int = 1
    """Chips that share each layer."""
    pipeline: int = 1
    """Groups of chips that share the layers."""
    weights: Precision = Precision.FLOAT16
    """What weights are stored in."""
    compute: Precision = Precision.FLOAT16
    """What products are computed in."""
    kv: Precision = Precision.FLOAT16
    """What the KV cache is stored in."""
    efficiency: Efficiency = field(default_factory=Efficiency)

    @property
    def chips(self) -> int:
        """How many chips a replica has."""
        return self.tensor * self.pipeline

    @property
    def weight_bytes(self) -> int:
        """Of all chips together."""
        return int(self.shape.parameters * BYTES[self.weights])

    @property
    def kv_token_bytes(self) -> int:
        """What one token keeps in the cache, all chips together."""
        return int(self.shape.kv_values() * BYTES[self.kv])


class Batch(NamedTuple):
    """What one step computes."""

    tokens: int
    """New tokens: one for each request that decodes, as many as the chunk has for one that prefills."""
    attended: float
    """Sum, over the new tokens, of the tokens that each attends to."""
    cached: float
    """Tokens whose keys and values are read from the cache."""
    sampled: int
    """Tokens whose successor is chosen, which alone need the output matrix."""


class Step(NamedTuple):
    """How long a step takes, and why."""

    seconds: float
    compute_seconds: float
    bandwidth_seconds: float
    link_seconds: float
    overhead_seconds: float
    flops: float
    moved_bytes: float

    @property
    def bound(self) -> Bound:
        """What takes the most of it."""
        parts = {
            Bound.COMPUTE: self.compute_seconds,
            Bound.BANDWIDTH: self.bandwidth_seconds,
            Bound.LINKS: self.link_seconds,
            Bound.OVERHEAD: self.overhead_seconds,
        }
        return max(parts, key=lambda bound: parts[bound])

    @property
    def intensity(self) -> float:
        """FLOP a byte."""
        return self.flops / self.moved_bytes


def prefill(tokens: int, *, cached: int = 0, prompts: int = 1) -> Batch:
    """Compute prompts of so many tokens each, after so many that lie in the cache."""
    attended = prompts * (tokens * cached + tokens * (tokens + 1) / 2)
    return Batch(tokens * prompts, attended, cached * prompts, prompts)


def decode(requests: int, context: float) -> Batch:
    """Compute the next token of each request, each after so many tokens."""
    return Batch(requests, requests * context, requests * context, requests)


def step(placement: Placement, batch: Batch) -> Step:
    """Tell how long a step takes in which every request of a batch is served once.

    Operations of the layers: 2 for each parameter and token, and 4 for each head dimension and attended token (Kaplan
    et al. 2020, section 2.1, with the scores and the weighted sum counted apart). Bytes: each touched weight once, the
    cache's keys and values once. Chips in a pipeline work at once on parts of the batch, so that a batch passes all of
    them in the time of one; the time in which a pipeline fills is left out.
    """
    shape, reached = placement.shape, placement.efficiency
    attention = 4 * shape.layers * shape.heads * shape.head_dim * batch.attended
    flops = 2 * shape.active_parameters * batch.tokens + attention + 2 * shape.head_parameters * batch.sampled
    parts = placement.pipeline
    weights = shape.touched_parameters(max(batch.tokens // parts, 1)) * BYTES[placement.weights] * parts
    moved = weights + (batch.cached + batch.tokens) * placement.kv_token_bytes
    compute = flops / placement.chips / placement.chip.peak(placement.compute) / reached.compute[placement.compute]
    bandwidth = moved / placement.chips / placement.chip.bandwidth / reached.bandwidth
    links = _exchange_seconds(placement, batch.tokens)
    return Step(
        seconds=max(compute, bandwidth) + links + reached.step_seconds,
        compute_seconds=compute,
        bandwidth_seconds=bandwidth,
        link_seconds=links,
        overhead_seconds=reached.step_seconds,
        flops=flops,
        moved_bytes=moved,
    )


def _exchange_seconds(placement: Placement, tokens: int) -> float:
    """Tell what chips need to tell each other in a step.

    Tensor parallelism adds up two vectors a layer and token (Shoeybi et al. 2019, section 3), each by a ring that moves
    2(t-1)/t times its size; a pipeline hands one vector on from group to group.
    """
    shape, reached = placement.shape, placement.efficiency
    speed = placement.chip.link_bandwidth * reached.links
    size = tokens * shape.hidden * BYTES[Precision.FLOAT16]
    seconds = 0.0
    if placement.tensor > 1:
        ring = 2 * (placement.tensor - 1) / placement.tensor
        seconds += 2 * shape.layers * (reached.exchange_seconds + ring * size / speed)
    if placement.pipeline > 1:
        seconds += (placement.pipeline - 1) * (reached.exchange_seconds + size / placement.pipeline / speed)
    return seconds


def ridge(placement: Placement) -> float:
    """FLOP a byte above which arithmetic binds, as far as the chip's peaks go."""
    return placement.chip.peak(placement.compute) / placement.chip.bandwidth


def compute_bound_batch(placement: Placement, context: float, *, at_most: int) -> int | None:
    """Find the smallest number of decoding requests that arithmetic binds; None: none up to the limit."""
    low, high = 1, at_most
    if not _is_compute_bound(placement, high, context):
        return None
    while low < high:
        middle = (low + high) // 2
        if _is_compute_bound(placement, middle, context):
            high = middle
        else:
            low = middle + 1
    return low


def _is_compute_bound(placement: Placement, requests: int, context: float) -> bool:
    found = step(placement, decode(requests, context))
    return found.compute_seconds > found.bandwidth_seconds
