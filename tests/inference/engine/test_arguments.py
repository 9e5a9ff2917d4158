"""Arguments of engines: known, typed, bounded; and what they become for vLLM."""

import pytest
from touchstone_inference.engine.adapters.vllm_options import Hardware, Transfer, engine_arguments
from touchstone_inference.engine.core import arguments
from touchstone_inference.engine.core.splitting import Role
from touchstone_runtime.errors import Invalid


def options(given: dict[str, str] | None = None, **fields: object) -> dict[str, object]:
    wanted = {
        "max_model_len": 4096, "hardware": Hardware(), "has_adapters": False, "role": Role.AGGREGATED,
        "transfer": Transfer(),
    }  # fmt: skip
    return engine_arguments("/w", arguments=arguments.read(given or {}, arguments.VLLM), **{**wanted, **fields})  # type: ignore[arg-type]


def test_every_wrong_argument_is_named_at_once() -> None:
    with pytest.raises(Invalid) as caught:
        arguments.read({"max-num-seqs": "0", "dtype": "int3", "trust-remote-code": "true"}, arguments.VLLM)
    fields = [violation.field for violation in caught.value.violations]
    assert fields == [f"spec.engine.args[{name}]" for name in ("dtype", "max-num-seqs", "trust-remote-code")]
    assert "bfloat16" in caught.value.violations[0].description


def test_weights_are_safetensors_and_never_code() -> None:
    found = options()
    assert found["load_format"] == "safetensors"
    assert found["trust_remote_code"] is False


def test_what_is_left_to_vllm_is_not_written() -> None:
    found = options()
    assert not {"max_num_batched_tokens", "kv_cache_memory_bytes", "quantization", "speculative_config"} & set(found)
    assert "enable_lora" not in found, "it costs speed where there are no adapters"


def test_the_options_that_a_gate_compares_reach_vllm() -> None:
    given = {
        "quantization": "fp8", "kv-cache-dtype": "fp8_e5m2", "num-speculative-tokens": "4", "chunked-prefill": "false",
        "kv-cache-memory-mib": "3", "gpu-memory-utilization-percent": "80",
    }  # fmt: skip
    found = options(given, has_adapters=True, hardware=Hardware(tensor_parallel=2, pipeline_parallel=3))
    assert found["quantization"] == "fp8"
    assert found["kv_cache_dtype"] == "fp8_e5m2"
    assert found["speculative_config"] == {"method": "ngram", "num_speculative_tokens": 4, "prompt_lookup_max": 4}
    assert found["enable_chunked_prefill"] is False
    assert found["kv_cache_memory_bytes"] == 3 << 20
    assert found["gpu_memory_utilization"] == 0.8
    assert (found["tensor_parallel_size"], found["pipeline_parallel_size"]) == (2, 3)
    assert (found["enable_lora"], found["max_lora_rank"]) == (True, 16)


@pytest.mark.parametrize(("role", "kv_role"), [(Role.PREFILL, "kv_producer"), (Role.DECODE, "kv_consumer")])
def test_each_role_has_its_end_of_the_connector(role: Role, kv_role: str) -> None:
    config = options(role=role, transfer=Transfer(recomputes=False, buffer_device="cpu"))["kv_transfer_config"]
    assert config == {
        "kv_connector": "NixlConnector", "kv_role": kv_role, "kv_load_failure_policy": "fail",
        "kv_buffer_device": "cpu",
    }  # fmt: skip


def test_an_aggregated_engine_has_no_connector() -> None:
    assert "kv_transfer_config" not in options()
