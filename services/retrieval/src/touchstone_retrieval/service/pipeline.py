"""Building a revision: fetch, parse and cut, embed and write, check, appear. Blocking; runs in a worker.

What a revision is (its digest) is known once the sources are fetched, so a build of what exists already ends there. The
passages go to a spool between the two passes that are needed: BM25 wants their mean length before the first is written.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple

from touchstone_retrieval import errors
from touchstone_retrieval.core.manifest import Identity, Manifest, SourceRevision, revision_name
from touchstone_retrieval.core.passages import PointId
from touchstone_retrieval.core.spec import IndexSpec
from touchstone_retrieval.ports import (
    Catalogue,
    Embedder,
    Embedders,
    Fetched,
    Parser,
    Point,
    RevisionWriter,
    Sources,
    SparseEncoder,
    Spool,
    Store,
    VectorCache,
    Vectors,
    Workplaces,
)
from touchstone_retrieval.service.corpus import Corpus

WINDOW = 64
"""Passages that are embedded and written together: a few seconds of work, after which a cancelled build stops."""


class Progress(NamedTuple):
    """Where a build stands."""

    stage: str
    """Fetching, Parsing, Embedding or Writing."""
    documents_done: int = 0
    documents_total: int = 0
    """0 while unknown."""


Report = Callable[[Progress], None]
"""Tells of progress; raises to stop the build."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipeline:
    """Builds revisions."""

    sources: Sources
    parser: Parser
    embedders: Embedders
    sparse: SparseEncoder
    cache: VectorCache
    store: Store
    catalogue: Catalogue
    workplaces: Workplaces
    now: Callable[[], datetime]

    def build(self, index: str, spec: IndexSpec, report: Report, *, embed_again: bool = False) -> Manifest:
        """Build a revision and record it; a revision that exists is returned as it is.

        Args:
            index: `NAMESPACE/NAME` of the RagIndex.
            spec: What to build.
            report: Called between steps.
            embed_again: Whether passages are embedded whose embeddings are kept.

        Raises:
            SourceUnreachable, EmbedderUnavailable, StoreUnavailable: A later try may succeed.
            SourceInvalid, EmbedderInvalid, Empty: It never will.
        """
        self.workplaces.sweep()
        self.store.sweep()
        with self.workplaces.enter() as workplace:
            fetched: dict[str, Fetched] = {}
            for source in spec.sources:
                report(Progress("Fetching"))
                fetched[source.name] = self.sources.fetch(source, workplace.folder)
            embedder = self.embedders.load(spec.embedding) if spec.embedding else None
            identity = _identity(spec, fetched, embedder)
            manifest = self._existing(index, identity)
            if manifest is None:
                builder = replace(self, cache=Unread(self.cache)) if embed_again else self
                manifest = builder._build(index, identity, fetched, embedder, workplace.spool, report)
            self.catalogue.add(manifest)
            return manifest

    def _existing(self, index: str, identity: Identity) -> Manifest | None:
        name = revision_name(index, identity.digest())
        try:
            return self.catalogue.manifest(index, name)
        except (errors.IndexNotFound, errors.RevisionNotFound):
            return self.store.find(index, name)

    def _build(
        self,
        index: str,
        identity: Identity,
        fetched: Mapping[str, Fetched],
        embedder: Embedder | None,
        spool: Spool,
        report: Report,
    ) -> Manifest:
        spec = identity.spec
        splitter = embedder.splitter(spec.chunking) if embedder else self.embedders.words(spec.chunking)
        corpus = Corpus(spec, parser=self.parser, splitter=splitter)
        terms = 0
        report(Progress("Parsing"))
        for cut in corpus.read(fetched, tick=lambda: report(Progress("Parsing", corpus.counts.documents))):
            spool.add(cut)
            terms += sum(self.sparse.length(p.text) for p in cut) if spec.has_sparse else 0
        counts = corpus.counts
        if not counts.chunks:
            reasons = ", ".join(f"{reason}: {number}" for reason, number in counts.failures.items())
            raise errors.Empty(counts.failed_documents, reasons)
        manifest = Manifest(
            index=index,
            identity=identity,
            counts=counts,
            average_length=terms / counts.chunks,
            size_bytes=0,
            built_at=self.now(),
        )
        with self.store.write(index, manifest.name, spec) as writer:
            self._write(writer, manifest, embedder, spool, report)
            report(Progress("Writing", counts.documents, counts.documents))
            return writer.finish(manifest)

    def _write(
        self, writer: RevisionWriter, manifest: Manifest, embedder: Embedder | None, spool: Spool, report: Report
    ) -> None:
        total = manifest.counts.documents
        begun = written = 0
        for window in spool.batches(WINDOW):
            report(Progress("Embedding", max(0, begun - 1), total))
            texts = [passage.text for passage in window]
            dense = self._embedded(embedder, texts) if embedder else [None] * len(texts)
            sparse = (
                self.sparse.documents(texts, average_length=manifest.average_length)
                if manifest.identity.spec.has_sparse
                else [None] * len(texts)
            )
            points = zip(window, dense, sparse, strict=True)
            writer.add([Point(PointId(written + i), *parts) for i, parts in enumerate(points)])
            written += len(window)
            begun += sum(passage.chunk_index == 0 for passage in window)

    def _embedded(self, embedder: Embedder, texts: Sequence[str]) -> Sequence[Vectors]:
        keys = [_key(embedder, text) for text in texts]
        known = dict(self.cache.get(keys))
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in known}
        if missing:
            new = dict(zip(missing, embedder.embed(list(missing.values())), strict=True))
            self.cache.put(new)
            known |= new
        return [known[key] for key in keys]


@dataclass(frozen=True, slots=True)
class Unread:
    """A cache that nothing is taken from: what is embedded again takes the place of what it holds."""

    cache: VectorCache

    def get(self, keys: Sequence[bytes]) -> Mapping[bytes, Vectors]:
        """Return none."""
        del keys
        return {}

    def put(self, vectors: Mapping[bytes, Vectors]) -> None:
        """Keep vectors."""
        self.cache.put(vectors)


def _key(embedder: Embedder, text: str) -> bytes:
    return hashlib.sha256(f"{embedder.digest}\n{text}".encode()).digest()


def _identity(spec: IndexSpec, fetched: Mapping[str, Fetched], embedder: Embedder | None) -> Identity:
    return Identity(
        spec=spec,
        sources=tuple(SourceRevision(name=s.name, digest=fetched[s.name].digest) for s in spec.sources),
        embedder_digest=embedder.digest if embedder else "",
    )
