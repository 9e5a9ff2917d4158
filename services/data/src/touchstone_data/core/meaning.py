"""Near duplicates in meaning, by embeddings in clusters (Abbas et al., SemDeDup, 2023, section 3). Pure.

Embeddings are clustered by k-means, and only records of one cluster are compared: a pair that a border parts is missed.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from scipy.cluster.vq import kmeans

from touchstone_data.core.similarity import Pairs

Vectors = npt.NDArray[np.float32]

CLUSTER_RECORDS = 2000
"""Records of a cluster in the mean: comparing them takes the square of it."""
FIT_RECORDS = 50_000
"""Of more records, clusters are found on a sample of this size."""
CHUNK = 10_000
SEED = 1


def clustered(vectors: Vectors, count: int) -> npt.NDArray[np.int64]:
    """Number the cluster of each vector, by k-means (Lloyd, 1982); [records]."""
    if count <= 1:
        return np.zeros(len(vectors), dtype=np.int64)
    rng = np.random.default_rng(SEED)
    sample = vectors
    if len(vectors) > FIT_RECORDS:
        sample = vectors[np.sort(rng.choice(len(vectors), FIT_RECORDS, replace=False))]
    centres, _ = kmeans(sample.astype(np.float64), count, iter=1, rng=rng)  # clusters that go empty are left out
    halves = (centres**2).sum(axis=1) / 2
    return np.concatenate([np.argmax(chunk @ centres.T - halves, axis=1) for chunk in _chunks(vectors)])


def alike(vectors: Vectors, least: float) -> Pairs:
    """Find pairs with at least a cosine, within clusters."""
    cluster = clustered(vectors, round(len(vectors) / CLUSTER_RECORDS))
    left, right = [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=np.int64)]
    for number in np.unique(cluster):
        members = np.flatnonzero(cluster == number)
        inner = vectors[members].astype(np.float32)
        for start in range(0, len(members), CLUSTER_RECORDS):
            rows = inner[start : start + CLUSTER_RECORDS]
            first, second = np.nonzero(rows @ inner.T >= least)
            later = second > first + start
            left.append(members[first[later] + start])
            right.append(members[second[later]])
    return Pairs(np.concatenate(left), np.concatenate(right))


def _chunks(vectors: Vectors) -> Iterator[Vectors]:
    for start in range(0, len(vectors), CHUNK):
        yield vectors[start : start + CHUNK]
