"""How far annotators agree. Pure."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from touchstone_data.core import similarity

MAX_ANNOTATORS = 16
MISSING = 0
CONFIDENCE, RESAMPLES, SEED = 0.95, 2000, 1

Ratings = npt.NDArray[np.uint64]
Counts = npt.NDArray[np.float64]
"""How often each label was given to each record that has two labels or more; [records, labels]."""


class Interval(NamedTuple):
    """An interval of confidence."""

    low: float
    high: float


def numbered(labels: Sequence[str]) -> Ratings:
    """Write the labels that a record was given as numbers; [MAX_ANNOTATORS], MISSING where there are fewer."""
    found = np.full(MAX_ANNOTATORS, MISSING, dtype=np.uint64)
    for place, label in enumerate(labels[:MAX_ANNOTATORS]):
        found[place] = max(1, similarity.number(label))
    return found


def alpha(ratings: Ratings) -> float | None:
    """Krippendorff's alpha for nominal labels: 1 is perfect, 0 is what chance gives.

    See Krippendorff, Content Analysis, second edition, 2004, chapter 11.

    Args:
        ratings: [records, annotators], MISSING where somebody gave none; the columns need not be the same people.

    Returns:
        Alpha; None where no record has two labels, or all labels are the same: then chance cannot be told.
    """
    return alpha_of(counted(ratings))


def counted(ratings: Ratings) -> Counts:
    """Count the labels of the records that have two or more."""
    paired = ratings[(ratings != MISSING).sum(axis=1) >= 2]
    if not len(paired):
        return np.zeros((0, 0))
    values, codes = np.unique(paired, return_inverse=True)
    counts = np.stack([(codes.reshape(paired.shape) == code).sum(axis=1) for code in range(len(values))], axis=1)
    return counts[:, values != MISSING].astype(np.float64)


def alpha_of(counts: Counts) -> float | None:
    """Krippendorff's alpha of counts, as `alpha`."""
    totals = counts.sum(axis=0)  # uses of a label
    expected = totals.sum() ** 2 - (totals**2).sum()
    if not expected:
        return None
    return float(1 - (totals.sum() - 1) * _disagreement(counts).sum() / expected)


def interval(counts: Counts) -> Interval | None:
    """The interval of confidence of alpha: percentile bootstrap over records; None where it cannot be told.

    Records with the same counts are drawn together, which gives the same distribution. Draws in which all labels are
    the same are left out: they have no alpha.
    """
    if not len(counts):
        return None
    patterns, times = np.unique(counts, axis=0, return_counts=True)
    drawn = np.random.default_rng(SEED).multinomial(times.sum(), times / times.sum(), size=RESAMPLES)
    totals = drawn @ patterns  # [resamples, labels]
    expected = totals.sum(axis=1) ** 2 - (totals**2).sum(axis=1)
    is_told = expected > 0
    if not is_told.any():
        return None
    observed = (drawn @ _disagreement(patterns))[is_told]
    alphas = 1 - (totals.sum(axis=1)[is_told] - 1) * observed / expected[is_told]
    low, high = np.quantile(alphas, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Interval(float(low), float(high))


def _disagreement(counts: Counts) -> npt.NDArray[np.float64]:
    """How far the labels of each record disagree, [records]."""
    labels = counts.sum(axis=1)  # labels of a record
    found: npt.NDArray[np.float64] = (labels**2 - (counts**2).sum(axis=1)) / (labels - 1)
    return found
