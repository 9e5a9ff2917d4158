"""What pairs of preferences teach beside what they should: to answer at length. Pure."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class LengthBias(NamedTuple):
    """How far length goes with preference."""

    length_difference: float
    """Tokens by which the chosen answers are longer than the rejected, on average: the bias of the data."""
    correlation: float | None
    """Of a pair's margin with its difference of lengths (Pearson): near 1, the model has learnt to prefer length.

    None when either is the same for all pairs. Singhal et al. 2023, "A Long Way to Go", measure rewards so.
    """


def length_bias(chosen: Sequence[int], rejected: Sequence[int], margins: Sequence[float]) -> LengthBias:
    """Measure the bias of pairs.

    Args:
        chosen: Tokens of each chosen answer; one or more.
        rejected: Tokens of each rejected answer, in the same order.
        margins: By how much the model prefers the chosen one of each pair.
    """
    differences = np.subtract(chosen, rejected, dtype=np.float64)
    is_defined = len(margins) > 1 and np.ptp(differences) > 0 and np.ptp(margins) > 0
    correlation = float(np.corrcoef(differences, margins)[0, 1]) if is_defined else None
    return LengthBias(float(differences.mean()), correlation)
