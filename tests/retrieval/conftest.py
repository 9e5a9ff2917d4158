"""Builders and fakes that behave, shared by the tests of retrieval."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from qdrant_client import QdrantClient
from touchstone_retrieval.adapters import splitting
from touchstone_retrieval.adapters.bm25 import EdgeBm25
from touchstone_retrieval.adapters.catalogue import SqlCatalogue
from touchstone_retrieval.adapters.edge_store import EdgeStore
from touchstone_retrieval.adapters.parsing import FileParser
from touchstone_retrieval.adapters.qdrant_store import QdrantStore
from touchstone_retrieval.adapters.sources import SourceFetcher
from touchstone_retrieval.adapters.vector_cache import SqliteVectorCache
from touchstone_retrieval.adapters.workplaces import FolderWorkplaces
from touchstone_retrieval.core.spec import Chunking, Embedding, IndexSpec, Source, SparseEncoding
from touchstone_retrieval.ports import Splitter, Store, Vectors
from touchstone_retrieval.service.indexes import Indexes
from touchstone_retrieval.service.pipeline import Pipeline
from touchstone_retrieval.service.readers import Readers
from touchstone_retrieval.service.searching import Searching
from touchstone_runtime import databases, revisions
from touchstone_runtime.errors import NotFound
from touchstone_runtime.revisions import Digest

DIMENSIONS = 16


@dataclass(frozen=True)
class LocalFile:
    path: Path
    digest: Digest


class LocalResolver:
    """Resolves file:// addresses only."""

    def resolve_sync(self, uri: str) -> LocalFile:
        path = Path(uri.removeprefix("file://"))
        if not path.is_file():
            raise NotFound(f"There is no {uri}.")
        return LocalFile(path, revisions.digest_bytes(path.read_bytes()))


class WordEmbedder:
    """Embeds a text as the sum of one pseudo-random vector a word, so that texts that share words are near."""

    def __init__(self, digest: str = "sha256:words") -> None:
        self.digest = digest
        self.embedded: list[str] = []

    def embed(self, texts: Sequence[str]) -> Vectors:
        self.embedded += texts
        vectors = np.array([sum(map(self._word, text.lower().split()), np.zeros(DIMENSIONS)) for text in texts])
        norms = np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
        return (vectors / norms).astype(np.float32)

    def splitter(self, chunking: Chunking) -> Splitter:
        return splitting.by_words(chunking)

    def _word(self, word: str) -> np.ndarray:
        seed = int.from_bytes(hashlib.sha256(word.strip(".,?!").encode()).digest()[:8], "big")
        return np.random.default_rng(seed).normal(size=DIMENSIONS)


@dataclass
class WordEmbedders:
    embedder: WordEmbedder = field(default_factory=WordEmbedder)

    def load(self, embedding: Embedding) -> WordEmbedder:
        return self.embedder

    def words(self, chunking: Chunking) -> Splitter:
        return splitting.by_words(chunking)


@dataclass(frozen=True)
class Bench:
    """All of retrieval in one process, with a fake encoder and everything else real."""

    root: Path
    store: Store
    catalogue: SqlCatalogue
    embedders: WordEmbedders
    pipeline: Pipeline
    readers: Readers
    searching: Searching
    indexes: Indexes

    def with_embedder(self, embedder: WordEmbedder) -> "Bench":
        self.embedders.embedder = embedder
        return self


@pytest.fixture(params=["edge", "qdrant"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """The embedded store, and the remote one over the client's own implementation of a server, in memory."""
    if request.param == "edge":
        return EdgeStore(tmp_path / "indexes")
    return QdrantStore(QdrantClient(":memory:"), quantized=False)


@pytest.fixture
def bench(tmp_path: Path, store: Store) -> Bench:
    root = tmp_path / "indexes"
    catalogue = SqlCatalogue(databases.connect(f"sqlite:///{tmp_path}/retrieval.sqlite"))
    embedders = WordEmbedders()
    pipeline = Pipeline(
        sources=SourceFetcher(LocalResolver(), file_root=Path("/"), git_timeout_seconds=30),
        parser=FileParser(max_file_bytes=1_000_000),
        embedders=embedders,
        sparse=EdgeBm25(),
        cache=SqliteVectorCache(root / ".cache" / "vectors.sqlite", max_entries=1000),
        store=store,
        catalogue=catalogue,
        workplaces=FolderWorkplaces(root / ".work"),
        now=lambda: datetime(2026, 1, 1, tzinfo=UTC),
    )
    readers = Readers(store, capacity=2)
    searching = Searching(catalogue=catalogue, readers=readers, embedders=embedders, sparse=EdgeBm25())
    indexes = Indexes(catalogue=catalogue, store=store, readers=readers, searching=searching)
    return Bench(root, store, catalogue, embedders, pipeline, readers, searching, indexes)


@pytest.fixture
def make_spec() -> Callable[..., IndexSpec]:
    """Make a hybrid index over one source."""

    def make(uri: str = "file:///nowhere", **changes: object) -> IndexSpec:
        spec = IndexSpec(
            sources=(Source(name="docs", uri=uri),),
            embedding=Embedding(
                model_uri="file:///model.onnx", tokenizer_uri="file:///tokenizer.json", dimensions=DIMENSIONS
            ),
            sparse=SparseEncoding.BM25,
        )
        return replace(spec, **changes)

    return make


@pytest.fixture
def word_embedder() -> type[WordEmbedder]:
    return WordEmbedder


@pytest.fixture
def local_resolver() -> LocalResolver:
    return LocalResolver()
