"""The router's counters over gRPC."""

from typing import Any

import grpc
from touchstone.inference.v1 import inference_service_pb2 as pb
from touchstone.inference.v1 import inference_service_pb2_grpc as pb_grpc

from touchstone_operator.adapters.peers import TIMEOUT_SECONDS, ask
from touchstone_operator.ports import Distribution, LiveMetrics, Moved, Reached

PEER = "inference"


class TrafficClient:
    """The traffic port. It reads one router; of several replicas, each would have to be read and added."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub: Any = pb_grpc.InferenceServiceStub(channel)

    async def moved(self, model: str, revision: str) -> Moved:
        """Have the router ask the engines of a revision what has moved between them."""
        message = pb.GetKVTransferRequest(model=model, revision=revision)
        found = await ask(PEER, self._stub.GetKVTransfer(message, timeout=TIMEOUT_SECONDS))
        return Moved(
            engines=found.engines,
            engines_without_connector=found.engines_without_connector,
            remote_prompts=found.remote_prompts,
            failed_prompts=found.failed_prompts,
            transfers=found.transfers,
            transferred_bytes=found.transferred_bytes,
            transferred_tokens=found.transferred_tokens,
            failed_transfers=found.failed_transfers,
        )

    async def reached(self, model: str, revision: str) -> Reached:
        """Have the router ask the engines of a revision what they reach."""
        message = pb.GetUtilizationRequest(model=model, revision=revision)
        found = await ask(PEER, self._stub.GetUtilization(message, timeout=TIMEOUT_SECONDS))
        return Reached(
            engines=found.engines,
            measured_engines=found.measured_engines,
            mfu=found.mfu,
            mbu=found.mbu,
            peak_output_tokens_per_second=found.peak_output_tokens_per_second,
        )

    async def metrics(self, model: str, revision: str, window_seconds: int) -> LiveMetrics:
        """Read the counters of a revision."""
        message = pb.GetRevisionMetricsRequest(model=model, revision=revision, window_seconds=window_seconds)
        found = await ask(PEER, self._stub.GetRevisionMetrics(message, timeout=TIMEOUT_SECONDS))
        return LiveMetrics(
            requests=found.requests,
            errors=found.errors,
            time_to_first_token=_distribution(found.time_to_first_token),
            time_per_output_token=_distribution(found.time_per_output_token),
            queue_time=_distribution(found.queue_time),
            input_tokens=found.usage_totals.input_tokens,
            output_tokens=found.usage_totals.output_tokens,
            cached_input_tokens=found.usage_totals.cached_input_tokens,
            good_requests=found.good_requests if found.HasField("good_requests") else None,
            window_seconds=found.window_seconds,
        )


def _distribution(message: pb.Distribution) -> Distribution:
    return Distribution(upper_bounds=tuple(message.upper_bounds), counts=tuple(message.counts))
