"""What the use cases need of the outside."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from touchstone_retrieval.core.manifest import Manifest
from touchstone_retrieval.core.passages import Document, Failure, Passage, PointId, Span
from touchstone_retrieval.core.planning import PassageFilter
from touchstone_retrieval.core.spec import Chunking, Embedding, IndexSpec, Source

Vectors: TypeAlias = npt.NDArray[np.float32]
"""[texts, dimensions] or [dimensions]."""


class SparseVector(NamedTuple):
    """Term weights."""

    indices: Sequence[int]
    values: Sequence[float]


class SourceFile(NamedTuple):
    """A file of a source."""

    path: str
    """Within the source, with forward slashes."""
    size_bytes: int
    read: Callable[[], bytes]


class Fetched(Protocol):
    """A source on this machine."""

    @property
    def digest(self) -> str:
        """The content's `sha256:` digest, or the commit of a git source."""
        ...

    def files(self) -> Iterator[SourceFile]:
        """Go through the files that the source's globs take, in the order of their paths."""
        ...


class Sources(Protocol):
    """Brings sources to this machine."""

    def fetch(self, source: Source, folder: Path) -> Fetched:
        """Fetch a source.

        Args:
            source: The source.
            folder: An existing folder of the build's own, deleted after it.

        Raises:
            SourceUnreachable: A later try may succeed.
            SourceInvalid: It never will.
        """
        ...


class Parser(Protocol):
    """Reads files into documents."""

    def parse(self, source: Source, file: SourceFile) -> Iterator[Document | Failure]:
        """Read a file; what cannot be read is a failure, not an error."""
        ...


class Spool(Protocol):
    """Holds passages between two passes over them, outside the memory."""

    def add(self, passages: Sequence[Passage]) -> None:
        """Append passages."""
        ...

    def batches(self, size: int) -> Iterator[Sequence[Passage]]:
        """Go through all of them in their order."""
        ...


class Workplace(NamedTuple):
    """Room of a build's own."""

    folder: Path
    spool: Spool


class Workplaces(Protocol):
    """Gives builds room, and takes it back."""

    def enter(self) -> AbstractContextManager[Workplace]:
        """Make room until the block is left."""
        ...

    def sweep(self) -> int:
        """Remove what died builds left; returns how many."""
        ...


class Splitter(Protocol):
    """Cuts texts."""

    def split(self, text: str) -> list[Span]:
        """Cut a text into spans that are not blank, in order."""
        ...


class Embedder(Protocol):
    """A dense encoder."""

    @property
    def digest(self) -> str:
        """Digest of all that decides on its vectors."""
        ...

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Embed texts, each cut at the encoder's limit, as vectors of length 1."""
        ...

    def splitter(self, chunking: Chunking) -> Splitter:
        """Make a splitter that counts this encoder's tokens."""
        ...


class Embedders(Protocol):
    """Brings encoders to this machine and keeps those in use."""

    def load(self, embedding: Embedding) -> Embedder:
        """Load an encoder; its weights are read at its first use.

        Raises:
            EmbedderUnavailable: A later try may succeed.
            EmbedderInvalid: It never will.
        """
        ...

    def words(self, chunking: Chunking) -> Splitter:
        """Make a splitter that counts words, for an index without an encoder."""
        ...


class VectorCache(Protocol):
    """Keeps embeddings by content, so that a rebuild does not compute them again."""

    def get(self, keys: Sequence[bytes]) -> Mapping[bytes, Vectors]:
        """Return those that are there."""
        ...

    def put(self, vectors: Mapping[bytes, Vectors]) -> None:
        """Keep vectors, in place of those that are there."""
        ...


class SparseEncoder(Protocol):
    """A term-based encoder."""

    def length(self, text: str) -> int:
        """Count the terms of a text that BM25 counts."""
        ...

    def documents(self, texts: Sequence[str], *, average_length: float) -> list[SparseVector]:
        """Encode passages."""
        ...

    def query(self, text: str) -> SparseVector:
        """Encode a query."""
        ...


class Point(NamedTuple):
    """A passage with its vectors."""

    id: PointId
    passage: Passage
    dense: Vectors | None
    sparse: SparseVector | None


class Scored(NamedTuple):
    """A passage's score in one arm."""

    id: PointId
    score: float
    """Higher is better, whatever the distance."""


class RevisionWriter(Protocol):
    """A revision in the making; nobody sees it before `finish`."""

    def add(self, points: Sequence[Point]) -> None:
        """Add passages, with ids counting on from 0."""
        ...

    def finish(self, manifest: Manifest) -> Manifest:
        """Make the revision durable, check it and let it appear; returns the manifest with its size.

        If the same revision has appeared meanwhile, that one stays and its manifest is returned.
        """
        ...


class RevisionReader(Protocol):
    """A finished revision. Safe to use from several threads."""

    def dense(self, vector: Vectors, *, limit: int, only: PassageFilter) -> list[Scored]:
        """Rank passages by their embeddings; best first, ties by id."""
        ...

    def sparse(self, vector: SparseVector, *, limit: int, only: PassageFilter) -> list[Scored]:
        """Rank passages by their terms; best first, ties by id."""
        ...

    def passages(self, ids: Sequence[PointId]) -> list[Passage]:
        """Read passages in the order of the ids."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


class Store(Protocol):
    """Where revisions are kept. Blocking: call it from threads."""

    def write(self, index: str, revision: str, spec: IndexSpec) -> AbstractContextManager[RevisionWriter]:
        """Begin a revision; leaving the block without `finish` discards it."""
        ...

    def find(self, index: str, revision: str) -> Manifest | None:
        """Return the manifest of a finished revision that the store holds."""
        ...

    def open(self, index: str, revision: str) -> RevisionReader:
        """Open a finished revision for reading.

        Raises:
            RevisionBroken: It is not there or not whole.
        """
        ...

    def point_to(self, index: str, revision: str) -> None:
        """Let others know which revision is active. Atomic; repeating it changes nothing."""
        ...

    def delete(self, index: str, revision: str) -> None:
        """Delete a revision; deleting an absent one changes nothing."""
        ...

    def delete_index(self, index: str) -> None:
        """Delete what is left of an index."""
        ...

    def sweep(self) -> int:
        """Delete what builds left behind that died; returns how many."""
        ...


class IndexRecord(NamedTuple):
    """An index in the catalogue."""

    name: str
    active_revision: str
    """Empty before the first activation."""
    previous_revision: str
    revisions: Sequence[Manifest]
    """Newest first."""


class Catalogue(Protocol):
    """Which revisions there are and which is active. Blocking: call it from threads."""

    def add(self, manifest: Manifest) -> None:
        """Record a finished revision; repeating it changes nothing."""
        ...

    def index(self, index: str) -> IndexRecord:
        """Read an index.

        Raises:
            IndexNotFound: Nothing of it was ever recorded, or it was deleted.
        """
        ...

    def manifest(self, index: str, revision: str) -> Manifest:
        """Read a revision; an empty name means the active one.

        Raises:
            IndexNotFound, RevisionNotFound, NotActivated: As they say.
        """
        ...

    def activate(self, index: str, revision: str) -> None:
        """Make a revision the active one, and the one before it the previous. Atomic; repeating it changes nothing."""
        ...

    def remove(self, index: str, revision: str) -> None:
        """Forget a revision; an absent one is forgotten already.

        Raises:
            RevisionActive: It is active.
        """
        ...

    def remove_index(self, index: str) -> Sequence[str]:
        """Forget an index; returns the revisions that it had."""
        ...
