"""Searching one revision. Blocking; the door runs it in threads.

A search decides on its revision once, at its start, and holds that revision open to its end: what is activated or
deleted meanwhile is not seen.
"""

from dataclasses import dataclass
from typing import NamedTuple

from touchstone_retrieval import errors
from touchstone_retrieval.core import fusion, planning
from touchstone_retrieval.core.manifest import Manifest
from touchstone_retrieval.core.passages import Passage, PointId
from touchstone_retrieval.core.planning import Plan, Query
from touchstone_retrieval.core.spec import SearchMode
from touchstone_retrieval.ports import Catalogue, Embedders, RevisionReader, Scored, SparseEncoder, Vectors
from touchstone_retrieval.service.readers import Readers

DENSE = "dense"
SPARSE = "sparse"


class Hit(NamedTuple):
    """One passage with its score."""

    passage: Passage
    score: float
    dense_rank: int | None
    sparse_rank: int | None


class Answer(NamedTuple):
    """What a search found, and where."""

    hits: list[Hit]
    manifest: Manifest
    plan: Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Searching:
    """Answers searches."""

    catalogue: Catalogue
    readers: Readers
    embedders: Embedders
    sparse: SparseEncoder

    def search(self, query: Query) -> Answer:
        """Search.

        Raises:
            SearchInvalid: With every fault.
            IndexNotFound, RevisionNotFound, NotActivated: As they say.
            RevisionBroken, EmbedderUnavailable, EmbedderInvalid, StoreUnavailable: As they say.
        """
        planning.check(query)
        manifest = self.catalogue.manifest(query.index, query.revision)
        plan = planning.plan(query, manifest.identity.spec)
        vector = self._embedded(query.text, manifest) if plan.asks_dense else None
        with self.readers.lend(manifest.index, manifest.name) as reader:
            return Answer(self._hits(reader, query.text, vector, plan), manifest, plan)

    def warm(self, manifest: Manifest) -> None:
        """Open a revision and load its encoder, so that what is activated can be searched, and at once."""
        if manifest.identity.spec.has_dense:
            self._embedded("warm", manifest)
        with self.readers.lend(manifest.index, manifest.name):
            return

    def _embedded(self, text: str, manifest: Manifest) -> Vectors:
        embedding = manifest.identity.spec.embedding
        if embedding is None:
            raise errors.RevisionBroken(manifest.name, "it has no embedding")
        embedder = self.embedders.load(embedding)
        if embedder.digest != manifest.identity.embedder_digest:
            raise errors.RevisionBroken(manifest.name, "its embedding model has changed since it was built")
        vector: Vectors = embedder.embed([text])[0]
        return vector

    def _hits(self, reader: RevisionReader, text: str, vector: Vectors | None, plan: Plan) -> list[Hit]:
        dense = reader.dense(vector, limit=plan.depth, only=plan.filter) if vector is not None else []
        sparse = []
        if plan.asks_sparse:
            terms = self.sparse.query(text)
            sparse = reader.sparse(terms, limit=plan.depth, only=plan.filter) if terms.indices else []
        ranked = _fused(dense, sparse, plan) if plan.mode is SearchMode.HYBRID else _alone(dense or sparse, plan)
        kept = [r for r in ranked if plan.min_score is None or r.score >= plan.min_score][: plan.top_k]
        passages = reader.passages([r.key for r in kept])
        return [
            Hit(passage, r.score, r.ranks.get(DENSE), r.ranks.get(SPARSE))
            for r, passage in zip(kept, passages, strict=True)
        ]


def _fused(dense: list[Scored], sparse: list[Scored], plan: Plan) -> list[fusion.Fused[PointId]]:
    return fusion.reciprocal_rank(
        [
            fusion.Arm(DENSE, [s.id for s in dense], plan.dense_weight),
            fusion.Arm(SPARSE, [s.id for s in sparse], plan.sparse_weight),
        ]
    )


def _alone(found: list[Scored], plan: Plan) -> list[fusion.Fused[PointId]]:
    arm = DENSE if plan.mode is SearchMode.DENSE else SPARSE
    return [fusion.Fused(s.id, s.score, {arm: rank}) for rank, s in enumerate(found, start=1)]
