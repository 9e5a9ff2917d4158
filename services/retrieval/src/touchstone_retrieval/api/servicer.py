"""touchstone.retrieval.v1.RetrievalService over the use cases of retrieval."""

import asyncio
import time
from typing import Any

from touchstone.retrieval.v1 import retrieval_service_pb2 as pb
from touchstone.retrieval.v1 import retrieval_service_pb2_grpc as pb_grpc
from touchstone_runtime import channels, telemetry
from touchstone_runtime.server import Servicer
from touchstone_runtime.telemetry import names

from touchstone_retrieval import errors
from touchstone_retrieval.api import convert, present
from touchstone_retrieval.api.offload import Offload
from touchstone_retrieval.core import validation
from touchstone_retrieval.service.builds import Builds
from touchstone_retrieval.service.indexes import Indexes
from touchstone_retrieval.service.searching import Answer, Searching

NAME = "touchstone.retrieval.v1.RetrievalService"
SEARCH_DURATION = "touchstone.search.duration"
SEARCH_MODE = "touchstone.search.mode"


class RetrievalServicer(pb_grpc.RetrievalServiceServicer):
    """Retrieval behind gRPC: proto in, call in a thread, proto out."""

    def __init__(
        self,
        builds: Builds,
        indexes: Indexes,
        searching: Searching,
        *,
        searches: Offload,
        others: Offload,
        search_timeout_seconds: float,
    ) -> None:
        self._builds = builds
        self._indexes = indexes
        self._searching = searching
        self._in_search_thread = searches
        self._in_thread = others
        self._search_timeout_seconds = search_timeout_seconds
        self._tracer = telemetry.tracer(__name__)
        self._duration = telemetry.meter(__name__).create_histogram(
            SEARCH_DURATION, unit="s", description="Time from a search's arrival to its answer."
        )

    def registered(self) -> Servicer:
        """Return what a server adds."""
        return Servicer(NAME, lambda server: pb_grpc.add_RetrievalServiceServicer_to_server(self, server))

    def close(self) -> None:
        """Let go of the threads and of the open revisions."""
        self._in_search_thread.close()
        self._in_thread.close()
        self._searching.readers.close()

    async def StartBuild(self, request: pb.StartBuildRequest, context: Any) -> pb.StartBuildResponse:  # noqa: N802
        """Begin to build a revision."""
        spec = convert.spec_from(request)
        build = await self._in_thread(
            self._builds.start, request.dispatch_id, request.index, spec, embed_again=request.embed_again
        )
        return pb.StartBuildResponse(build=present.build(build))

    async def GetBuild(self, request: pb.GetBuildRequest, context: Any) -> pb.GetBuildResponse:  # noqa: N802
        """Return a build."""
        build = await self._in_thread(self._builds.get, request.dispatch_id)
        return pb.GetBuildResponse(build=present.build(build))

    async def CancelBuild(self, request: pb.CancelBuildRequest, context: Any) -> pb.CancelBuildResponse:  # noqa: N802
        """Stop a build."""
        build = await self._in_thread(self._builds.cancel, request.dispatch_id)
        return pb.CancelBuildResponse(build=present.build(build))

    async def ActivateRevision(  # noqa: N802
        self, request: pb.ActivateRevisionRequest, context: Any
    ) -> pb.ActivateRevisionResponse:
        """Make a revision the active one."""
        index = await self._in_thread(self._indexes.activate, _index(request.index), request.revision)
        return pb.ActivateRevisionResponse(index=present.index(index))

    async def GetIndex(self, request: pb.GetIndexRequest, context: Any) -> pb.GetIndexResponse:  # noqa: N802
        """Return an index."""
        index = await self._in_thread(self._indexes.get, _index(request.index))
        return pb.GetIndexResponse(index=present.index(index))

    async def DeleteRevision(  # noqa: N802
        self, request: pb.DeleteRevisionRequest, context: Any
    ) -> pb.DeleteRevisionResponse:
        """Remove a revision."""
        await self._in_thread(self._indexes.delete_revision, _index(request.index), request.revision)
        return pb.DeleteRevisionResponse()

    async def DeleteIndex(self, request: pb.DeleteIndexRequest, context: Any) -> pb.DeleteIndexResponse:  # noqa: N802
        """Remove an index."""
        await self._in_thread(self._indexes.delete_index, _index(request.index))
        return pb.DeleteIndexResponse()

    async def Search(self, request: pb.SearchRequest, context: Any) -> pb.SearchResponse:  # noqa: N802
        """Return the passages nearest to a query."""
        query = convert.query_from(request)
        limit = channels.remaining_seconds(context, at_most=self._search_timeout_seconds)
        started = time.perf_counter()
        attributes = {
            names.GEN_AI_OPERATION: names.OPERATION_RETRIEVAL,
            names.GEN_AI_DATA_SOURCE: _index(request.index),
        }
        with self._tracer.start_as_current_span(f"retrieval {request.index}", attributes=attributes) as span:
            try:
                async with asyncio.timeout(limit):
                    answer = await self._in_search_thread(self._searching.search, query)
            except TimeoutError as error:
                raise errors.SearchTimedOut(limit) from error
            span.set_attributes(_facts(answer))
        self._duration.record(
            time.perf_counter() - started, {names.INDEX: request.index, SEARCH_MODE: answer.plan.mode.value}
        )
        return present.answer(answer)


def _facts(answer: Answer) -> dict[str, str | int]:
    return {
        names.REVISION: answer.manifest.name,
        names.GEN_AI_REQUEST_TOP_K: answer.plan.top_k,
        names.SEARCH_HITS: len(answer.hits),
        SEARCH_MODE: answer.plan.mode.value,
    }


def _index(name: str) -> str:
    faults = list(validation.index_faults(name))
    if faults:
        raise errors.SearchInvalid(faults)
    return name
