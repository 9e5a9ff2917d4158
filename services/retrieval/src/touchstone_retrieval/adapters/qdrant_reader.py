"""Searching a collection of a Qdrant server."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any, cast

from qdrant_client import QdrantClient, models
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

from touchstone_retrieval import errors
from touchstone_retrieval.adapters import payloads
from touchstone_retrieval.core.passages import Passage, PointId
from touchstone_retrieval.core.planning import PassageFilter
from touchstone_retrieval.ports import Scored, SparseVector, Vectors

DENSE = "dense"
SPARSE = "bm25"


class QdrantReader:
    """A collection that holds one revision."""

    def __init__(self, client: QdrantClient, collection: str, *, is_distance: bool) -> None:
        self._client = client
        self._collection = collection
        self._sign = -1.0 if is_distance else 1.0

    def dense(self, vector: Vectors, *, limit: int, only: PassageFilter) -> list[Scored]:
        """Rank passages by their embeddings."""
        return self._query(vector.tolist(), DENSE, limit, only, None, self._sign)

    def sparse(self, vector: SparseVector, *, limit: int, only: PassageFilter) -> list[Scored]:
        """Rank passages by their terms. The document frequencies are the tenant's own where there are tenants."""
        query = models.SparseVector(indices=list(vector.indices), values=list(vector.values))
        params = None
        if only.tenant is not None:
            corpus = condition(PassageFilter(tenant=only.tenant)) or models.Filter()
            params = models.SearchParams(idf=models.IdfCorpusParams(corpus=corpus))
        return self._query(query, SPARSE, limit, only, params, 1.0)

    def passages(self, ids: Sequence[PointId]) -> list[Passage]:
        """Read passages in the order of the ids."""
        with translated():
            records = self._client.retrieve(self._collection, ids=list(ids), with_payload=True)
        by_id = {record.id: payloads.read(record.payload or {}) for record in records}
        return [by_id[i] for i in ids]

    def count(self) -> int:
        """Count the passages."""
        with translated():
            return self._client.count(self._collection, exact=True).count

    def close(self) -> None:
        """Nothing is held: the client is the store's."""

    def _query(
        self,
        query: Any,
        using: str,
        limit: int,
        only: PassageFilter,
        params: models.SearchParams | None,
        sign: float,
    ) -> list[Scored]:
        with translated():
            found = self._client.query_points(
                self._collection,
                query=query,
                using=using,
                limit=limit,
                query_filter=condition(only),
                search_params=params,
                with_payload=False,
            ).points
        scored = [Scored(PointId(cast(int, point.id)), sign * point.score) for point in found]
        return sorted(scored, key=lambda s: (-s.score, s.id))


def condition(only: PassageFilter) -> models.Filter | None:
    """Write a filter in Qdrant's terms."""
    fields = [(payloads.TAGS, payloads.tag(name, value)) for name, value in only.metadata]
    if only.tenant is not None:
        fields.append((payloads.TENANT, only.tenant))
    conditions: list[models.Condition] = [
        models.FieldCondition(key=key, match=models.MatchValue(value=value)) for key, value in fields
    ]
    return models.Filter(must=conditions) if conditions else None


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Translate the client's errors.

    Raises:
        StoreUnavailable: The server does not answer, is overloaded or failed.
    """
    try:
        yield
    except ResponseHandlingException as error:
        raise errors.StoreUnavailable(str(error)) from error
    except UnexpectedResponse as error:
        if error.status_code in (408, 425, 429) or (error.status_code or 500) >= 500:
            raise errors.StoreUnavailable(f"status {error.status_code}") from error
        raise
