"""touchstone.inference.v1.PlanningService over the planner."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import grpc
from touchstone.inference.v1 import planning_service_pb2 as pb
from touchstone.inference.v1 import planning_service_pb2_grpc as pb_grpc
from touchstone_runtime.server import Servicer

from touchstone_inference.planner.api import convert
from touchstone_inference.planner.service import planning

NAME = "touchstone.inference.v1.PlanningService"


class PlanningServicer(pb_grpc.PlanningServiceServicer):
    """The planner behind gRPC: whoever is known may ask, since it tells nothing about any model that runs."""

    def __init__(
        self,
        identify: Callable[[Mapping[str, str]], Awaitable[object]],
        compute: Callable[[bytes], Awaitable[bytes]],
    ) -> None:
        """Take what refuses callers that nobody knows, by their headers, and what computes a request's response."""
        self._identify = identify
        self._compute = compute

    def registered(self) -> Servicer:
        """Return what a server adds."""
        return Servicer(NAME, lambda server: pb_grpc.add_PlanningServiceServicer_to_server(self, server))

    async def PlanServing(  # noqa: N802 - the proto's name
        self, request: pb.PlanServingRequest, context: "grpc.aio.ServicerContext[Any, Any]"
    ) -> pb.PlanServingResponse:
        """Estimate what a model needs. What is wrong with the question is told before anything is computed."""
        metadata = context.invocation_metadata() or ()
        await self._identify({key: value for key, value in metadata if isinstance(value, str)})
        planning.check(convert.question(request))
        return pb.PlanServingResponse.FromString(await self._compute(request.SerializeToString()))
