"""What an index is built from and how, with every default applied. Pure.

An `IndexSpec` is what the digest of a revision is computed from, so two requests that mean the same must give equal
specs: the door fills in the defaults before it makes one.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class SourceFormat(StrEnum):
    """How a file is parsed."""

    BY_EXTENSION = "ByExtension"
    TEXT = "Text"
    MARKDOWN = "Markdown"
    HTML = "HTML"
    JSON_LINES = "JSONLines"
    JSON = "JSON"


class Distance(StrEnum):
    """How two vectors are compared."""

    COSINE = "Cosine"
    DOT = "Dot"
    EUCLID = "Euclid"


class SparseEncoding(StrEnum):
    """The term-based encoder."""

    NONE = "None"
    BM25 = "BM25"


class ChunkingStrategy(StrEnum):
    """Where documents are cut."""

    RECURSIVE = "Recursive"
    FIXED = "Fixed"
    DOCUMENT = "Document"


class SearchMode(StrEnum):
    """The arms of a search."""

    UNSPECIFIED = "Unspecified"
    DENSE = "Dense"
    SPARSE = "Sparse"
    HYBRID = "Hybrid"


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldPaths:
    """JMESPath expressions within a record."""

    text: str = "text"
    title: str = ""
    """Empty: documents have no title."""
    id: str = ""
    """Empty: a document is named by the digest of its text."""
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One place that documents come from."""

    name: str
    uri: str
    format: SourceFormat = SourceFormat.BY_EXTENSION
    records: str = ""
    """JMESPath to the list of records, for JSON; empty: the document itself."""
    fields: FieldPaths = FieldPaths()
    metadata: Mapping[str, str] = field(default_factory=dict)
    """Put on each document."""
    include: tuple[str, ...] = ()
    """Globs of files to take; empty: all."""
    exclude: tuple[str, ...] = ()
    ref: str = ""
    """Branch, tag or commit of a git source; empty: the default branch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Embedding:
    """A dense encoder."""

    model_uri: str
    tokenizer_uri: str
    dimensions: int
    distance: Distance = Distance.COSINE
    max_tokens: int = 256
    """Where an input is cut, special tokens included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunking:
    """How documents are cut into passages."""

    strategy: ChunkingStrategy = ChunkingStrategy.RECURSIVE
    max_tokens: int = 256
    overlap_tokens: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchDefaults:
    """What a search uses that says nothing else."""

    mode: SearchMode = SearchMode.UNSPECIFIED
    """Unspecified: hybrid where the index has both arms, else the one it has."""
    top_k: int = 8
    min_score: float | None = None
    dense_weight: float = 1.0
    sparse_weight: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexSpec:
    """What a revision is built from and how."""

    sources: tuple[Source, ...]
    embedding: Embedding | None = None
    sparse: SparseEncoding = SparseEncoding.NONE
    chunking: Chunking = Chunking()
    tenant_field: str = ""
    """The metadata field that every search must filter by; empty: no tenants."""
    defaults: SearchDefaults = SearchDefaults()

    @property
    def has_dense(self) -> bool:
        """Whether passages have embeddings."""
        return self.embedding is not None

    @property
    def has_sparse(self) -> bool:
        """Whether passages have term weights."""
        return self.sparse is not SparseEncoding.NONE

    def to_document(self) -> dict[str, Any]:
        """Write the spec as a JSON document; equal specs give equal documents."""
        return dataclasses.asdict(self)

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> "IndexSpec":
        """Read what `to_document` wrote.

        Raises:
            KeyError, TypeError, ValueError: The document was not written by this version.
        """
        embedding = document["embedding"]
        defaults = document["defaults"]
        chunking = document["chunking"]
        return cls(
            sources=tuple(_source(s) for s in document["sources"]),
            embedding=Embedding(**{**embedding, "distance": Distance(embedding["distance"])}) if embedding else None,
            sparse=SparseEncoding(document["sparse"]),
            chunking=Chunking(**{**chunking, "strategy": ChunkingStrategy(chunking["strategy"])}),
            tenant_field=document["tenant_field"],
            defaults=SearchDefaults(**{**defaults, "mode": SearchMode(defaults["mode"])}),
        )


def _source(document: Mapping[str, Any]) -> Source:
    return Source(
        **{
            **document,
            "format": SourceFormat(document["format"]),
            "fields": FieldPaths(**document["fields"]),
            "include": tuple(document["include"]),
            "exclude": tuple(document["exclude"]),
        }
    )
