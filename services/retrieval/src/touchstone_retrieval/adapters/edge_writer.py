"""Writing a shard of qdrant-edge: aside, flushed, checked, and then renamed into place.

A shard without a write-ahead log is durable when `flush` returns, and can be opened by several
processes at once; one with a log can be opened by one.
"""

import errno
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import qdrant_edge as edge
from touchstone_runtime import durable

from touchstone_retrieval import errors
from touchstone_retrieval.adapters import folders, payloads
from touchstone_retrieval.adapters.edge_reader import DENSE, SPARSE, EdgeReader
from touchstone_retrieval.core.manifest import MANIFEST_FILE, Manifest
from touchstone_retrieval.core.planning import PassageFilter
from touchstone_retrieval.core.spec import Distance, IndexSpec
from touchstone_retrieval.ports import Point

SHARD = "shard"

_DISTANCES = {
    Distance.COSINE: edge.Distance.Cosine,
    Distance.DOT: edge.Distance.Dot,
    Distance.EUCLID: edge.Distance.Euclid,
}


class EdgeWriter:
    """A shard in the making."""

    def __init__(self, folder: Path, target: Path, spec: IndexSpec, *, indexing_threshold_kib: int) -> None:
        """Begin a shard.

        Args:
            folder: An unfinished folder of the writer's own, on the same file system as the target.
            target: Where the revision appears.
            spec: What the index is.
            indexing_threshold_kib: From this size of vectors on a graph is built.
        """
        self._folder = folder
        self._target = target
        self._spec = spec
        self._threshold_kib = indexing_threshold_kib
        self._count = 0
        self._probe: Point | None = None
        (folder / SHARD).mkdir()
        self._shard = edge.EdgeShard.create(str(folder / SHARD), self._config())
        self._is_open = True

    def add(self, points: Sequence[Point]) -> None:
        """Add passages."""
        tenant_field = self._spec.tenant_field
        self._shard.update(
            edge.UpdateOperation.upsert_points(
                [edge.Point(p.id, _vectors(p), payloads.write(p.passage, tenant_field=tenant_field)) for p in points]
            )
        )
        self._count += len(points)
        if self._probe is None and points:
            self._probe = points[0]

    def finish(self, manifest: Manifest) -> Manifest:
        """Index, make durable, check, rename."""
        self._shard.update(edge.UpdateOperation.create_field_index(payloads.TAGS, edge.PayloadSchemaType.Keyword))
        if self._spec.tenant_field:
            tenant = edge.KeywordIndexParams(is_tenant=True)
            self._shard.update(edge.UpdateOperation.create_field_index(payloads.TENANT, tenant))
        self._shard.optimize()
        self._shard.flush()
        self.close()
        self._check(manifest.name)
        finished = replace(manifest, size_bytes=folders.size_bytes(self._folder))
        (self._folder / MANIFEST_FILE).write_text(finished.to_json(), encoding="utf-8")
        durable.sync_tree(self._folder)
        return self._appear(finished)

    def close(self) -> None:
        """Let go of the shard; again does nothing."""
        if self._is_open:
            self._is_open = False
            self._shard.close()

    def _appear(self, finished: Manifest) -> Manifest:
        try:
            self._folder.rename(self._target)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            stored = read_manifest(self._target)
            if stored is not None:
                return stored
            folders.remove(self._target)
            self._folder.rename(self._target)
        durable.sync(self._target.parent)
        return finished

    def _check(self, revision: str) -> None:
        """Open the shard as a reader does and find the first passage."""
        reader = EdgeReader(self._folder / SHARD, revision=revision, is_distance=False)
        try:
            if reader.count() != self._count:
                raise errors.RevisionBroken(revision, f"it holds {reader.count()} passages, not {self._count}")
            if self._probe is None:
                return
            if reader.passages([self._probe.id]) != [self._probe.passage]:
                raise errors.RevisionBroken(revision, "its first passage is not what was written")
            found = True
            if self._probe.dense is not None:
                found = bool(reader.dense(self._probe.dense, limit=1, only=PassageFilter()))
            if self._probe.sparse is not None and self._probe.sparse.indices:
                found = found and bool(reader.sparse(self._probe.sparse, limit=1, only=PassageFilter()))
            if not found:
                raise errors.RevisionBroken(revision, "a search for its first passage finds nothing")
        finally:
            reader.close()

    def _config(self) -> edge.EdgeConfig:
        dense = {}
        if self._spec.embedding:
            distance = _DISTANCES[self._spec.embedding.distance]
            dense = {DENSE: edge.EdgeVectorParams(size=self._spec.embedding.dimensions, distance=distance)}
        sparse = {SPARSE: edge.EdgeSparseVectorParams(modifier=edge.Modifier.Idf)} if self._spec.has_sparse else {}
        return edge.EdgeConfig(
            vectors=dense,
            sparse_vectors=sparse,
            wal_enabled=False,
            max_search_threads=1,
            hnsw_config=edge.HnswIndexConfig(16, 128, self._threshold_kib, max_indexing_threads=1),
            optimizers=edge.EdgeOptimizersConfig(indexing_threshold=self._threshold_kib, default_segment_number=1),
        )


def read_manifest(folder: Path) -> Manifest | None:
    """Read the manifest of a finished revision; nothing if there is none that can be read."""
    try:
        return Manifest.from_json((folder / MANIFEST_FILE).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None


def _vectors(point: Point) -> "dict[str, edge.NamedVector]":
    vectors: dict[str, edge.NamedVector] = {}
    if point.dense is not None:
        vectors[DENSE] = point.dense.tolist()
    if point.sparse is not None:
        vectors[SPARSE] = edge.SparseVector(list(point.sparse.indices), list(point.sparse.values))
    return vectors
