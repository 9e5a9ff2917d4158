"""touchstone.engine.v1.EngineService over the engine's use cases."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

from opentelemetry import trace
from touchstone.engine.v1 import engine_service_pb2 as pb
from touchstone.engine.v1 import engine_service_pb2_grpc as pb_grpc
from touchstone_runtime.errors import Invalid, Violation
from touchstone_runtime.revisions import Manifest
from touchstone_runtime.server import Servicer
from touchstone_runtime.telemetry import names

from touchstone_inference import errors
from touchstone_inference.engine.api import convert
from touchstone_inference.engine.core.generation import End, Generation
from touchstone_inference.engine.service.adapters import Adapters
from touchstone_inference.engine.service.measuring import Measuring
from touchstone_inference.engine.service.serving import EngineService

NAME = "touchstone.engine.v1.EngineService"


class EngineServicer(pb_grpc.EngineServiceServicer):
    """The engine behind gRPC: proto in, call, proto out."""

    def __init__(
        self, service: EngineService, measuring: Measuring, manifest: Manifest, adapters: Adapters | None = None
    ) -> None:
        """Take the use cases, the revision, and the adapters of an engine that takes any."""
        self._service = service
        self._measuring = measuring
        self._adapters = adapters
        self._manifest = manifest

    def registered(self) -> Servicer:
        """Return what a server adds."""
        return Servicer(NAME, lambda server: pb_grpc.add_EngineServiceServicer_to_server(self, server))

    async def Generate(self, request: pb.GenerateRequest, context: Any) -> AsyncIterator[pb.GenerateResponse]:  # noqa: N802
        """Continue a prompt or a conversation."""
        if request.adapter and self._adapters is None:
            raise errors.EngineCannot(self._service.description.engine_type, f"adapter '{request.adapter}'")
        generation = convert.generation(request, self._prompt(request))
        async with aclosing(self._service.generate(generation)) as pieces:  # type: ignore[type-var] # a generator
            async for piece in pieces:
                if piece.end is not None:
                    self._observe(piece.end)
                yield convert.response(piece)

    def _prompt(self, request: pb.GenerateRequest | pb.CountTokensRequest) -> str:
        match request.WhichOneof("input"):
            case "conversation":
                return self._service.render(convert.turns(request.conversation))
            case "prompt":
                return request.prompt
            case _:
                raise Invalid([Violation("input", "is not set; send a conversation or a prompt")])

    def _observe(self, end: End) -> None:
        trace.get_current_span().set_attributes(
            {
                names.ENGINE_TYPE: self._service.description.engine_type,
                names.REVISION: self._manifest.name,
                names.GEN_AI_USAGE_INPUT_TOKENS: end.usage.input_tokens,
                names.GEN_AI_USAGE_OUTPUT_TOKENS: end.usage.output_tokens,
                names.GEN_AI_USAGE_CACHED_INPUT_TOKENS: end.usage.cached_input_tokens,
                names.GEN_AI_RESPONSE_FINISH_REASONS: (end.finish,),
            }
        )

    async def Prefill(self, request: pb.PrefillRequest, context: Any) -> pb.PrefillResponse:  # noqa: N802
        """Compute a prompt for another engine."""
        return convert.prefilled(
            await self._service.prefill(Generation(prompt=request.prompt, adapter=request.adapter))
        )

    async def Score(self, request: pb.ScoreRequest, context: Any) -> pb.ScoreResponse:  # noqa: N802
        """Return log-probabilities of continuations."""
        return convert.scores(await self._service.score(convert.scoring(request)))

    async def Embed(self, request: pb.EmbedRequest, context: Any) -> pb.EmbedResponse:  # noqa: N802
        """Return one vector for each input."""
        vectors, count = await self._service.embed(request.inputs)
        return pb.EmbedResponse(embeddings=[pb.Embedding(values=vector) for vector in vectors], input_tokens=count)

    async def CountTokens(self, request: pb.CountTokensRequest, context: Any) -> pb.CountTokensResponse:  # noqa: N802
        """Count the tokens that Generate would see."""
        return pb.CountTokensResponse(token_count=await self._service.count_tokens(self._prompt(request)))

    async def LoadAdapter(self, request: pb.LoadAdapterRequest, context: Any) -> pb.LoadAdapterResponse:  # noqa: N802
        """Make an adapter available by name."""
        if self._adapters is None:
            raise errors.EngineCannot(self._service.description.engine_type, "LoadAdapter")
        digest = await self._adapters.load(request.name, request.uri, request.digest)
        return pb.LoadAdapterResponse(digest=digest)

    async def UnloadAdapter(self, request: pb.UnloadAdapterRequest, context: Any) -> pb.UnloadAdapterResponse:  # noqa: N802
        """Drop an adapter."""
        if self._adapters is not None:
            await self._adapters.unload(request.name)
        return pb.UnloadAdapterResponse()

    async def Describe(self, request: pb.DescribeRequest, context: Any) -> pb.DescribeResponse:  # noqa: N802
        """Say what the engine runs and can do."""
        manifest = self._manifest
        return convert.description(
            self._service.description,
            revision=manifest.name,
            revision_digest=manifest.digest,
            adapters=self._adapters.loaded if self._adapters else (),
        )

    async def Stats(self, request: pb.StatsRequest, context: Any) -> pb.StatsResponse:  # noqa: N802
        """Return the present load and the counters."""
        counters = self._service.counters
        counted, sent = await self._service.transfers()
        reached = self._measuring.utilization()
        return pb.StatsResponse(
            active_requests=counters.active,
            queued_requests=counters.queued,
            requests=counters.requests,
            cancelled_requests=counters.cancelled,
            usage_totals=pb.UsageTotals(
                input_tokens=counters.input_tokens,
                output_tokens=counters.output_tokens,
                cached_input_tokens=counters.cached_input_tokens,
            ),
            kv_transfer=convert.kv_transfer(counted, sent) if counted.connector or sent.remote else None,
            utilization=convert.utilization(reached) if reached else None,
            peak_output_tokens_per_second=self._measuring.peak_output_tokens_per_second,
        )
