"""Reading vLLM's own counters, which it keeps in this process's Prometheus registry."""

from collections.abc import Iterator

from touchstone_inference.engine.core.generation import Transfers
from touchstone_inference.engine.core.utilization import Work

EXTERNAL = "external_kv_transfer"
"""vLLM's name for prompt tokens whose KV blocks came from elsewhere."""


def transfers(connector: str) -> Transfers:
    """Sum up what came from other engines since the start."""
    found = dict(_samples())
    return Transfers(
        connector=connector,
        completed=int(found.get("vllm:nixl_bytes_transferred_count", 0)),
        size_bytes=int(found.get("vllm:nixl_bytes_transferred_sum", 0)),
        tokens=int(found.get(f"vllm:prompt_tokens_by_source_total/{EXTERNAL}", 0)),
        failures=int(
            found.get("vllm:nixl_num_failed_transfers_total", 0)
            + found.get("vllm:nixl_num_failed_notifications_total", 0)
        ),
        expired=int(found.get("vllm:nixl_num_kv_expired_reqs_total", 0)),
    )


def work() -> Work:
    """Read what one chip has done, by vLLM's own arithmetic of the model (`enable_mfu_metrics`)."""
    found = dict(_samples())
    return Work(
        flops=found.get("vllm:estimated_flops_per_gpu_total", 0.0),
        moved_bytes=found.get("vllm:estimated_read_bytes_per_gpu_total", 0.0)
        + found.get("vllm:estimated_write_bytes_per_gpu_total", 0.0),
    )


def cache_usage() -> float:
    """Read which share of the KV cache is in use, 0 to 1."""
    return dict(_samples()).get("vllm:kv_cache_usage_perc", 0.0)


def _samples() -> Iterator[tuple[str, float]]:
    """List samples by name, and by source where they have one; engines of one process are added up."""
    from prometheus_client import REGISTRY  # noqa: PLC0415 - comes with vLLM

    sums: dict[str, float] = {}
    for metric in REGISTRY.collect():
        if not metric.name.startswith("vllm:"):
            continue
        for sample in metric.samples:
            source = sample.labels.get("source", "")
            name = f"{sample.name}/{source}" if source else sample.name
            if not sample.name.endswith("_bucket"):
                sums[name] = sums.get(name, 0.0) + sample.value
    yield from sums.items()
