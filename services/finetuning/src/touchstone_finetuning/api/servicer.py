"""touchstone.finetuning.v1.FinetuningService over the use cases."""

import asyncio
from typing import Any

from touchstone.finetuning.v1 import finetuning_service_pb2 as pb
from touchstone.finetuning.v1 import finetuning_service_pb2_grpc as pb_grpc
from touchstone_runtime.server import Servicer

from touchstone_finetuning.api import convert, present
from touchstone_finetuning.service.trainings import Trainings

NAME = "touchstone.finetuning.v1.FinetuningService"


class FinetuningServicer(pb_grpc.FinetuningServiceServicer):
    """Finetuning behind gRPC; the record is blocking, so each call goes through a thread."""

    def __init__(self, trainings: Trainings) -> None:
        self._trainings = trainings

    def registered(self) -> Servicer:
        """Return what a server adds."""
        return Servicer(NAME, lambda server: pb_grpc.add_FinetuningServiceServicer_to_server(self, server))

    async def StartTraining(self, request: pb.StartTrainingRequest, context: Any) -> pb.StartTrainingResponse:  # noqa: N802
        """Begin a training."""
        spec = convert.spec_from(request)
        found = await asyncio.to_thread(self._trainings.start, request.dispatch_id, spec)
        return pb.StartTrainingResponse(training=present.training(found))

    async def GetTraining(self, request: pb.GetTrainingRequest, context: Any) -> pb.GetTrainingResponse:  # noqa: N802
        """Return a training."""
        found = await asyncio.to_thread(self._trainings.get, request.dispatch_id)
        return pb.GetTrainingResponse(training=present.training(found))

    async def CancelTraining(self, request: pb.CancelTrainingRequest, context: Any) -> pb.CancelTrainingResponse:  # noqa: N802
        """Stop a training."""
        found = await asyncio.to_thread(self._trainings.cancel, request.dispatch_id)
        return pb.CancelTrainingResponse(training=present.training(found))
