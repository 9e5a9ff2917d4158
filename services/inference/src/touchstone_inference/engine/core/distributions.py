"""How the probability lies over the vocabulary at one place, from the most probable tokens there. Pure."""

import itertools
import math
from collections.abc import Sequence

from touchstone_inference.engine.core.generation import Distribution

CONSIDERED = 1024
"""So many tokens are told apart. What is left over is usually below a hundredth."""
_BLOCKS = 32
_STEEPEST = 64.0
_HALVINGS = 30


def distribution(logprobs: Sequence[float], vocabulary: int) -> Distribution:
    """Return entropy and standard deviation of log p, under p.

    The probability that the given tokens leave is spread over the others by a power of their rank (Zipf's law, with the
    exponent that goes on from the least given token and sums to what is left).

    Args:
        logprobs: Natural logarithms of the probabilities of the most probable tokens, each token once; one or more.
        vocabulary: How many tokens there are.
    """
    weighted = [(math.exp(each), each) for each in logprobs]
    rest = 1 - math.fsum(probability for probability, _ in weighted)
    if rest > 0 and vocabulary > len(weighted):
        weighted += _others(min(logprobs), rest, len(weighted), vocabulary)
    mean = math.fsum(probability * each for probability, each in weighted)
    variance = math.fsum(probability * (each - mean) ** 2 for probability, each in weighted)
    return Distribution(max(0.0, -mean), math.sqrt(variance))


def _others(least: float, rest: float, given: int, vocabulary: int) -> list[tuple[float, float]]:
    """Spread what is left over blocks of ranks: the probability of each block, and log p of each token in it."""
    ratio = vocabulary / given
    edges = sorted({given, vocabulary, *(round(given * ratio ** (place / _BLOCKS)) for place in range(1, _BLOCKS))})
    counts = [end - start for start, end in itertools.pairwise(edges)]
    steps = [math.log((start + end + 1) / 2 / given) for start, end in itertools.pairwise(edges)]

    def total(exponent: float) -> float:
        return math.fsum(count * math.exp(least - exponent * step) for count, step in zip(counts, steps, strict=True))

    low, high = 0.0, _STEEPEST
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if total(middle) > rest else (low, middle)
    scale = math.log(rest / total(low))  # nothing but where no exponent fits
    return [
        (count * math.exp(least - low * step + scale), least - low * step + scale)
        for count, step in zip(counts, steps, strict=True)
    ]
