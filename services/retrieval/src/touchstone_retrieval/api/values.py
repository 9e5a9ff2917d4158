"""The enums of the protos and those of the domain."""

from collections.abc import Mapping
from typing import TypeVar

from touchstone.retrieval.v1 import retrieval_service_pb2 as pb
from touchstone_runtime.jobs import JobState

from touchstone_retrieval.core.spec import ChunkingStrategy, Distance, SearchMode, SourceFormat, SparseEncoding

Number = TypeVar("Number", bound=int)
Value = TypeVar("Value")

FORMATS = {
    pb.SOURCE_FORMAT_UNSPECIFIED: SourceFormat.BY_EXTENSION,
    pb.SOURCE_FORMAT_TEXT: SourceFormat.TEXT,
    pb.SOURCE_FORMAT_MARKDOWN: SourceFormat.MARKDOWN,
    pb.SOURCE_FORMAT_HTML: SourceFormat.HTML,
    pb.SOURCE_FORMAT_JSON_LINES: SourceFormat.JSON_LINES,
    pb.SOURCE_FORMAT_JSON: SourceFormat.JSON,
}
DISTANCES = {
    pb.DISTANCE_COSINE: Distance.COSINE,
    pb.DISTANCE_DOT: Distance.DOT,
    pb.DISTANCE_EUCLID: Distance.EUCLID,
}
SPARSE = {
    pb.SPARSE_ENCODING_UNSPECIFIED: SparseEncoding.NONE,
    pb.SPARSE_ENCODING_BM25: SparseEncoding.BM25,
}
STRATEGIES = {
    pb.CHUNKING_STRATEGY_RECURSIVE: ChunkingStrategy.RECURSIVE,
    pb.CHUNKING_STRATEGY_FIXED: ChunkingStrategy.FIXED,
    pb.CHUNKING_STRATEGY_DOCUMENT: ChunkingStrategy.DOCUMENT,
}
MODES = {
    pb.SEARCH_MODE_UNSPECIFIED: SearchMode.UNSPECIFIED,
    pb.SEARCH_MODE_DENSE: SearchMode.DENSE,
    pb.SEARCH_MODE_SPARSE: SearchMode.SPARSE,
    pb.SEARCH_MODE_HYBRID: SearchMode.HYBRID,
}
STATES = {
    JobState.PENDING: pb.BUILD_STATE_PENDING,
    JobState.RUNNING: pb.BUILD_STATE_RUNNING,
    JobState.SUCCEEDED: pb.BUILD_STATE_SUCCEEDED,
    JobState.FAILED: pb.BUILD_STATE_FAILED,
    JobState.CANCELLED: pb.BUILD_STATE_CANCELLED,
}


def number(values: Mapping[Number, Value], value: Value) -> Number:
    """Return the number that stands for a value."""
    return next(number for number, known in values.items() if known == value)
