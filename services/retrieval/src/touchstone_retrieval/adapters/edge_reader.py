"""Searching a finished shard of qdrant-edge. Opening and searching one changes no byte of it."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import cast

import qdrant_edge as edge

from touchstone_retrieval import errors
from touchstone_retrieval.adapters import payloads
from touchstone_retrieval.core.passages import Passage, PointId
from touchstone_retrieval.core.planning import PassageFilter
from touchstone_retrieval.ports import Scored, SparseVector, Vectors

DENSE = "dense"
SPARSE = "bm25"


class EdgeReader:
    """An open shard. Safe to use from several threads."""

    def __init__(self, folder: Path, *, revision: str, is_distance: bool) -> None:
        """Open a shard.

        Args:
            folder: The shard's folder.
            revision: The revision's name, for errors.
            is_distance: Whether the dense arm's numbers are distances, smaller for nearer.
        """
        self._sign = -1.0 if is_distance else 1.0
        try:
            self._shard = edge.EdgeShard.load(str(folder))
        except Exception as error:  # the Rust library raises bare Exception
            raise errors.RevisionBroken(revision, str(error)) from error

    def dense(self, vector: Vectors, *, limit: int, only: PassageFilter) -> list[Scored]:
        """Rank passages by their embeddings."""
        query = edge.Query.Nearest(vector.tolist(), using=DENSE)
        found = self._query(query, limit, only, edge.SearchParams())
        return _ordered(found, sign=self._sign)

    def sparse(self, vector: SparseVector, *, limit: int, only: PassageFilter) -> list[Scored]:
        """Rank passages by their terms. The document frequencies are the tenant's own where there are tenants."""
        query = edge.Query.Nearest(edge.SparseVector(list(vector.indices), list(vector.values)), using=SPARSE)
        corpus = _filter(PassageFilter(tenant=only.tenant))
        found = self._query(query, limit, only, edge.SearchParams(idf=edge.IdfParams(corpus=corpus)))
        return _ordered(found)

    def passages(self, ids: Sequence[PointId]) -> list[Passage]:
        """Read passages in the order of the ids."""
        records = self._shard.retrieve(list(ids), with_payload=True, with_vector=False)
        by_id = {record.id: payloads.read(record.payload or {}) for record in records}
        return [by_id[i] for i in ids]

    def count(self) -> int:
        """Count the passages."""
        points: int = self._shard.info().points_count
        return points

    def close(self) -> None:
        """Let go of the shard."""
        self._shard.close()

    def _query(
        self, query: edge.Query, limit: int, only: PassageFilter, params: edge.SearchParams
    ) -> list[edge.ScoredPoint]:
        found: list[edge.ScoredPoint] = self._shard.query(
            edge.QueryRequest(limit=limit, query=query, filter=_filter(only), params=params)
        )
        return found


def _ordered(found: Iterable[edge.ScoredPoint], *, sign: float = 1.0) -> list[Scored]:
    scored = [Scored(PointId(cast(int, point.id)), sign * point.score) for point in found]
    return sorted(scored, key=lambda s: (-s.score, s.id))


def _filter(only: PassageFilter) -> edge.Filter | None:
    conditions: list[edge.ConditionType] = [
        edge.FieldCondition(key=payloads.TAGS, match=edge.MatchValue(payloads.tag(name, value)))
        for name, value in only.metadata
    ]
    if only.tenant is not None:
        conditions.append(edge.FieldCondition(key=payloads.TENANT, match=edge.MatchValue(only.tenant)))
    return edge.Filter(must=conditions) if conditions else None
