"""The numbers of a model's config.json as a GGUF file holds them."""

import gguf
import numpy as np
import torch
from transformers import PretrainedConfig
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

from touchstone_finetuning.training.gguf_layout import Array

ROPE_FACTORS = "rope_freqs.weight"
"""The tensor by which llama.cpp divides the frequencies of rotary embeddings."""
_ROPES = ("default", "llama3")


def check(config: PretrainedConfig) -> None:
    """See that a model's numbers can be written.

    Raises:
        ValueError: it does what llama.cpp would not do after them.
    """
    kind = config.rope_parameters["rope_type"]
    if kind not in _ROPES:
        raise ValueError(f"its rotary embeddings are of the type {kind}")
    window = getattr(config, "sliding_window", None) if getattr(config, "use_sliding_window", True) else None
    if window is not None and window < config.max_position_embeddings:
        raise ValueError(f"its attention has a window of {window} tokens")


def write(writer: gguf.GGUFWriter, config: PretrainedConfig) -> None:
    """Write the numbers of a model that `check` takes."""
    head = head_size(config)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(head)
    writer.add_value_length(head)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_dimension_count(head)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_vocab_size(config.vocab_size)


def head_size(config: PretrainedConfig) -> int:
    """Return the size of an attention head."""
    size: int = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return size


def rope_factors(config: PretrainedConfig) -> Array | None:
    """Return what the frequencies of rotary embeddings are divided by, (size of a head / 2,); None: by one.

    Those of Llama 3.1 (`rope_type` llama3) are stretched by a factor that depends on the wavelength.
    """
    kind = config.rope_parameters["rope_type"]
    if kind == "default":
        return None
    stretched, _ = ROPE_INIT_FUNCTIONS[kind](config, torch.device("cpu"))
    head = head_size(config)
    plain = 1.0 / config.rope_parameters["rope_theta"] ** (torch.arange(0, head, 2, dtype=torch.float64) / head)
    factors: Array = (plain / stretched.double()).numpy().astype(np.float32)
    return factors
