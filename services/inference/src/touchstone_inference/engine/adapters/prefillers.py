"""The prefill engines of a revision, by gRPC: one name that leads to all of them."""

import json
from typing import Any

import grpc
from touchstone.engine.v1 import engine_service_pb2 as pb
from touchstone.engine.v1 import engine_service_pb2_grpc as pb_grpc
from touchstone_runtime.channels import translate

from touchstone_inference.engine.core.generation import Generation, Prefilled

SYSTEM = "prefill"


class GrpcPrefillers:
    """Asks the prefill engines in turn."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub: Any = pb_grpc.EngineServiceStub(channel)

    async def prefill(self, request: Generation, *, timeout_seconds: float) -> Prefilled:
        """Have one of them compute a prompt.

        Raises:
            DomainError: None could in time.
        """
        message = pb.PrefillRequest(prompt=request.prompt, adapter=request.adapter)
        try:
            answer = await self._stub.Prefill(message, timeout=timeout_seconds)
        except grpc.aio.AioRpcError as error:
            raise translate(error, SYSTEM) from error
        handoff = json.loads(answer.handoff) if answer.handoff else {}
        return Prefilled(handoff, answer.cached_input_tokens, answer.prefill_seconds)
