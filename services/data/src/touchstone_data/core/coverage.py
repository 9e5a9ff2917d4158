"""How much of its field a set of records covers. Pure: knows vectors, not texts."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from touchstone_data.core import meaning, similarity
from touchstone_data.core.vectors import Vectors

HELD_OUT = 0.2
"""Share of the records that the quantity curve is measured on."""
NEAR = 0.8
"""Cosine from which a held-out record counts as covered."""
SIZES = 8
NAMED = 4
"""Words that name a cluster."""


class Map(NamedTuple):
    """The records in the plane of most variance, and their clusters."""

    places: npt.NDArray[np.float32]
    """[records, 2]"""
    cluster: npt.NDArray[np.int64]
    """[records]"""
    variance: float
    """Share of the variance that the plane shows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One point of the quantity curve."""

    records: int
    covered: float
    """Share of the held-out records with a record this near."""
    nearest: float
    """Mean cosine of a held-out record and the nearest one."""


def vendi(vectors: Vectors) -> float:
    """The effective number of different records, 1 to their number (Friedman and Dieng, The Vendi Score, 2023).

    It is the exponential of the entropy of the eigenvalues of K / n, K being the cosines; these are those of the
    covariance, which is smaller.
    """
    present = vectors[np.linalg.norm(vectors, axis=1) > 0.5].astype(np.float64)
    if not len(present):
        return 0.0
    values = np.linalg.eigvalsh(present.T @ present / len(present))
    positive = values[values > 1e-12]
    return float(np.exp(-(positive * np.log(positive)).sum()))


def mapped(vectors: Vectors, clusters: int) -> Map:
    """Lay records out by their two principal components, and cluster them."""
    centred = vectors - vectors.mean(axis=0)
    _, values, axes = np.linalg.svd(centred, full_matrices=False)
    places = (centred @ axes[:2].T).astype(np.float32)
    if places.shape[1] < 2:
        places = np.pad(places, ((0, 0), (0, 2 - places.shape[1])))
    total = float((values**2).sum())
    cluster = meaning.clustered(vectors, min(clusters, len(vectors)))
    return Map(places, cluster, float((values[:2] ** 2).sum() / total) if total else 1.0)


def names(texts: Sequence[str], cluster: npt.NDArray[np.int64]) -> list[str]:
    """Name clusters by the words that stand more often in their records than in all."""
    words = [set(similarity.words(text)) for text in texts]
    overall = Counter(word for one in words for word in one)
    found = []
    for number in range(int(cluster.max(initial=-1)) + 1):
        members = [words[place] for place in np.flatnonzero(cluster == number)]
        inside = Counter(word for one in members for word in one if len(word) > 2)
        lift = {word: count / max(1, len(members)) - overall[word] / len(texts) for word, count in inside.items()}
        found.append(", ".join(sorted(lift, key=lambda word: (-lift[word], word))[:NAMED]))
    return found


def curve(vectors: Vectors, *, seed: int = 1) -> Sequence[Point]:
    """Measure how well growing subsets, each within the next, cover records that are held out.

    Where it is flat, more records of the same kind add nothing; it says nothing of a model's quality.
    """
    order = np.random.default_rng(seed).permutation(len(vectors))
    held = max(1, round(HELD_OUT * len(vectors)))
    if len(vectors) - held < 2:
        return []
    wanted, pool = vectors[order[:held]], vectors[order[held:]]
    sizes = np.unique(np.geomspace(min(10, len(pool)), len(pool), SIZES).round().astype(int))
    nearest = np.maximum.accumulate(wanted @ pool.T, axis=1)
    return [
        Point(
            records=int(size),
            covered=float((nearest[:, size - 1] >= NEAR).mean()),
            nearest=float(nearest[:, size - 1].mean()),
        )
        for size in sizes
    ]
