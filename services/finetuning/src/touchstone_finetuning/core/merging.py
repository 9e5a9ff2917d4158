"""Several models to one, weight by weight. Pure: knows arrays of one tensor, not where they lie.

A task vector is what training changed: a model's weights less its base's (Ilharco et al. 2023, "Editing Models with
Task Arithmetic").
"""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]

PARALLEL = 1 - 5e-4
"""Two vectors whose cosine is over this lie on one line: SLERP divides by the sine of their angle."""


def linear(models: Sequence[Array], weights: Sequence[float], *, normalize: bool) -> Array:
    """Sum models by weight; normalised, it is their weighted mean (Wortsman et al. 2022, "Model Soups")."""
    merged = _sum(models, weights)
    if normalize:
        merged /= _total(weights)
    return merged


def slerp(first: Array, second: Array, place: float) -> Array:
    """Go from one model to another along the arc between them (Shoemake 1985), at 0 the first, at 1 the second.

    The angle is that of the whole tensor, taken as one vector. Where there is none to speak of, the way is straight.
    """
    one, other = first.astype(np.float64), second.astype(np.float64)
    lengths = np.linalg.norm(one) * np.linalg.norm(other)
    cosine = float((one * other).sum() / lengths) if lengths else 1.0
    if abs(cosine) > PARALLEL:
        return ((1 - place) * one + place * other).astype(np.float32)
    angle = math.acos(cosine)
    mixed = math.sin((1 - place) * angle) * one + math.sin(place * angle) * other
    return (mixed / math.sin(angle)).astype(np.float32)


def task_arithmetic(base: Array, models: Sequence[Array], weights: Sequence[float]) -> Array:
    """Add to the base what each model learnt, by weight."""
    return base + _sum([model - base for model in models], weights)


def ties(
    base: Array, models: Sequence[Array], weights: Sequence[float], densities: Sequence[float], *, normalize: bool
) -> Array:
    """Trim, elect a sign, and merge what agrees with it (Yadav et al. 2023, "TIES-Merging", algorithm 1)."""
    learnt = [trim(model - base, density) for model, density in zip(models, densities, strict=True)]
    return base + _agreed(learnt, weights, normalize=normalize)


def dare(
    base: Array,
    models: Sequence[Array],
    weights: Sequence[float],
    densities: Sequence[float],
    *,
    elects_sign: bool,
    normalize: bool,
    random: np.random.Generator,
) -> Array:
    """Drop numbers of task vectors by chance, scale up the others, and add (Yu et al. 2024, "DARE", eq. 1 and 2).

    Args:
        base: The weights that all models were trained from.
        models: Their weights.
        weights: How much of each is added.
        densities: The share of numbers that is kept of each.
        elects_sign: Whether only what agrees with the sign of most is added, as TIES does it.
        normalize: With a sign elected: whether to divide by the sum of weights of those that agree.
        random: Says which are dropped.
    """
    learnt = [drop(model - base, density, random) for model, density in zip(models, densities, strict=True)]
    if elects_sign:
        return base + _agreed(learnt, weights, normalize=normalize)
    return base + _sum(learnt, weights)


def trim(vector: Array, density: float) -> Array:
    """Keep the share of numbers that are largest in size, and make the others zero."""
    kept = int(density * vector.size)
    if kept >= vector.size:
        return vector
    if kept == 0:
        return np.zeros_like(vector)
    sizes = np.abs(vector).reshape(-1)
    largest = np.argpartition(sizes, sizes.size - kept)[sizes.size - kept :]
    trimmed = np.zeros(vector.size, np.float32)
    trimmed[largest] = vector.reshape(-1)[largest]
    return trimmed.reshape(vector.shape)


def drop(vector: Array, density: float, random: np.random.Generator) -> Array:
    """Keep each number by chance, and scale what is kept so that the mean stays."""
    is_kept = random.random(vector.shape) < density
    return np.where(is_kept, vector / np.float32(density), np.float32(0))


def _agreed(learnt: Sequence[Array], weights: Sequence[float], *, normalize: bool) -> Array:
    """Sum what has the sign that weighs most; normalised, by the weights of those that have it."""
    weighted = np.stack([np.float32(weight) * vector for vector, weight in zip(learnt, weights, strict=True)])
    elected = np.where(weighted.sum(0) >= 0, np.float32(1), np.float32(-1))
    agrees = np.sign(weighted) == elected
    merged: Array = np.where(agrees, weighted, np.float32(0)).sum(0)
    if not normalize:
        return merged
    shares = np.asarray(weights, np.float32).reshape(-1, *[1] * (weighted.ndim - 1))
    total = np.where(agrees, shares, np.float32(0)).sum(0)
    merged /= np.where(np.abs(total) < np.float32(1e-8), np.float32(1), total)
    return merged


def _sum(arrays: Sequence[Array], weights: Sequence[float]) -> Array:
    total = np.zeros_like(arrays[0], dtype=np.float32)
    for array, weight in zip(arrays, weights, strict=True):
        total += np.float32(weight) * array
    return total


def _total(weights: Sequence[float]) -> float:
    total = sum(weights)
    return total if abs(total) > 1e-8 else 1.0
