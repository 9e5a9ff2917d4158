"""touchstone.data.v1.CurationService over the use cases: what teams and annotators call."""

import asyncio
from typing import Any

from touchstone.data.v1 import curation_service_pb2 as pb
from touchstone.data.v1 import curation_service_pb2_grpc as pb_grpc
from touchstone_runtime.errors import Violation
from touchstone_runtime.server import Servicer

from touchstone_data import errors
from touchstone_data.api import curation_convert as convert
from touchstone_data.api import feedback_convert
from touchstone_data.service.annotating import Added, AnnotationDesk, Chosen
from touchstone_data.service.exporting import Exporter
from touchstone_data.service.feedback import FeedbackDesk

NAME = "touchstone.data.v1.CurationService"


class CurationServicer(pb_grpc.CurationServiceServicer):
    """Curation behind gRPC; the record is blocking, so each call goes through a thread."""

    def __init__(self, feedback: FeedbackDesk, annotations: AnnotationDesk, exporter: Exporter) -> None:
        self._feedback = feedback
        self._annotations = annotations
        self._exporter = exporter

    def registered(self) -> Servicer:
        """Return what a server adds."""
        return Servicer(NAME, lambda server: pb_grpc.add_CurationServiceServicer_to_server(self, server))

    async def ListFeedback(self, request: pb.ListFeedbackRequest, context: Any) -> pb.ListFeedbackResponse:  # noqa: N802
        """List feedback."""
        chosen = feedback_convert.filter_from(request.filter)
        page = await asyncio.to_thread(self._feedback.page, chosen, request.page_size, request.page_token)
        token = page.entries[-1].feedback.id if page.has_more else ""
        return pb.ListFeedbackResponse(
            feedback=[feedback_convert.recorded_to(one) for one in page.entries], next_page_token=token
        )

    async def SummariseFeedback(  # noqa: N802
        self, request: pb.SummariseFeedbackRequest, context: Any
    ) -> pb.SummariseFeedbackResponse:
        """Count feedback."""
        chosen = feedback_convert.filter_from(request.filter)
        found = await asyncio.to_thread(self._feedback.summarise, chosen)
        return pb.SummariseFeedbackResponse(summaries=[convert.summary_to(one) for one in found])

    async def ExportFeedback(self, request: pb.ExportFeedbackRequest, context: Any) -> pb.ExportFeedbackResponse:  # noqa: N802
        """Write feedback as training records."""
        chosen, layout = feedback_convert.filter_from(request.filter), feedback_convert.layout_from(request.format)
        found = await asyncio.to_thread(self._exporter.feedback, chosen, layout)
        return pb.ExportFeedbackResponse(export=convert.export_to(found))

    async def CreateQueue(self, request: pb.CreateQueueRequest, context: Any) -> pb.CreateQueueResponse:  # noqa: N802
        """Make a queue."""
        found = await asyncio.to_thread(self._annotations.create, convert.spec_from(request))
        return pb.CreateQueueResponse(queue=convert.queue_to(found))

    async def AddItems(self, request: pb.AddItemsRequest, context: Any) -> pb.AddItemsResponse:  # noqa: N802
        """Put feedback or records of a file into a queue."""
        found = await asyncio.to_thread(self._add, request)
        return pb.AddItemsResponse(added=found.added, present=found.present, left_out=found.left_out)

    async def ClaimItem(self, request: pb.ClaimItemRequest, context: Any) -> pb.ClaimItemResponse:  # noqa: N802
        """Give an annotator an item."""
        return convert.claim_to(await asyncio.to_thread(self._annotations.claim, request.queue, request.annotator))

    async def SubmitAnnotation(  # noqa: N802
        self, request: pb.SubmitAnnotationRequest, context: Any
    ) -> pb.SubmitAnnotationResponse:
        """Take a label."""
        found = await asyncio.to_thread(
            self._annotations.submit, request.queue, request.item_id, request.annotator, request.label
        )
        return pb.SubmitAnnotationResponse(annotation=convert.annotation_to(found))

    async def SkipItem(self, request: pb.SkipItemRequest, context: Any) -> pb.SkipItemResponse:  # noqa: N802
        """Give an item back to the others."""
        await asyncio.to_thread(
            self._annotations.skip, request.queue, request.item_id, request.annotator, request.reason
        )
        return pb.SkipItemResponse()

    async def GetQueue(self, request: pb.GetQueueRequest, context: Any) -> pb.GetQueueResponse:  # noqa: N802
        """Return a queue."""
        return convert.look_to(await asyncio.to_thread(self._annotations.look, request.queue))

    async def ListQueues(self, request: pb.ListQueuesRequest, context: Any) -> pb.ListQueuesResponse:  # noqa: N802
        """List all queues."""
        found = await asyncio.to_thread(self._annotations.standings)
        return pb.ListQueuesResponse(queues=[convert.queue_to(one) for one in found])

    async def ExportQueue(self, request: pb.ExportQueueRequest, context: Any) -> pb.ExportQueueResponse:  # noqa: N802
        """Write the complete items of a queue."""
        found = await asyncio.to_thread(
            lambda: self._exporter.queue(request.queue, allow_low_agreement=request.allow_low_agreement)
        )
        return pb.ExportQueueResponse(export=convert.export_to(found))

    def _add(self, request: pb.AddItemsRequest) -> Added:
        chosen = Chosen(request.sample, request.seed)
        match request.WhichOneof("origin"):
            case "feedback":
                filter_ = feedback_convert.filter_from(request.feedback, "feedback")
                return self._annotations.add_feedback(request.queue, filter_, chosen)
            case "source":
                return self._annotations.add_source(request.queue, convert.source_from(request), chosen)
        raise errors.QueueInvalid([Violation("origin", "Set feedback or source.")])
