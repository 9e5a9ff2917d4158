"""How much memory a run will need at its peak, before it starts. Pure.

Weights, gradients and states of the optimizer are counted by parameter. Activations are counted after Korthikanti et
al. 2022, "Reducing Activation Recomputation in Large Transformer Models", eq. 2, for what a layer of the llama family
keeps for its backward pass: gated feed-forward (three matrices), RMS norms, keys and values of fewer heads, and
attention that keeps no matrix of scores (their term 5as/h). The output layer is counted apart: its logits are made in
tiles, and with a large vocabulary and a small model they are the largest part.
"""

from dataclasses import dataclass

FLOAT = 4
HALF = 2
NF4_BYTES = 0.5 + 0.127 / 8
"""Four bits, and 0.127 bits of scales that are quantised themselves (Dettmers et al. 2023, "QLoRA", section 3)."""

TILE_TOKENS = 4096
TILE_VOCABULARY = 32768
"""trl 1.16 projects to logits in tiles of so many tokens and entries, always of the full width."""
TILES_CPU = 8
"""On a CPU its backward of a tile is a row of torch operations, at the widest of which eight copies live: the tile, its
scaled and tempered logits, log-probabilities, probabilities, the gradient, and two terms of the sum."""
TILES_GPU = 1
"""On a GPU one kernel works in place."""
PROGRAM = 75 * 2**20
"""What the libraries and the tokenizer take once they are used, beside any model: measured with one of 1 MB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """The numbers of a model of the llama family."""

    layers: int
    hidden: int
    intermediate: int
    heads: int
    kv_heads: int
    head_size: int
    vocabulary: int
    is_tied: bool
    """Whether the output layer's weights are those of the embeddings."""

    @property
    def linear(self) -> dict[str, tuple[int, int]]:
        """Inputs and outputs of the linear modules of a layer, by name."""
        queries, keys = self.heads * self.head_size, self.kv_heads * self.head_size
        return {
            "q_proj": (self.hidden, queries),
            "k_proj": (self.hidden, keys),
            "v_proj": (self.hidden, keys),
            "o_proj": (queries, self.hidden),
            "gate_proj": (self.hidden, self.intermediate),
            "up_proj": (self.hidden, self.intermediate),
            "down_proj": (self.intermediate, self.hidden),
        }

    @property
    def embeddings(self) -> int:
        """Parameters of the embeddings, and of the output layer where it has its own."""
        return self.vocabulary * self.hidden * (1 if self.is_tied else 2)

    @property
    def in_layers(self) -> int:
        """Parameters of all layers; norms are left out (less than one in a thousand)."""
        return self.layers * sum(inputs * outputs for inputs, outputs in self.linear.values())

    @property
    def parameters(self) -> int:
        """All of them."""
        return self.embeddings + self.in_layers


@dataclass(frozen=True, slots=True, kw_only=True)
class Low:
    """An adapter, as far as memory is concerned."""

    rank: int
    has_dropout: bool
    modules: tuple[str, ...] | None
    is_nf4: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What goes through the model at once."""

    sequences: int
    """Batch size; DPO: twice, since pairs."""
    length: int
    is_gpu: bool
    recomputes: bool
    """Whether activations are computed twice and only a layer's input is kept."""
    has_reference: bool
    """DPO of all weights: a second copy of the base."""
    is_dequantised: bool = False
    """Whether the base is a GGUF file: while it is loaded, its weights are there twice."""

    @property
    def tokens(self) -> int:
        """Tokens of a batch."""
        return self.sequences * self.length


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """Bytes, by what they are for."""

    weights: int
    gradients: int
    optimizer: int
    activations: int
    logits: int
    loading: int
    """The peak before the first step."""

    @property
    def with_holes(self) -> int:
        """The peak where the heap keeps holes between activations: at most as much again as they take."""
        return self.total + self.activations

    @property
    def total(self) -> int:
        """The peak: gradients come to be as activations go, so the larger of them counts."""
        step = max(self.activations + self.logits, self.gradients)
        return PROGRAM + max(self.loading, self.weights + self.optimizer + step)


def estimate(shape: Shape, load: Load, adapter: Low | None) -> Estimate:
    """Estimate the peak of a run, in bytes above what the program has when its libraries are loaded."""
    trained = shape.parameters if adapter is None else _adapted(shape, adapter)
    kept = 0 if adapter is None else shape.parameters
    base_bytes = FLOAT
    if load.is_gpu and adapter is not None:
        base_bytes = HALF
    frozen = int(kept * base_bytes)
    if adapter is not None and adapter.is_nf4:
        frozen = int(shape.in_layers * NF4_BYTES) + shape.embeddings * HALF
    copies = 2 if load.has_reference else 1
    weights = frozen + trained * FLOAT * copies
    # Mixed precision computes with copies of the weights in half precision, which are kept from forward to backward.
    weights += trained * HALF if load.is_gpu else 0
    return Estimate(
        weights=weights,
        gradients=trained * FLOAT + _largest(shape, adapter) * FLOAT,
        optimizer=trained * 2 * FLOAT,
        activations=_activations(shape, load, adapter),
        logits=_logits(shape, load, adapter),
        loading=shape.parameters * FLOAT * 2 if load.is_dequantised else 0,
    )


def _adapted(shape: Shape, adapter: Low) -> int:
    """Parameters of an adapter."""
    names = adapter.modules or tuple(shape.linear)
    sides = (shape.linear[name] for name in names if name in shape.linear)
    return shape.layers * adapter.rank * sum(inputs + outputs for inputs, outputs in sides)


def _largest(shape: Shape, adapter: Low | None) -> int:
    """Numbers of the largest parameter: the optimizer holds its step beside it (the root of the second moment)."""
    return shape.vocabulary * shape.hidden if adapter is None else 0


def _activations(shape: Shape, load: Load, adapter: Low | None) -> int:
    """What is kept for the backward pass."""
    size = HALF if load.is_gpu else FLOAT
    layer = _layer(shape, adapter) * size + _dropouts(shape, adapter, size)
    inputs = shape.hidden * size
    per_token = shape.layers * inputs + layer if load.recomputes else shape.layers * layer
    return int(load.tokens * per_token)


def _layer(shape: Shape, adapter: Low | None) -> int:
    """Numbers that one layer keeps of a token.

    Of each half: its input, and what its norm made of it. Attention: queries, keys, values, and what came out of it.
    Feed-forward: gate, its sigmoid unit, up, and their product. A trained norm keeps its input before scaling too.
    """
    queries, keys = shape.heads * shape.head_size, shape.kv_heads * shape.head_size
    halves = 2 * 2 * shape.hidden + (2 * shape.hidden if adapter is None else 0)
    attention = 2 * queries + 2 * keys
    ranks = 0 if adapter is None else adapter.rank * len(adapter.modules or shape.linear)
    return halves + attention + 4 * shape.intermediate + ranks


def _dropouts(shape: Shape, adapter: Low | None, size: int) -> int:
    """Bytes of a token and a layer: each adapted module keeps its own input, thinned out, and which of it was."""
    if adapter is None or not adapter.has_dropout:
        return 0
    names = adapter.modules or tuple(shape.linear)
    return sum(shape.linear[name][0] for name in names if name in shape.linear) * (size + 1)


def _logits(shape: Shape, load: Load, adapter: Low | None) -> int:
    """The tiles of the output layer, and the gradient of its weights where they are trained."""
    rows = min(load.tokens, TILE_TOKENS)
    size = HALF if load.is_gpu else FLOAT
    tiles = rows * TILE_VOCABULARY * size * (TILES_GPU if load.is_gpu else TILES_CPU)
    gradient = shape.vocabulary * shape.hidden * FLOAT if adapter is None else 0
    return tiles + gradient
