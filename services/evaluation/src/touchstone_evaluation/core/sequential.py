"""Confidence sequences: intervals that hold at every look, so that a run may end once its verdict is certain. Pure.

The capital process of betting (Waudby-Smith and Ramdas, Estimating means of bounded random variables by betting, JRSS B
86, 2024): for each mean m that could be, a gambler who bets that it is not m gains

    K_t(m) = prod_i (1 + lambda_i (x_i - m)),    0 <= x_i <= 1,

with bets lambda_i that know only what came before i (eq. 26, the predictable plug-in). While m is the mean, K is a
non-negative martingale, so by Ville's inequality it ever reaches 1/tail with probability tail at most, whenever and
however often one looks. What m it reached for is excluded, for good. Each side has a gambler of its own.

Of a sample without replacement from a population whose size is known, m is replaced by what the mean of the rest would
have to be (Waudby-Smith and Ramdas, Confidence sequences for sampling without replacement, NeurIPS 2020): at the end of
the population nothing is left uncertain.
"""

import math

import numpy as np

from touchstone_evaluation.core.results import Interval
from touchstone_evaluation.core.statistics import Floats

GRID = 1000
"""Means that are tried, evenly over the range; the interval reaches to the next one outwards."""
TRUNCATION = 0.5
"""The largest share of the capital that may be lost at once."""
_AT_ONCE = 512
"""Items that are worked off together: bounds the memory at 4 MB an array."""


def interval(values: Floats, *, lowest: float, highest: float, tail: float, population: int | None = None) -> Interval:
    """The confidence sequence of a mean, as it stands after all values.

    Args:
        values: One number an item, in random order; shape (items,).
        lowest: The least value there can be.
        highest: The greatest.
        tail: The probability that the sequence ever excludes the mean on one side; both sides together twice of it.
        population: How many items there are in all, when they are drawn without replacement and the mean of just these
            is meant. None: the mean of all items that could be drawn.
    """
    if not len(values):
        return Interval(lowest, highest)
    scaled = np.clip((values - lowest) / (highest - lowest), 0.0, 1.0)
    grid = np.linspace(0.0, 1.0, GRID + 1)
    bets = _bets(scaled, tail)
    means = _means(scaled, grid, population)
    above, below = _excluded(scaled, bets, means, tail)
    low = grid[np.flatnonzero(~above)[0] - 1] if above[0] and not above.all() else 0.0
    high = grid[np.flatnonzero(~below)[-1] + 1] if below[-1] and not below.all() else 1.0
    span = highest - lowest
    return Interval(lowest + span * float(low), lowest + span * float(high))


def _bets(scaled: Floats, tail: float) -> Floats:
    """The predictable plug-in: each bet from the values before it (eq. 26), for one side's error."""
    count = np.arange(1, len(scaled) + 1)
    mean = (0.5 + np.cumsum(scaled)) / (count + 1)
    variance = (0.25 + np.cumsum((scaled - mean) ** 2)) / (count + 1)
    before = np.concatenate([[0.25], variance[:-1]])
    result: Floats = np.sqrt(2 * math.log(1 / tail) / (before * count * np.log1p(count)))
    return result


def _means(scaled: Floats, grid: Floats, population: int | None) -> Floats:
    """What each value's mean would be were the mean that of the grid: items x grid, or 1 x grid where it stays."""
    if population is None:
        return grid[np.newaxis]
    before = np.concatenate([[0.0], np.cumsum(scaled)[:-1]])
    left = population - np.arange(len(scaled))
    result: Floats = (population * grid[np.newaxis] - before[:, np.newaxis]) / left[:, np.newaxis]
    return result


def _excluded(
    scaled: Floats, bets: Floats, means: Floats, tail: float
) -> tuple[np.ndarray[tuple[int], np.dtype[np.bool_]], np.ndarray[tuple[int], np.dtype[np.bool_]]]:
    """Which means of the grid the data have excluded as too low, and as too high, at any time."""
    count = means.shape[1]
    limit = math.log(1 / tail)
    too_low, too_high = np.zeros(count, dtype=np.bool_), np.zeros(count, dtype=np.bool_)
    up, down = np.zeros(count), np.zeros(count)
    for begin in range(0, len(scaled), _AT_ONCE):
        part = slice(begin, begin + _AT_ONCE)
        mean = means[part] if len(means) > 1 else means
        x, bet = scaled[part, np.newaxis], bets[part, np.newaxis]
        # Beyond 0 and 1 no mean of the rest can lie: such a mean of all is excluded by arithmetic.
        too_low |= (mean < -1e-9).any(axis=0)
        too_high |= (mean > 1 + 1e-9).any(axis=0)
        inside = np.clip(mean, 1e-12, 1 - 1e-12)
        rising = up + np.cumsum(np.log1p(np.minimum(bet, TRUNCATION / inside) * (x - inside)), axis=0)
        falling = down + np.cumsum(np.log1p(-np.minimum(bet, TRUNCATION / (1 - inside)) * (x - inside)), axis=0)
        too_low |= (rising >= limit).any(axis=0)
        too_high |= (falling >= limit).any(axis=0)
        up, down = rising[-1], falling[-1]
    return too_low, too_high
