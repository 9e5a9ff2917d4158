"""How familiar a text is to a model: evidence that it was trained on it, from its least expected tokens. Pure."""

import math
from collections.abc import Iterable, Sequence

from touchstone_evaluation.core.task import Place


def min_k(places: Sequence[Place], percent: float) -> float:
    """Return the mean log-probability of the `percent` least probable tokens (Shi et al. 2023, Min-K% Prob, eq. 1)."""
    return _mean_of_least((place.logprob for place in places), percent)


def min_k_plus_plus(places: Sequence[Place], percent: float) -> float:
    """Return Min-K%++ (Zhang et al. 2024, eq. 3 and 4).

    Each token's log p is standardised by mean and deviation of log p over the vocabulary at its place: a text that was
    trained on lies near the mode of what the model expects. The mean of the `percent` lowest is told.
    """
    return _mean_of_least(map(_standardised, places), percent)


def _standardised(place: Place) -> float:
    """Where one token has all probability there is nothing to deviate from."""
    return (place.logprob + place.entropy) / place.deviation if place.deviation > 0 else 0.0


def _mean_of_least(values: Iterable[float], percent: float) -> float:
    ranked = sorted(values)
    count = max(1, int(len(ranked) * percent / 100))
    return math.fsum(ranked[:count]) / count
