"""The shape of a transformer: what its parameters weigh and what its tokens cost. Read from a `config.json`. Pure."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from touchstone_runtime.errors import Invalid, Violation

NOT_ESTIMATED = {
    "kv_lora_rank": "multi-head latent attention",
    "ssm_cfg": "state-space layers",
    "mamba_d_state": "state-space layers",
    "linear_conv_kernel_dim": "linear attention",
    "n_shared_experts": "shared experts",
    "shared_expert_intermediate_size": "shared experts",
    "mlp_only_layers": "a mixture of dense and sparse layers",
}
"""Fields that only models have whose cost is not computed here."""
UNGATED = frozenset({"gpt2", "gptj", "gpt_neox", "gpt_bigcode", "opt", "bloom", "falcon", "mpt", "phi", "starcoder2"})
"""Values of model_type whose feed-forward layers have two matrices."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """A decoder-only transformer with grouped-query attention, dense or with experts."""

    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    intermediate: int
    """Width of the feed-forward layer, or of one expert."""
    vocabulary: int
    is_gated: bool = True
    """Whether the feed-forward layer has three matrices (SwiGLU) or two."""
    is_tied: bool = False
    """Whether the embedding is the output matrix too."""
    experts: int = 1
    active_experts: int = 1
    """How many experts a token goes through."""
    max_context: int = 0
    """What the model was made for; 0: not said."""

    @property
    def attention_parameters(self) -> int:
        """Of one layer: queries, keys, values, output."""
        return self.hidden * self.head_dim * (2 * self.heads + 2 * self.kv_heads)

    @property
    def expert_parameters(self) -> int:
        """Of one layer's feed-forward part, or of one of its experts."""
        return (3 if self.is_gated else 2) * self.hidden * self.intermediate

    @property
    def head_parameters(self) -> int:
        """Of the output matrix."""
        return self.vocabulary * self.hidden

    @property
    def parameters(self) -> int:
        """All of them, but for norms and biases, which are less than a thousandth."""
        embedding = self.head_parameters * (1 if self.is_tied else 2)
        router = self.hidden * self.experts if self.experts > 1 else 0
        layer = self.attention_parameters + router + self.experts * self.expert_parameters
        return self.layers * layer + embedding

    @property
    def active_parameters(self) -> int:
        """Those of the layers that one token is multiplied with; the output matrix is counted apart."""
        return self.layers * (self.attention_parameters + self.active_experts * self.expert_parameters)

    def touched_parameters(self, tokens: int) -> float:
        """Those that a step over so many tokens reads at least once, the output matrix included.

        A token picks `active_experts` of `experts`; if it picks evenly, a step of n tokens leaves an expert out with
        probability (1 - k/E)^n.
        """
        share = 1 - (1 - self.active_experts / self.experts) ** tokens
        layer = self.attention_parameters + share * self.experts * self.expert_parameters
        return self.layers * layer + self.head_parameters

    def kv_values(self) -> int:
        """Numbers that one token leaves in the cache: a key and a value, each KV head, each layer."""
        return 2 * self.layers * self.kv_heads * self.head_dim


def read(text: str) -> Shape:
    """Read a model's `config.json`.

    Raises:
        Invalid: It is none, or of a kind of model whose cost is not computed here.
    """
    try:
        document = json.loads(text)
    except ValueError as error:
        raise _refused(f"is no JSON: {error}") from None
    if not isinstance(document, dict):
        raise _refused("must be a JSON object, as in a model's config.json")
    fields: Mapping[str, Any] = document.get("text_config") or document
    for name, what in NOT_ESTIMATED.items():
        if fields.get(name):
            raise _refused(f"has {name}: {what} is not estimated. Measure such a model instead.")
    return _shape(fields)


def _shape(fields: Mapping[str, Any]) -> Shape:
    hidden, heads = _number(fields, "hidden_size", "n_embd"), _number(fields, "num_attention_heads", "n_head")
    experts = _number(fields, "num_local_experts", "num_experts", "n_routed_experts", default=1)
    width = _number(fields, "intermediate_size", "n_inner", default=4 * hidden)
    if experts > 1:
        width = _number(fields, "moe_intermediate_size", default=width)
    return Shape(
        layers=_number(fields, "num_hidden_layers", "n_layer"),
        hidden=hidden,
        heads=heads,
        kv_heads=_number(fields, "num_key_value_heads", default=heads),
        head_dim=_number(fields, "head_dim", default=hidden // heads),
        intermediate=width,
        vocabulary=_number(fields, "vocab_size"),
        is_gated=fields.get("model_type") not in UNGATED,
        is_tied=fields.get("tie_word_embeddings") is True,
        experts=experts,
        active_experts=_number(fields, "num_experts_per_tok", default=1) if experts > 1 else 1,
        max_context=_number(fields, "max_position_embeddings", "n_positions", default=0),
    )


def _number(fields: Mapping[str, Any], *names: str, default: int | None = None) -> int:
    """Read the first of these fields that is there."""
    for name in names:
        value = fields.get(name)
        if isinstance(value, int) and not isinstance(value, bool):
            if value < 1:
                raise _refused(f"has {name} {value}; it must be 1 or more")
            return value
        if value is not None:
            raise _refused(f"has {name} {value!r}; it must be a whole number")
    if default is None:
        raise _refused(f"has no {names[0]}")
    return default


def _refused(why: str) -> Invalid:
    return Invalid([Violation("model_config", why)])
