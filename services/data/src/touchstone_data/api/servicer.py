"""touchstone.data.v1.DataService over the use cases."""

import asyncio
from typing import Any

from touchstone.data.v1 import data_service_pb2 as pb
from touchstone.data.v1 import data_service_pb2_grpc as pb_grpc
from touchstone_runtime.server import Servicer

from touchstone_data.api import convert, present
from touchstone_data.service.pipelines import PipelineDesk

NAME = "touchstone.data.v1.DataService"


class DataServicer(pb_grpc.DataServiceServicer):
    """Data behind gRPC; the record is blocking, so each call goes through a thread."""

    def __init__(self, desk: PipelineDesk) -> None:
        self._desk = desk

    def registered(self) -> Servicer:
        """Return what a server adds."""
        return Servicer(NAME, lambda server: pb_grpc.add_DataServiceServicer_to_server(self, server))

    async def StartPipeline(  # noqa: N802
        self, request: pb.StartPipelineRequest, context: Any
    ) -> pb.StartPipelineResponse:
        """Begin a pipeline."""
        spec = convert.spec_from(request)
        found = await asyncio.to_thread(self._desk.start, request.dispatch_id, spec)
        return pb.StartPipelineResponse(pipeline=present.pipeline(*found))

    async def GetPipeline(self, request: pb.GetPipelineRequest, context: Any) -> pb.GetPipelineResponse:  # noqa: N802
        """Return a pipeline."""
        found = await asyncio.to_thread(self._desk.get, request.dispatch_id)
        return pb.GetPipelineResponse(pipeline=present.pipeline(*found))

    async def CancelPipeline(  # noqa: N802
        self, request: pb.CancelPipelineRequest, context: Any
    ) -> pb.CancelPipelineResponse:
        """Stop a pipeline."""
        found = await asyncio.to_thread(self._desk.cancel, request.dispatch_id)
        return pb.CancelPipelineResponse(pipeline=present.pipeline(*found))

    async def ListSteps(self, request: pb.ListStepsRequest, context: Any) -> pb.ListStepsResponse:  # noqa: N802
        """List the steps that are installed."""
        return pb.ListStepsResponse(steps=[present.step(step) for step in self._desk.steps()])
