"""How vLLM is started: its engine arguments and its environment. Pure."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from touchstone_inference.engine.core.arguments import Arguments
from touchstone_inference.engine.core.distributions import CONSIDERED
from touchstone_inference.engine.core.splitting import Role

ENVIRONMENT: Mapping[str, str] = {
    # Nothing is told to anybody, and nothing is loaded that was not asked for.
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_DO_NOT_TRACK": "1",
    "VLLM_PLUGINS": "",
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    # No pickles between processes, no doors for developers, no request that asks for thousands of answers.
    "VLLM_ALLOW_INSECURE_SERIALIZATION": "0",
    "VLLM_SERVER_DEV_MODE": "0",
    "VLLM_MAX_N_SEQUENCES": "1",
    # Our log is JSON lines on stderr; the engine's own goes there too.
    "VLLM_LOGGING_STREAM": "ext://sys.stderr",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Hardware:
    """What a replica has: does not change answers, so it is no part of a revision."""

    tensor_parallel: int = 1
    pipeline_parallel: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """How KV blocks go from a prefill engine to a decode engine."""

    connector: Literal["NixlConnector", "ExampleConnector"] = "NixlConnector"
    """NIXL, or vLLM's connector through a shared folder, for tests."""
    recomputes: bool = True
    """Whether a failed transfer is recomputed by the decode engine; else the request fails."""
    buffer_device: Literal["cuda", "cpu"] = "cuda"
    shared_folder: str = ""
    """For ExampleConnector."""


def engine_arguments(
    path: str,
    *,
    max_model_len: int,
    arguments: Arguments,
    hardware: Hardware,
    has_adapters: bool,
    role: Role,
    transfer: Transfer,
) -> dict[str, Any]:
    """Write the arguments of AsyncEngineArgs. Weights are safetensors, and no code of theirs is run."""
    number, word, flag = arguments.number, arguments.word, arguments.flag
    options: dict[str, Any] = {
        "model": path,
        "load_format": "safetensors",
        "trust_remote_code": False,
        "enable_prompt_embeds": False,
        "generation_config": "vllm",
        "enable_mfu_metrics": True,
        "max_logprobs": CONSIDERED,
        "runner": word("runner"),
        "max_model_len": max_model_len,
        "max_num_seqs": number("max-num-seqs"),
        "dtype": word("dtype"),
        "kv_cache_dtype": word("kv-cache-dtype"),
        "enable_prefix_caching": flag("prefix-caching"),
        "enable_chunked_prefill": flag("chunked-prefill"),
        "enforce_eager": flag("enforce-eager"),
        "gpu_memory_utilization": number("gpu-memory-utilization-percent") / 100,
        "tensor_parallel_size": hardware.tensor_parallel,
        "pipeline_parallel_size": hardware.pipeline_parallel,
        # Whitespace between JSON tokens is legal without end; the per-request switch alone has no effect.
        "structured_outputs_config": {"backend": "xgrammar", "disable_any_whitespace": True},
    }
    optional: dict[str, Any] = {
        "max_num_batched_tokens": number("max-num-batched-tokens"),
        "kv_cache_memory_bytes": number("kv-cache-memory-mib") << 20,
        "quantization": "" if word("quantization") == "none" else word("quantization"),
    }
    options |= {name: value for name, value in optional.items() if value}
    if number("num-speculative-tokens"):
        # Tokens are guessed from what the prompt itself says (Saxena, "Prompt Lookup Decoding", 2023).
        options["speculative_config"] = {
            "method": "ngram",
            "num_speculative_tokens": number("num-speculative-tokens"),
            "prompt_lookup_max": 4,
        }
    if has_adapters:
        options |= {
            "enable_lora": True,
            "max_loras": number("max-loras"),
            "max_lora_rank": number("max-lora-rank"),
        }
    if role is not Role.AGGREGATED:
        options["kv_transfer_config"] = _transfer_config(role, transfer)
    return options


def _transfer_config(role: Role, transfer: Transfer) -> dict[str, Any]:
    config: dict[str, Any] = {
        "kv_connector": transfer.connector,
        "kv_role": "kv_producer" if role is Role.PREFILL else "kv_consumer",
        "kv_load_failure_policy": "recompute" if transfer.recomputes else "fail",
    }
    if transfer.connector == "NixlConnector":
        config["kv_buffer_device"] = transfer.buffer_device
    else:
        config["kv_connector_extra_config"] = {"shared_storage_path": transfer.shared_folder}
    return config


def prepare_environment(arguments: Arguments) -> None:
    """Set what vLLM reads when it is imported. How much it logs may be set by the platform, the rest may not."""
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "WARNING")
    os.environ.update(ENVIRONMENT)
    if arguments.flag("enforce-eager"):
        # A few functions would be compiled all the same: seconds at the first request, and a compiler in the image.
        os.environ["TORCHDYNAMO_DISABLE"] = "1"
