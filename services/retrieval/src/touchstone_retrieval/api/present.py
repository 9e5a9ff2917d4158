"""From the domain to the protos: answers."""

from datetime import datetime

from google.protobuf.timestamp_pb2 import Timestamp
from touchstone.retrieval.v1 import retrieval_service_pb2 as pb

from touchstone_retrieval.api import values
from touchstone_retrieval.core.manifest import Manifest
from touchstone_retrieval.core.spec import IndexSpec, Source
from touchstone_retrieval.ports import IndexRecord
from touchstone_retrieval.service.builds import Build
from touchstone_retrieval.service.searching import Answer, Hit


def build(made: Build) -> pb.Build:
    """Write a build."""
    written = pb.Build(
        dispatch_id=made.dispatch_id,
        index=made.index,
        state=values.STATES[made.state],
        stage=made.progress.stage,
        documents_done=made.progress.documents_done,
        documents_total=made.progress.documents_total,
    )
    if made.error:
        written.error.CopyFrom(pb.BuildError(reason=made.error["reason"], message=made.error["message"]))
    if made.manifest:
        written.revision.CopyFrom(revision(made.manifest))
    if made.heartbeat_at:
        written.heartbeat_time.CopyFrom(_time(made.heartbeat_at))
    return written


def index(record: IndexRecord) -> pb.Index:
    """Write an index."""
    return pb.Index(
        name=record.name,
        active_revision=record.active_revision,
        previous_revision=record.previous_revision,
        revisions=[revision(manifest) for manifest in record.revisions],
    )


def revision(manifest: Manifest) -> pb.IndexRevision:
    """Write a revision."""
    return pb.IndexRevision(
        name=manifest.name,
        digest=manifest.digest,
        documents=manifest.counts.documents,
        chunks=manifest.counts.chunks,
        failed_documents=manifest.counts.failed_documents,
        size_bytes=manifest.size_bytes,
        built_at=_time(manifest.built_at),
        source_revisions=[pb.SourceRevision(name=s.name, digest=s.digest) for s in manifest.identity.sources],
        spec=_spec_to(manifest.identity.spec),
    )


def answer(found: Answer) -> pb.SearchResponse:
    """Write what a search found."""
    return pb.SearchResponse(
        hits=[_hit_to(hit) for hit in found.hits],
        revision=found.manifest.name,
        revision_digest=found.manifest.digest,
    )


def _spec_to(spec: IndexSpec) -> pb.IndexSpec:
    written = pb.IndexSpec(
        sources=[_source_to(source) for source in spec.sources],
        sparse=values.number(values.SPARSE, spec.sparse),
        chunking=pb.Chunking(
            strategy=values.number(values.STRATEGIES, spec.chunking.strategy),
            max_tokens=spec.chunking.max_tokens,
            overlap_tokens=spec.chunking.overlap_tokens,
        ),
        tenant_field=spec.tenant_field,
        defaults=pb.SearchDefaults(
            mode=values.number(values.MODES, spec.defaults.mode),
            top_k=spec.defaults.top_k,
            min_score=spec.defaults.min_score,
            dense_weight=spec.defaults.dense_weight,
            sparse_weight=spec.defaults.sparse_weight,
        ),
    )
    if spec.embedding:
        written.embedding.CopyFrom(
            pb.Embedding(
                model_uri=spec.embedding.model_uri,
                tokenizer_uri=spec.embedding.tokenizer_uri,
                dimensions=spec.embedding.dimensions,
                distance=values.number(values.DISTANCES, spec.embedding.distance),
                max_tokens=spec.embedding.max_tokens,
            )
        )
    return written


def _source_to(source: Source) -> pb.Source:
    return pb.Source(
        name=source.name,
        uri=source.uri,
        format=values.number(values.FORMATS, source.format),
        records=source.records,
        fields=pb.FieldPaths(
            text=source.fields.text, title=source.fields.title, id=source.fields.id, metadata=source.fields.metadata
        ),
        metadata=source.metadata,
        include=source.include,
        exclude=source.exclude,
        ref=source.ref,
    )


def _hit_to(hit: Hit) -> pb.Hit:
    passage = hit.passage
    return pb.Hit(
        document_id=passage.document_id,
        chunk_index=passage.chunk_index,
        text=passage.text,
        title=passage.title,
        start_offset=passage.start,
        end_offset=passage.end,
        score=hit.score,
        dense_rank=hit.dense_rank,
        sparse_rank=hit.sparse_rank,
        source=passage.source,
        metadata=passage.metadata,
    )


def _time(moment: datetime) -> Timestamp:
    written = Timestamp()
    written.FromDatetime(moment)
    return written
