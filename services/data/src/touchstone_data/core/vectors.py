"""Vectors of texts without a model: latent semantic analysis of their words (Deerwester et al., 1990). Pure.

Terms weigh by tf-idf with sublinear counts (Manning, Raghavan and Schütze, Introduction to Information Retrieval, 2008,
section 6.4.1); the vectors are the left singular vectors times the singular values, made of length 1.
"""

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array
from scipy.sparse.linalg import svds

from touchstone_data.core import similarity

Vectors = npt.NDArray[np.float32]

DIMENSIONS = 64
MAX_TERMS = 20_000
SEED = 1


def of_texts(texts: Sequence[str], *, dimensions: int = DIMENSIONS) -> Vectors:
    """Make vectors of texts, [texts, at most dimensions]; a text without a shared word has zeros."""
    weights = weighted(texts)
    rank = min(dimensions, *(side - 1 for side in weights.shape))
    if rank < 1 or not weights.count_nonzero():  # as of two texts with the same words: no term tells them apart
        return np.zeros((len(texts), 1), dtype=np.float32)
    start = np.random.default_rng(SEED).normal(size=min(weights.shape))
    left, values, _ = svds(weights, k=rank, v0=start)
    return unit(left * values)


def weighted(texts: Sequence[str]) -> csr_array:
    """Weigh the terms that at least two texts have, and not more than half of them; rows of length 1."""
    counts = [Counter(similarity.words(text)) for text in texts]
    present = Counter(term for count in counts for term in count)
    most = max(2, len(texts) // 2)
    terms = [term for term, number in present.most_common() if 2 <= number <= most][:MAX_TERMS]
    places = {term: place for place, term in enumerate(terms)}
    rows, columns, values = [], [], []
    for row, count in enumerate(counts):
        for term, number in count.items():
            if term in places:
                rows.append(row)
                columns.append(places[term])
                values.append((1 + math.log(number)) * math.log(len(texts) / present[term]))
    found = csr_array((values, (rows, columns)), shape=(len(texts), len(terms)), dtype=np.float64)
    lengths = np.sqrt(found.multiply(found).sum(axis=1))
    return csr_array(found.multiply(1 / np.maximum(lengths, 1e-12)[:, None]))


def unit(vectors: npt.NDArray[np.floating]) -> Vectors:
    """Make vectors of length 1; zeros stay."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    found: Vectors = (vectors / np.maximum(lengths, 1e-12)).astype(np.float32)
    return found
