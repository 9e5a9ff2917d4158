"""Passages from RetrievalService, always of the revision that the manifest names."""

from typing import Any

import grpc
from touchstone.retrieval.v1 import retrieval_service_pb2 as pb
from touchstone.retrieval.v1 import retrieval_service_pb2_grpc as pb_grpc
from touchstone_runtime.channels import translate
from touchstone_runtime.errors import Kind

from touchstone_inference import errors
from touchstone_inference.router.core.generation import Passage

QUERY_BYTES = 32 << 10
"""The longest query that RetrievalService takes; of a longer question the beginning is searched for."""


class GrpcRetrieval:
    """Searches by gRPC."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub: Any = pb_grpc.RetrievalServiceStub(channel)

    async def search(
        self, index: str, revision: str, query: str, *, top_k: int, tenant: str, timeout_seconds: float
    ) -> tuple[Passage, ...]:
        """Search one revision of an index."""
        request = pb.SearchRequest(
            index=index,
            revision=revision,
            query=query.encode()[:QUERY_BYTES].decode(errors="ignore"),
            top_k=top_k,
            tenant=tenant,
        )
        try:
            response = await self._stub.Search(request, timeout=timeout_seconds)
        except grpc.aio.AioRpcError as error:
            fault = translate(error, "retrieval")
            if fault.kind is Kind.INVALID:
                raise fault from error
            raise errors.RetrievalUnavailable(index, fault.reason) from error
        return tuple(
            Passage(
                document_id=hit.document_id,
                title=hit.title,
                text=hit.text,
                score=hit.score,
                start_offset=hit.start_offset,
                end_offset=hit.end_offset,
                source=hit.source,
            )
            for hit in response.hits
        )


class NoRetrieval:
    """Stands where no retrieval service is configured: a revision with an index cannot answer."""

    async def search(
        self, index: str, revision: str, query: str, *, top_k: int, tenant: str, timeout_seconds: float
    ) -> tuple[Passage, ...]:
        """Refuse. Raises RetrievalUnavailable."""
        del revision, query, top_k, tenant, timeout_seconds
        raise errors.RetrievalUnavailable(index, "TOUCHSTONE_RETRIEVAL_ADDRESS is not set")
