"""How far annotators agree. Pure."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from touchstone_data.core import similarity

MAX_ANNOTATORS = 16
MISSING = 0

Ratings = npt.NDArray[np.uint64]


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
    paired = ratings[(ratings != MISSING).sum(axis=1) >= 2]
    if not len(paired):
        return None
    values, codes = np.unique(paired, return_inverse=True)
    counts = np.stack([(codes.reshape(paired.shape) == code).sum(axis=1) for code in range(len(values))], axis=1)
    counts = counts[:, values != MISSING].astype(np.float64)
    labels = counts.sum(axis=1)  # labels of a record
    totals = counts.sum(axis=0)  # uses of a label
    expected = totals.sum() ** 2 - (totals**2).sum()
    if not expected:
        return None
    observed = ((labels**2 - (counts**2).sum(axis=1)) / (labels - 1)).sum()
    return float(1 - (totals.sum() - 1) * observed / expected)
