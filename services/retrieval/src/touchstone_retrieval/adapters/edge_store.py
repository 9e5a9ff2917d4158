"""The embedded store: Qdrant's engine in process, one immutable shard folder a revision.

`ROOT/NAMESPACE/NAME/REVISION/{shard/, manifest.json}`; the file `ACTIVE` beside the revisions names the active one, for
people and for recovery: searches go by the catalogue. A worker writes revisions while servers read others.
"""

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

from touchstone_runtime import durable

from touchstone_retrieval import errors
from touchstone_retrieval.adapters import folders
from touchstone_retrieval.adapters.edge_reader import EdgeReader
from touchstone_retrieval.adapters.edge_writer import SHARD, EdgeWriter, read_manifest
from touchstone_retrieval.core.manifest import Manifest
from touchstone_retrieval.core.spec import Distance, IndexSpec

ACTIVE = "ACTIVE"

INDEXING_THRESHOLD_KIB = 10_000
"""From this size of vectors on a graph is built; below it exact search is as fast."""


class EdgeStore:
    """Revisions as folders."""

    def __init__(self, root: Path, *, indexing_threshold_kib: int = INDEXING_THRESHOLD_KIB) -> None:
        self._root = root
        self._threshold_kib = indexing_threshold_kib
        root.mkdir(parents=True, exist_ok=True)

    @contextlib.contextmanager
    def write(self, index: str, revision: str, spec: IndexSpec) -> Iterator[EdgeWriter]:
        """Begin a revision."""
        target = self._folder(index) / revision
        with folders.unfinished(target) as folder:
            writer = EdgeWriter(folder, target, spec, indexing_threshold_kib=self._threshold_kib)
            try:
                yield writer
            finally:
                writer.close()

    def find(self, index: str, revision: str) -> Manifest | None:
        """Return the manifest of a finished revision."""
        return read_manifest(self._folder(index) / revision)

    def open(self, index: str, revision: str) -> EdgeReader:
        """Open a finished revision."""
        folder = self._folder(index) / revision
        manifest = read_manifest(folder)
        if manifest is None:
            raise errors.RevisionBroken(revision, "its folder has no readable manifest")
        embedding = manifest.identity.spec.embedding
        is_distance = embedding is not None and embedding.distance is Distance.EUCLID
        return EdgeReader(folder / SHARD, revision=revision, is_distance=is_distance)

    def point_to(self, index: str, revision: str) -> None:
        """Replace the pointer file."""
        pointer = self._folder(index) / ACTIVE
        new = pointer.with_name(f"{ACTIVE}.{os.getpid()}.new")
        new.write_text(json.dumps({"revision": revision}) + "\n", encoding="utf-8")
        durable.sync(new)
        new.replace(pointer)
        durable.sync(pointer.parent)

    def delete(self, index: str, revision: str) -> None:
        """Delete a revision; readers that have it open keep what they see."""
        folders.remove(self._folder(index) / revision)

    def delete_index(self, index: str) -> None:
        """Delete an index's folder."""
        folders.remove(self._folder(index))

    def sweep(self) -> int:
        """Delete what builds left behind that died."""
        return folders.sweep(self._root, "*/*") + folders.sweep(self._root, "*")

    def _folder(self, index: str) -> Path:
        namespace, _, name = index.partition("/")
        return self._root / namespace / name
