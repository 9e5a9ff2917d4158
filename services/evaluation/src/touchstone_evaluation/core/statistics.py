"""Intervals and tests. Pure: arrays in, numbers out; the same input gives the same output.

The interval is the percentile bootstrap (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, ch. 13),
with its levels expanded for small samples (Hesterberg, The American Statistician 69(4), 2015, §5.2: the plain
interval of a mean is too narrow by about sqrt((n-1)/n) and by z instead of t). BCa was not taken: its correction is
no monotonic function of the data, so a candidate could fail by answering one item better; with a fixed seed the bounds
of the percentile interval of a mean never fall when a value rises. Shape of all arrays: items x values of one item.
"""

from collections.abc import Callable, Iterator
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from scipy import special

from touchstone_evaluation.core.results import Interval

Floats: TypeAlias = npt.NDArray[np.float64]
Statistic: TypeAlias = Callable[[Floats], Floats]
"""From resamples x items x values to one number a resample."""

RESAMPLES = 10_000
SEED = 20_261_125
_CHUNK_VALUES = 1_000_000
"""How many gathered values are held at once: 8 MB."""


def mean(resamples: Floats) -> Floats:
    """The mean of the items' first value."""
    result: Floats = resamples[:, :, 0].mean(axis=1)
    return result


def ratio(resamples: Floats) -> Floats:
    """The sum of the items' first values over the sum of their second ones."""
    sums = resamples.sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        result: Floats = sums[:, 0] / sums[:, 1]
    return result


def exponent_of_ratio(resamples: Floats) -> Floats:
    """The number e to the power of the ratio."""
    with np.errstate(over="ignore"):
        result: Floats = np.exp(ratio(resamples))
    return result


def corpus(combine: Statistic) -> Statistic:
    """A function of the sums of the items' values: resamples x values to one number a resample."""

    def of(resamples: Floats) -> Floats:
        return combine(resamples.sum(axis=1))

    return of


def percentile(percent: float) -> Statistic:
    """The percentile over all values of all items; NaN marks a value that is missing."""

    def of(resamples: Floats) -> Floats:
        flat = resamples.reshape(len(resamples), -1)
        compute = np.nanpercentile if np.isnan(flat).any() else np.percentile
        result: Floats = compute(flat, percent, axis=1)
        return result

    return of


def auroc(resamples: Floats) -> Floats:
    """The area under the ROC curve: the chance that a value of label 1 is above one of label 0, ties as a half.

    The statistic of Mann and Whitney over all pairs (Hanley and McNeil, Radiology 143, 1982). Values and labels take
    turns in the last axis; NaN marks a pair that is missing. One half where there is one label only.
    """
    scores = resamples[:, :, 0::2].reshape(len(resamples), -1)
    labels = resamples[:, :, 1::2].reshape(len(resamples), -1)
    is_there = ~np.isnan(scores)
    places, codes = np.unique(scores, return_inverse=True)
    rows = np.arange(len(scores))[:, np.newaxis]
    cells = rows * len(places) + codes.reshape(scores.shape)

    def counted(weights: Floats) -> Floats:
        found = np.bincount(cells.ravel(), weights=weights.ravel(), minlength=rows.size * len(places))
        return found.astype(np.float64).reshape(rows.size, len(places))

    positives = counted(np.where(is_there, labels, 0.0))
    negatives = counted(np.where(is_there, 1.0 - labels, 0.0))
    below = np.cumsum(negatives, axis=1) - negatives
    pairs = positives.sum(axis=1) * negatives.sum(axis=1)
    won = (positives * (below + 0.5 * negatives)).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        result: Floats = np.where(pairs > 0, won / pairs, 0.5)
    return result


def value(statistic: Statistic, items: Floats) -> float:
    """The statistic of the items as they are."""
    return float(statistic(items[np.newaxis])[0])


def bootstrap(statistic: Statistic, items: Floats, *, confidence: float, resamples: int = RESAMPLES) -> Interval:
    """The interval of a statistic of one sample."""
    drawn = _replicates([(statistic, items)], resamples, is_paired=True)
    return _percentile_interval(drawn[0], len(items), confidence)


def bootstrap_difference(
    statistic: Statistic,
    subject: Floats,
    baseline: Floats,
    *,
    is_paired: bool,
    confidence: float,
    resamples: int = RESAMPLES,
) -> Interval:
    """The interval of the difference of a statistic between two samples.

    Args:
        statistic: What is compared.
        subject: The one side.
        baseline: The other side; when paired, the same items in the same order.
        is_paired: Whether both sides are resampled by the same items. What one item makes harder for both sides
            then cancels out.
        confidence: The interval's level.
        resamples: How many are drawn.
    """
    if is_paired and statistic is mean:
        return bootstrap(mean, subject - baseline, confidence=confidence, resamples=resamples)
    drawn = _replicates([(statistic, subject), (statistic, baseline)], resamples, is_paired=is_paired)
    return _percentile_interval(drawn[0] - drawn[1], min(len(subject), len(baseline)), confidence)


def expanded_tail(count: int, confidence: float) -> float:
    """The tail probability on each side: that of z replaced by that of t, widened by sqrt(n / (n - 1))."""
    tail = (1 - confidence) / 2
    if count < 2:
        return tail
    quantile = special.stdtrit(count - 1, tail)
    return float(special.ndtr(quantile * np.sqrt(count / (count - 1))))


def unseen(center: float, count: int, *, lowest: float, highest: float, confidence: float) -> Interval:
    """How far the mean may lie from the sample's because of kinds of items that no sample showed.

    A kind whose share is above 1 - tail^(1/n) would have been seen among n items with probability 1 - tail (the "rule
    of three": Hanley and Lippman-Hand, JAMA 249, 1983). At worst that share has the extreme value. A bootstrap knows
    only what was drawn: of equal values it makes an interval of width 0, of 40 successes in 40 certainty.
    """
    share = 1 - ((1 - confidence) / 2) ** (1 / count)
    return Interval((1 - share) * center + share * lowest, (1 - share) * center + share * highest)


def wilson(successes: float, trials: int, *, confidence: float) -> Interval:
    """The score interval of a proportion (Wilson, JASA 22, 1927, as in Brown, Cai and DasGupta, 2001, eq. 4)."""
    z = float(special.ndtri(1 - (1 - confidence) / 2))
    share = successes / trials
    center = (share + z * z / (2 * trials)) / (1 + z * z / trials)
    half = z / (1 + z * z / trials) * np.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    return Interval(max(0.0, float(center - half)), min(1.0, float(center + half)))


def mcnemar(gained: int, lost: int) -> float:
    """The two-sided p value of the exact McNemar test: a binomial test of the items that changed (1947).

    Args:
        gained: Items that only the subject got right.
        lost: Items that only the baseline got right.
    """
    changed = gained + lost
    return min(1.0, 2 * float(special.bdtr(float(min(gained, lost)), changed, 0.5)))


def _percentile_interval(replicates: Floats, count: int, confidence: float) -> Interval:
    tail = expanded_tail(count, confidence)
    low, high = np.quantile(replicates, [tail, 1 - tail])
    return Interval(float(low), float(high))


def _replicates(samples: list[tuple[Statistic, Floats]], resamples: int, *, is_paired: bool) -> list[Floats]:
    generators = [np.random.default_rng(SEED + (0 if is_paired else number)) for number in range(len(samples))]
    return [
        np.concatenate([_replicate(statistic, items, indices) for indices in _indices(generator, items, resamples)])
        for generator, (statistic, items) in zip(generators, samples, strict=True)
    ]


def _replicate(statistic: Statistic, items: Floats, indices: npt.NDArray[np.int64]) -> Floats:
    if statistic is mean:  # the same, without a third axis
        result: Floats = np.take(items[:, 0], indices).mean(axis=1)
        return result
    return statistic(items[indices])


def _indices(generator: np.random.Generator, items: Floats, resamples: int) -> Iterator[npt.NDArray[np.int64]]:
    """Draw items with replacement, in chunks that fit the memory; the chunks depend on the shape only."""
    count = len(items)
    at_once = max(1, min(resamples, _CHUNK_VALUES // items.size))
    for begin in range(0, resamples, at_once):
        yield generator.integers(0, count, size=(min(at_once, resamples - begin), count))
