"""touchstone.data.v1.FeedbackService over the use cases: what product services call."""

import asyncio
from typing import Any

from touchstone.data.v1 import feedback_service_pb2 as pb
from touchstone.data.v1 import feedback_service_pb2_grpc as pb_grpc
from touchstone_runtime.server import Servicer

from touchstone_data.api import feedback_convert as convert
from touchstone_data.service.feedback import FeedbackDesk

NAME = "touchstone.data.v1.FeedbackService"


class FeedbackServicer(pb_grpc.FeedbackServiceServicer):
    """Feedback behind gRPC; the record is blocking, so each call goes through a thread."""

    def __init__(self, desk: FeedbackDesk) -> None:
        self._desk = desk

    def registered(self) -> Servicer:
        """Return what a server adds."""
        return Servicer(NAME, lambda server: pb_grpc.add_FeedbackServiceServicer_to_server(self, server))

    async def RecordFeedback(  # noqa: N802
        self, request: pb.RecordFeedbackRequest, context: Any
    ) -> pb.RecordFeedbackResponse:
        """Keep one piece of feedback."""
        found = await asyncio.to_thread(self._desk.record, convert.feedback_from(request))
        return pb.RecordFeedbackResponse(
            recorded_time=convert.time_to(found.recorded_at), expiry_time=convert.time_to(found.expires_at)
        )

    async def DeleteFeedback(  # noqa: N802
        self, request: pb.DeleteFeedbackRequest, context: Any
    ) -> pb.DeleteFeedbackResponse:
        """Forget one piece of feedback, or all of an end user."""
        gone = await asyncio.to_thread(
            lambda: self._desk.forget(end_user=request.end_user, feedback_id=request.feedback_id)
        )
        return pb.DeleteFeedbackResponse(feedback=gone.feedback, items=gone.items, exports=gone.exports)
