"""Merges, against their definitions and against numbers of mergekit.

`merges.json` holds what mergekit (the version stands there) made of the arrays below by its functions sparsify
(magnitude), get_mask (sum) and slerp, with weights 0.7 and 0.4, densities 0.5 and 0.25, and place 0.3.
"""

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose
from touchstone_finetuning.core import merging

RANDOM = np.random.default_rng(17)
BASE, ONE, OTHER = (RANDOM.normal(size=(6, 8)).astype(np.float32) for _ in range(3))

PEER = json.loads(Path(__file__).with_name("merges.json").read_text())


@pytest.mark.parametrize(("normalize", "name"), [(False, "ties"), (True, "ties_normalized")])
def test_ties_is_what_mergekit_makes(normalize: bool, name: str) -> None:
    merged = merging.ties(BASE, [ONE, OTHER], [0.7, 0.4], [0.5, 0.25], normalize=normalize)
    assert_allclose(merged, PEER[name], atol=1e-6)


def test_slerp_is_what_mergekit_makes() -> None:
    assert_allclose(merging.slerp(ONE, OTHER, 0.3), PEER["slerp"], atol=1e-6)


def test_a_normalised_sum_is_the_weighted_mean() -> None:
    expected = np.average([ONE, OTHER], axis=0, weights=[3, 1])
    assert_allclose(merging.linear([ONE, OTHER], [3, 1], normalize=True), expected, atol=1e-6)


@pytest.mark.parametrize(("place", "expected"), [(0.0, ONE), (1.0, OTHER)])
def test_slerp_begins_at_the_first_and_ends_at_the_second(place: float, expected: np.ndarray) -> None:
    assert_allclose(merging.slerp(ONE, OTHER, place), expected, atol=1e-6)


def test_slerp_stays_on_the_sphere_and_divides_the_angle() -> None:
    first, second = np.array([1, 0], np.float32), np.array([0, 1], np.float32)
    third = merging.slerp(first, second, 1 / 3)
    assert_allclose(third, [np.cos(np.pi / 6), np.sin(np.pi / 6)], atol=1e-6)


@pytest.mark.parametrize("second", [ONE, 2 * ONE, np.zeros_like(ONE)])
def test_slerp_goes_straight_where_there_is_no_angle(second: np.ndarray) -> None:
    assert_allclose(merging.slerp(ONE, second, 0.25), 0.75 * ONE + 0.25 * second, atol=1e-6)


def test_task_arithmetic_adds_what_each_has_learnt() -> None:
    merged = merging.task_arithmetic(BASE, [ONE, OTHER], [0.5, -0.25])
    assert_allclose(merged, BASE + 0.5 * (ONE - BASE) - 0.25 * (OTHER - BASE), atol=1e-6)


def test_ties_trims_elects_and_merges_what_agrees() -> None:
    """By hand: of each vector the two largest are kept; at every place the sign of the larger sum wins."""
    base = np.zeros(4, np.float32)
    one = np.array([4, -3, 1, 0.5], np.float32)  # keeps 4, -3
    other = np.array([2, 5, -0.5, 1], np.float32)  # keeps 2, 5
    merged = merging.ties(base, [one, other], [1, 1], [0.5, 0.5], normalize=True)
    assert_allclose(merged, [3, 5, 0, 0])


def test_what_is_trimmed_is_the_smallest() -> None:
    assert_allclose(merging.trim(np.array([1, -4, 3, -2], np.float32), 0.5), [0, -4, 3, 0])


def test_dropping_keeps_the_mean_and_the_share() -> None:
    vector = np.ones(100_000, np.float32)
    dropped = merging.drop(vector, 0.3, np.random.default_rng(1))
    assert set(np.unique(dropped)) == {np.float32(0), np.float32(1) / np.float32(0.3)}
    assert dropped.mean() == pytest.approx(1, abs=0.02)  # four standard errors: sqrt(0.7 / 0.3 / 1e5) = 0.0048


@pytest.mark.parametrize("elects_sign", [True, False])
def test_dare_is_the_same_for_the_same_seed_and_is_task_arithmetic_or_ties_when_nothing_is_dropped(
    elects_sign: bool,
) -> None:
    def dare(seed: int, density: float) -> np.ndarray:
        return merging.dare(
            BASE, [ONE, OTHER], [0.6, 0.4], [density] * 2, elects_sign=elects_sign, normalize=False,
            random=np.random.default_rng(seed),
        )  # fmt: skip

    assert_allclose(dare(1, 0.5), dare(1, 0.5), rtol=0)
    assert np.any(dare(1, 0.5) != dare(2, 0.5))
    whole = merging.ties(BASE, [ONE, OTHER], [0.6, 0.4], [1, 1], normalize=False)
    expected = whole if elects_sign else merging.task_arithmetic(BASE, [ONE, OTHER], [0.6, 0.4])
    assert_allclose(dare(1, 1.0), expected, atol=1e-6)
