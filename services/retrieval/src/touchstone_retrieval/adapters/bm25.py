"""BM25 term weights by qdrant-edge, for either store; the inverse document frequency is the store's part.

Terms are lower-cased English words without stop words, stemmed. k1 = 1.2 and b = 0.75, as Robertson and Zaragoza, "The
Probabilistic Relevance Framework: BM25 and Beyond", 2009, section 3.
"""

from collections.abc import Sequence

import qdrant_edge

from touchstone_retrieval.ports import SparseVector

K1 = 1.2
B = 0.75
_LANGUAGE = "english"


class EdgeBm25:
    """Encodes passages and queries as terms."""

    def __init__(self) -> None:
        # With b = 0 and a large k a weight is the term's frequency, so that a passage's weights add up to its length.
        self._counter = qdrant_edge.Bm25(qdrant_edge.Bm25Config(language=_LANGUAGE, k=1e9, b=0.0, avg_len=1.0))
        self._query = qdrant_edge.Bm25(qdrant_edge.Bm25Config(language=_LANGUAGE))

    def length(self, text: str) -> int:
        """Count the terms of a text, without stop words."""
        return round(sum(self._counter.embed_document(text).values))

    def documents(self, texts: Sequence[str], *, average_length: float) -> list[SparseVector]:
        """Encode passages, given the mean length over all of the index."""
        config = qdrant_edge.Bm25Config(language=_LANGUAGE, k=K1, b=B, avg_len=max(average_length, 1.0))
        encoder = qdrant_edge.Bm25(config)
        vectors = (encoder.embed_document(text) for text in texts)
        return [SparseVector(vector.indices, vector.values) for vector in vectors]

    def query(self, text: str) -> SparseVector:
        """Encode a query: each of its terms weighs 1."""
        vector = self._query.embed_query(text)
        return SparseVector(vector.indices, vector.values)
