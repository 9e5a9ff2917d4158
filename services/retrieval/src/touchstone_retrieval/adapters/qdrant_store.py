"""The remote store: a Qdrant server, one collection a revision and one alias an index.

A collection is named `rev.NAMESPACE.REVISION`, the alias `idx.NAMESPACE.NAME`. Searches name collections, by the
catalogue; the alias is for other readers. A collection counts as finished when the catalogue has its revision: ids and
contents of a revision's points follow from its digest, so what a killed or cancelled build left is completed by the
next build of the same content, or deleted with its index.
"""

import contextlib
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

from qdrant_client import QdrantClient, models

from touchstone_retrieval import errors
from touchstone_retrieval.adapters import payloads
from touchstone_retrieval.adapters.qdrant_reader import DENSE, SPARSE, QdrantReader, translated
from touchstone_retrieval.core.manifest import Manifest
from touchstone_retrieval.core.spec import Distance, IndexSpec
from touchstone_retrieval.ports import Point

TIMEOUT_SECONDS = 30
INDEXING_SECONDS = 3600.0
"""How long the server may take to index a collection."""

_DISTANCES = {
    Distance.COSINE: models.Distance.COSINE,
    Distance.DOT: models.Distance.DOT,
    Distance.EUCLID: models.Distance.EUCLID,
}


def connect(url: str, *, api_key: str | None, quantized: bool) -> "QdrantStore":
    """Use a Qdrant server; it is first asked when it is needed."""
    client = QdrantClient(url=url, api_key=api_key, timeout=TIMEOUT_SECONDS, check_compatibility=False)
    return QdrantStore(client, quantized=quantized)


class QdrantWriter:
    """A collection in the making."""

    def __init__(self, client: QdrantClient, collection: str, spec: IndexSpec) -> None:
        self._client = client
        self._collection = collection
        self._spec = spec
        self._count = 0
        self._size_bytes = 0

    def add(self, points: Sequence[Point]) -> None:
        """Add passages."""
        written = [self._written(point) for point in points]
        with translated():
            self._client.upsert(self._collection, points=written, wait=True)
        self._count += len(points)

    def finish(self, manifest: Manifest) -> Manifest:
        """Wait until everything is indexed, and check the number of passages."""
        deadline = time.monotonic() + INDEXING_SECONDS
        with translated():
            while self._client.get_collection(self._collection).status != models.CollectionStatus.GREEN:
                if time.monotonic() > deadline:
                    raise errors.StoreUnavailable("the collection was not indexed in time")
                time.sleep(1.0)
        held = QdrantReader(self._client, self._collection, is_distance=False).count()
        if held != self._count:
            raise errors.StoreUnavailable(f"the collection holds {held} passages, not {self._count}")
        return replace(manifest, size_bytes=self._size_bytes)

    def _written(self, point: Point) -> models.PointStruct:
        vectors: dict[str, list[float] | models.SparseVector] = {}
        if point.dense is not None:
            vectors[DENSE] = point.dense.tolist()
            self._size_bytes += point.dense.nbytes
        if point.sparse is not None:
            indices, values = list(point.sparse.indices), list(point.sparse.values)
            vectors[SPARSE] = models.SparseVector(indices=indices, values=values)
            self._size_bytes += 8 * len(indices)
        payload = payloads.write(point.passage, tenant_field=self._spec.tenant_field)
        self._size_bytes += len(point.passage.text.encode())
        return models.PointStruct(id=point.id, vector=dict(vectors), payload=payload)


class QdrantStore:
    """Revisions as collections."""

    def __init__(self, client: QdrantClient, *, quantized: bool) -> None:
        self._client = client
        self._quantized = quantized

    @contextlib.contextmanager
    def write(self, index: str, revision: str, spec: IndexSpec) -> Iterator[QdrantWriter]:
        """Begin a revision."""
        collection = _collection(index, revision)
        with translated():
            if not self._client.collection_exists(collection):
                self._create(collection, spec)
        yield QdrantWriter(self._client, collection, spec)

    def find(self, index: str, revision: str) -> Manifest | None:
        """Return nothing: which collections are finished is the catalogue's to know."""
        return None

    def open(self, index: str, revision: str) -> QdrantReader:
        """Open a revision."""
        collection = _collection(index, revision)
        with translated():
            if not self._client.collection_exists(collection):
                raise errors.RevisionBroken(revision, f"there is no collection {collection}")
            vectors = self._client.get_collection(collection).config.params.vectors
        dense = vectors.get(DENSE) if isinstance(vectors, dict) else None
        return QdrantReader(
            self._client, collection, is_distance=dense is not None and dense.distance is models.Distance.EUCLID
        )

    def point_to(self, index: str, revision: str) -> None:
        """Switch the alias, in one step."""
        alias = _alias(index)
        create = models.CreateAlias(collection_name=_collection(index, revision), alias_name=alias)
        changes: list[models.AliasOperations] = [models.CreateAliasOperation(create_alias=create)]
        with translated():
            if any(known.alias_name == alias for known in self._client.get_aliases().aliases):
                changes.insert(0, models.DeleteAliasOperation(delete_alias=models.DeleteAlias(alias_name=alias)))
            self._client.update_collection_aliases(change_aliases_operations=changes)

    def delete(self, index: str, revision: str) -> None:
        """Delete a collection."""
        with translated():
            self._client.delete_collection(_collection(index, revision))

    def delete_index(self, index: str) -> None:
        """Delete what is left of an index, also what killed builds left."""
        ours = re.compile(re.escape(_collection(index, index.partition("/")[2])) + "-[0-9a-f]{10}")
        with translated():
            for collection in self._client.get_collections().collections:
                if ours.fullmatch(collection.name):
                    self._client.delete_collection(collection.name)

    def sweep(self) -> int:
        """Leave all as it is: an unfinished collection is completed by the next build of the same content."""
        return 0

    def _create(self, collection: str, spec: IndexSpec) -> None:
        dense = {}
        if spec.embedding:
            distance = _DISTANCES[spec.embedding.distance]
            dense = {DENSE: models.VectorParams(size=spec.embedding.dimensions, distance=distance)}
        quantization = None
        if self._quantized:
            scalar = models.ScalarQuantizationConfig(type=models.ScalarType.INT8, quantile=0.99, always_ram=True)
            quantization = models.ScalarQuantization(scalar=scalar)
        self._client.create_collection(
            collection,
            vectors_config=dense,
            sparse_vectors_config={SPARSE: models.SparseVectorParams(modifier=models.Modifier.IDF)}
            if spec.has_sparse
            else None,
            quantization_config=quantization,
        )
        self._client.create_payload_index(collection, payloads.TAGS, models.PayloadSchemaType.KEYWORD)
        if spec.tenant_field:
            tenant = models.KeywordIndexParams(type=models.KeywordIndexType.KEYWORD, is_tenant=True)
            self._client.create_payload_index(collection, payloads.TENANT, tenant)


def _collection(index: str, revision: str) -> str:
    return f"rev.{index.partition('/')[0]}.{revision}"


def _alias(index: str) -> str:
    namespace, _, name = index.partition("/")
    return f"idx.{namespace}.{name}"
