"""InferenceService: proto in, use case, proto out."""

from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import Any

import grpc
from touchstone.inference.v1 import inference_service_pb2 as pb
from touchstone.inference.v1 import inference_service_pb2_grpc as pb_grpc
from touchstone_runtime import context as runtime_context
from touchstone_runtime.channels import remaining_seconds

from touchstone_inference.router.api import convert
from touchstone_inference.router.core.view import Door
from touchstone_inference.router.service.asking import Asking
from touchstone_inference.router.service.catalogue import Catalogue
from touchstone_inference.router.service.generating import Generating
from touchstone_inference.router.service.guarding import Guard
from touchstone_inference.router.service.placing import Call


class InferenceServicer(pb_grpc.InferenceServiceServicer):
    """The gRPC door."""

    def __init__(
        self,
        generating: Generating,
        asking: Asking,
        catalogue: Catalogue,
        guard: Guard,
        *,
        clock: Callable[[], float],
        max_deadline_seconds: float,
    ) -> None:
        self._generating = generating
        self._asking = asking
        self._catalogue = catalogue
        self._guard = guard
        self._clock = clock
        self._max_deadline_seconds = max_deadline_seconds

    async def Generate(  # noqa: N802 - the proto's name
        self, request: pb.GenerateRequest, context: "grpc.aio.ServicerContext[pb.GenerateRequest, pb.GenerateResponse]"
    ) -> AsyncIterator[pb.GenerateResponse]:
        """Answer a conversation."""
        call = self._call(context)
        await self._guard.admit(call.headers, request.model)
        async with aclosing(self._generating.generate(convert.question(request), call)) as parts:
            async for part in parts:
                yield convert.answer_part(part)

    async def Embed(  # noqa: N802
        self, request: pb.EmbedRequest, context: "grpc.aio.ServicerContext[pb.EmbedRequest, pb.EmbedResponse]"
    ) -> pb.EmbedResponse:
        """Embed texts."""
        call = self._call(context)
        await self._guard.admit(call.headers, request.model)
        embedded = await self._asking.embed(request.model, tuple(request.inputs), call)
        return pb.EmbedResponse(
            embeddings=[pb.Embedding(values=vector) for vector in embedded.embeddings.vectors],
            input_tokens=embedded.embeddings.input_tokens,
            revision=embedded.revision,
        )

    async def Score(  # noqa: N802
        self, request: pb.ScoreRequest, context: "grpc.aio.ServicerContext[pb.ScoreRequest, pb.ScoreResponse]"
    ) -> pb.ScoreResponse:
        """Score continuations."""
        call = self._call(context)
        await self._guard.admit(call.headers, request.model)
        scored = await self._asking.score(request.model, convert.scoring(request), call)
        return pb.ScoreResponse(scores=convert.scores(scored.scores), revision=scored.revision)

    async def CountTokens(  # noqa: N802
        self,
        request: pb.CountTokensRequest,
        context: "grpc.aio.ServicerContext[pb.CountTokensRequest, pb.CountTokensResponse]",
    ) -> pb.CountTokensResponse:
        """Count the tokens of a conversation."""
        turns = convert.turns(request.messages)
        call = self._call(context)
        await self._guard.admit(call.headers, request.model)
        counted = await self._asking.count_tokens(request.model, turns, call)
        return pb.CountTokensResponse(token_count=counted.token_count, context_tokens=counted.context_tokens)

    async def ListModels(  # noqa: N802
        self,
        request: pb.ListModelsRequest,
        context: "grpc.aio.ServicerContext[pb.ListModelsRequest, pb.ListModelsResponse]",
    ) -> pb.ListModelsResponse:
        """List models."""
        page = self._catalogue.list_models(Door.GRPC, page_size=request.page_size, page_token=request.page_token)
        models = [convert.model(model) for model in await self._guard.visible(_headers(context), page.models)]
        return pb.ListModelsResponse(models=models, next_page_token=page.next_page_token)

    async def GetModel(  # noqa: N802
        self, request: pb.GetModelRequest, context: "grpc.aio.ServicerContext[pb.GetModelRequest, pb.GetModelResponse]"
    ) -> pb.GetModelResponse:
        """Give one model."""
        await self._guard.admit(_headers(context), request.model)
        return pb.GetModelResponse(model=convert.model(self._catalogue.get_model(request.model, Door.GRPC)))

    async def GetRevisionMetrics(  # noqa: N802
        self,
        request: pb.GetRevisionMetricsRequest,
        context: "grpc.aio.ServicerContext[pb.GetRevisionMetricsRequest, pb.GetRevisionMetricsResponse]",
    ) -> pb.GetRevisionMetricsResponse:
        """Give the counters of a revision."""
        await self._guard.admit(_headers(context), request.model)
        measured = self._catalogue.revision_metrics(
            request.model, request.revision, window_seconds=request.window_seconds
        )
        return convert.metrics(measured)

    async def GetKVTransfer(  # noqa: N802
        self,
        request: pb.GetKVTransferRequest,
        context: "grpc.aio.ServicerContext[pb.GetKVTransferRequest, pb.GetKVTransferResponse]",
    ) -> pb.GetKVTransferResponse:
        """Ask the engines of a revision what has moved."""
        await self._guard.admit(_headers(context), request.model)
        return convert.transfers(await self._catalogue.transfers(request.model, request.revision))

    async def GetUtilization(  # noqa: N802
        self,
        request: pb.GetUtilizationRequest,
        context: "grpc.aio.ServicerContext[pb.GetUtilizationRequest, pb.GetUtilizationResponse]",
    ) -> pb.GetUtilizationResponse:
        """Ask the engines of a revision what they reach."""
        await self._guard.admit(_headers(context), request.model)
        return convert.utilization(await self._catalogue.utilization(request.model, request.revision))

    def _call(self, context: "grpc.aio.ServicerContext[Any, Any]") -> Call:
        headers = _headers(context)
        arrived = self._clock()
        offered = headers.get(runtime_context.REQUEST_ID_HEADER, "")
        return Call(
            door=Door.GRPC,
            request_id=runtime_context.request_id.get() or runtime_context.accepted_request_id(offered),
            arrived_seconds=arrived,
            deadline_seconds=arrived + remaining_seconds(context, at_most=self._max_deadline_seconds),
            pinned_revision=headers.get(runtime_context.REVISION_HEADER, ""),
            headers=headers,
        )


def _headers(context: "grpc.aio.ServicerContext[Any, Any]") -> dict[str, str]:
    return {key: value for key, value in context.invocation_metadata() or () if isinstance(value, str)}
