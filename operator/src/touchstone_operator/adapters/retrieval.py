"""The retrieval service over gRPC."""

from typing import Any

import grpc
from touchstone.retrieval.v1 import retrieval_service_pb2 as pb
from touchstone.retrieval.v1 import retrieval_service_pb2_grpc as pb_grpc

from touchstone_operator import errors
from touchstone_operator.adapters import numbers
from touchstone_operator.adapters.peers import TIMEOUT_SECONDS, ask
from touchstone_operator.api.ragindex import IndexRevisionStatus, RagIndexSpec, Source, SourceRevision
from touchstone_operator.ports import BuildReport, StoredIndex

PEER = "retrieval"

_FORMATS = {
    None: pb.SOURCE_FORMAT_UNSPECIFIED,
    "Text": pb.SOURCE_FORMAT_TEXT,
    "Markdown": pb.SOURCE_FORMAT_MARKDOWN,
    "HTML": pb.SOURCE_FORMAT_HTML,
    "JSONLines": pb.SOURCE_FORMAT_JSON_LINES,
    "JSON": pb.SOURCE_FORMAT_JSON,
}
_DISTANCES = {"Cosine": pb.DISTANCE_COSINE, "Dot": pb.DISTANCE_DOT, "Euclid": pb.DISTANCE_EUCLID}
_STRATEGIES = {
    "Recursive": pb.CHUNKING_STRATEGY_RECURSIVE,
    "Fixed": pb.CHUNKING_STRATEGY_FIXED,
    "Document": pb.CHUNKING_STRATEGY_DOCUMENT,
}
_MODES = {"Dense": pb.SEARCH_MODE_DENSE, "Sparse": pb.SEARCH_MODE_SPARSE, "Hybrid": pb.SEARCH_MODE_HYBRID}


class RetrievalClient:
    """The retrieval port."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub: Any = pb_grpc.RetrievalServiceStub(channel)

    async def start_build(self, dispatch_id: str, index: str, spec: RagIndexSpec) -> BuildReport:
        """Start a build."""
        message = build_request(dispatch_id, index, spec)
        return report((await ask(PEER, self._stub.StartBuild(message, timeout=TIMEOUT_SECONDS))).build)

    async def get_build(self, dispatch_id: str) -> BuildReport:
        """Read a build."""
        call = self._stub.GetBuild(pb.GetBuildRequest(dispatch_id=dispatch_id), timeout=TIMEOUT_SECONDS)
        return report((await ask(PEER, call, missing=lambda: errors.BuildNotFound(dispatch_id))).build)

    async def cancel_build(self, dispatch_id: str) -> None:
        """Cancel a build; an unknown one is fine."""
        call = self._stub.CancelBuild(pb.CancelBuildRequest(dispatch_id=dispatch_id), timeout=TIMEOUT_SECONDS)
        try:
            await ask(PEER, call, missing=lambda: errors.BuildNotFound(dispatch_id))
        except errors.BuildNotFound:
            return

    async def get_index(self, index: str) -> StoredIndex:
        """Read an index; an empty one when the store does not know it."""
        call = self._stub.GetIndex(pb.GetIndexRequest(index=index), timeout=TIMEOUT_SECONDS)
        try:
            found = (await ask(PEER, call, missing=lambda: errors.BuildNotFound(index))).index
        except errors.BuildNotFound:
            return StoredIndex()
        return StoredIndex(
            active_revision=found.active_revision, revisions=tuple(revision.name for revision in found.revisions)
        )

    async def activate(self, index: str, revision: str) -> None:
        """Make a built revision the active one."""
        message = pb.ActivateRevisionRequest(index=index, revision=revision)
        await ask(PEER, self._stub.ActivateRevision(message, timeout=TIMEOUT_SECONDS))

    async def delete_revision(self, index: str, revision: str) -> None:
        """Remove a revision."""
        message = pb.DeleteRevisionRequest(index=index, revision=revision)
        await ask(PEER, self._stub.DeleteRevision(message, timeout=TIMEOUT_SECONDS))

    async def delete_index(self, index: str) -> None:
        """Remove an index with all its revisions."""
        await ask(PEER, self._stub.DeleteIndex(pb.DeleteIndexRequest(index=index), timeout=TIMEOUT_SECONDS))


def build_request(dispatch_id: str, index: str, spec: RagIndexSpec) -> pb.StartBuildRequest:
    """Write what is to be built, and whether what is known of it may be used."""
    is_rebuilt = spec.update is not None and spec.update.mode == "Rebuild"
    return pb.StartBuildRequest(dispatch_id=dispatch_id, index=index, spec=index_spec(spec), embed_again=is_rebuilt)


def index_spec(spec: RagIndexSpec) -> pb.IndexSpec:
    """Write what a revision is built from."""
    message = pb.IndexSpec(
        sources=[source(one) for one in spec.sources],
        sparse=pb.SPARSE_ENCODING_UNSPECIFIED
        if spec.sparse and spec.sparse.type == "None"
        else pb.SPARSE_ENCODING_BM25,
        tenant_field=(spec.access.tenant_field if spec.access else None) or "",
    )
    embedding = spec.embedding
    message.embedding.CopyFrom(
        pb.Embedding(
            model_uri=embedding.model.uri if embedding.model else "",
            tokenizer_uri=embedding.tokenizer.uri if embedding.tokenizer else "",
            dimensions=embedding.dimensions,
            distance=_DISTANCES[embedding.distance],
            max_tokens=embedding.max_tokens,
        )
    )
    if spec.chunking:
        message.chunking.strategy = _STRATEGIES[spec.chunking.strategy]
        message.chunking.max_tokens = spec.chunking.max_tokens
        message.chunking.overlap_tokens = spec.chunking.overlap_tokens
    if spec.retrieval:
        defaults = spec.retrieval
        message.defaults.mode = _MODES[defaults.mode]
        message.defaults.top_k = defaults.top_k
        for field in ("min_score", "dense_weight", "sparse_weight"):
            value = getattr(defaults, field)
            if value is not None:
                setattr(message.defaults, field, float(value))
    return message


def source(spec: Source) -> pb.Source:
    """Write a source."""
    message = pb.Source(
        name=spec.name,
        uri=spec.uri,
        ref=spec.ref or "",
        format=_FORMATS[spec.format],
        records=spec.records or "",
        metadata=spec.metadata or {},
        include=spec.include or (),
        exclude=spec.exclude or (),
    )
    if spec.fields:
        fields = spec.fields
        message.fields.CopyFrom(
            pb.FieldPaths(
                text=fields.text, title=fields.title or "", id=fields.id or "", metadata=fields.metadata or {}
            )
        )
    return message


def report(build: pb.Build) -> BuildReport:
    """Read a build."""
    return BuildReport(
        state=numbers.camel(pb.BuildState, build.state, "BUILD_STATE_"),
        stage=build.stage,
        documents_done=build.documents_done,
        documents_total=build.documents_total,
        error_reason=build.error.reason,
        error_message=build.error.message,
        revision=revision(build.revision) if build.HasField("revision") else None,
    )


def revision(found: pb.IndexRevision) -> IndexRevisionStatus:
    """Read the manifest of a built revision."""
    return IndexRevisionStatus(
        name=found.name,
        digest=found.digest,
        source_revisions=tuple(SourceRevision(name=s.name, digest=s.digest) for s in found.source_revisions),
        documents=found.documents,
        chunks=found.chunks,
        failed_documents=found.failed_documents,
        size_bytes=found.size_bytes,
        built_at=numbers.time(found.built_at),
    )
