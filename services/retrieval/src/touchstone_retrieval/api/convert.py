"""From the protos to the domain: requests, with every default applied that touchstone.retrieval.v1 names."""

from collections.abc import Mapping

from touchstone.retrieval.v1 import retrieval_service_pb2 as pb
from touchstone_runtime.errors import Violation

from touchstone_retrieval import errors
from touchstone_retrieval.api import values
from touchstone_retrieval.api.values import Number, Value
from touchstone_retrieval.core.planning import Query
from touchstone_retrieval.core.spec import (
    Chunking,
    Distance,
    Embedding,
    FieldPaths,
    IndexSpec,
    SearchDefaults,
    SearchMode,
    Source,
    SourceFormat,
)


def spec_from(request: pb.StartBuildRequest) -> IndexSpec:
    """Read a specification.

    Raises:
        SpecInvalid: It is missing, or holds a value of an enum that this version does not know.
    """
    if not request.HasField("spec"):
        raise errors.SpecInvalid([Violation("spec", "Must be set: say what to build.")])
    spec = request.spec
    violations: list[Violation] = []

    def known(table: Mapping[Number, Value], number: Number, field: str) -> Value:
        if number not in table:
            violations.append(Violation(field, f"{number} is not a value that this version knows."))
            return next(iter(table.values()))
        return table[number]

    made = IndexSpec(
        sources=tuple(
            _source(s, known(values.FORMATS, s.format, f"spec.sources[{i}].format")) for i, s in enumerate(spec.sources)
        ),
        embedding=_embedding(
            spec.embedding,
            known(values.DISTANCES, spec.embedding.distance or pb.DISTANCE_COSINE, "spec.embedding.distance"),
        )
        if spec.HasField("embedding")
        else None,
        sparse=known(values.SPARSE, spec.sparse, "spec.sparse"),
        chunking=Chunking(
            strategy=known(
                values.STRATEGIES, spec.chunking.strategy or pb.CHUNKING_STRATEGY_RECURSIVE, "spec.chunking.strategy"
            ),
            max_tokens=spec.chunking.max_tokens or 256,
            overlap_tokens=spec.chunking.overlap_tokens,
        ),
        tenant_field=spec.tenant_field,
        defaults=_defaults(spec.defaults, known(values.MODES, spec.defaults.mode, "spec.defaults.mode")),
    )
    if violations:
        raise errors.SpecInvalid(violations)
    return made


def query_from(request: pb.SearchRequest) -> Query:
    """Read a search.

    Raises:
        SearchInvalid: It holds a mode that this version does not know.
    """
    if request.mode not in values.MODES:
        violation = Violation("mode", f"{request.mode} is not a value that this version knows.")
        raise errors.SearchInvalid([violation])
    return Query(
        index=request.index,
        revision=request.revision,
        text=request.query,
        top_k=request.top_k,
        mode=values.MODES[request.mode],
        filter=dict(request.filter),
        tenant=request.tenant,
        min_score=request.min_score if request.HasField("min_score") else None,
    )


def _source(source: pb.Source, file_format: SourceFormat) -> Source:
    return Source(
        name=source.name,
        uri=source.uri,
        format=file_format,
        records=source.records,
        fields=FieldPaths(
            text=source.fields.text or "text",
            title=source.fields.title,
            id=source.fields.id,
            metadata=dict(source.fields.metadata),
        ),
        metadata=dict(source.metadata),
        include=tuple(source.include),
        exclude=tuple(source.exclude),
        ref=source.ref,
    )


def _embedding(embedding: pb.Embedding, distance: Distance) -> Embedding:
    return Embedding(
        model_uri=embedding.model_uri,
        tokenizer_uri=embedding.tokenizer_uri,
        dimensions=embedding.dimensions,
        distance=distance,
        max_tokens=embedding.max_tokens or 256,
    )


def _defaults(defaults: pb.SearchDefaults, mode: SearchMode) -> SearchDefaults:
    return SearchDefaults(
        mode=mode,
        top_k=defaults.top_k or 8,
        min_score=defaults.min_score if defaults.HasField("min_score") else None,
        dense_weight=defaults.dense_weight if defaults.HasField("dense_weight") else 1.0,
        sparse_weight=defaults.sparse_weight if defaults.HasField("sparse_weight") else 1.0,
    )
