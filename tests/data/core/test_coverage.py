"""Diversity and quantity, held against values that are known."""

from itertools import pairwise

import numpy as np
import pytest
from touchstone_data.core import coverage, meaning, vectors


def test_the_vendi_score_counts_what_has_nothing_in_common() -> None:
    # Friedman and Dieng, 2023: n different items score n, n equal ones 1, and copies do not count.
    different = np.eye(12, dtype=np.float32)
    assert coverage.vendi(different) == pytest.approx(12)
    assert coverage.vendi(np.repeat(different[:1], 9, axis=0)) == pytest.approx(1)
    assert coverage.vendi(np.repeat(different[:3], 5, axis=0)) == pytest.approx(3)
    assert coverage.vendi(np.zeros((4, 3), dtype=np.float32)) == 0


def test_the_vendi_score_is_that_of_the_kernel_matrix() -> None:
    found = vectors.unit(np.random.default_rng(2).normal(size=(40, 6)))
    values = np.linalg.eigvalsh(found.astype(np.float64) @ found.T.astype(np.float64) / 40)
    values = values[values > 1e-9]
    assert coverage.vendi(found) == pytest.approx(float(np.exp(-(values * np.log(values)).sum())), rel=1e-4)


def test_the_curve_is_flat_where_more_of_the_same_comes() -> None:
    few = vectors.unit(np.random.default_rng(3).normal(size=(5, 32)))
    saturated = coverage.curve(np.repeat(few, 100, axis=0))
    assert saturated[1].covered == saturated[-1].covered == 1
    many = coverage.curve(vectors.unit(np.random.default_rng(3).normal(size=(500, 32))))
    assert many[0].nearest < many[-1].nearest < 0.9
    assert [point.records for point in many] == sorted(point.records for point in many)
    assert many[-1].records == 400


def test_a_subset_never_covers_less_than_the_one_within_it() -> None:
    points = coverage.curve(vectors.unit(np.random.default_rng(5).normal(size=(300, 4))))
    assert all(one.nearest <= two.nearest and one.covered <= two.covered for one, two in pairwise(points))


def test_texts_of_one_topic_are_nearer_than_those_of_two() -> None:
    texts = [
        "the cat and the dog sleep",
        "a dog and a cat eat",
        "stocks and bonds fall",
        "bonds rise as stocks fall",
    ] * 3
    found = vectors.of_texts(texts, dimensions=4)
    assert found[0] @ found[1] > found[0] @ found[2]
    assert np.linalg.norm(found, axis=1) == pytest.approx(np.ones(12))
    assert vectors.of_texts(["", "x"]).shape[0] == 2


def test_weights_are_those_of_the_formula() -> None:
    weights = vectors.weighted(["a a b", "a c", "b c c", "d"]).toarray()
    raw = np.array(
        [
            [(1 + np.log(2)) * np.log(2), np.log(2), 0],
            [np.log(2), 0, np.log(2)],
            [0, np.log(2), (1 + np.log(2)) * np.log(2)],
        ]
    )
    want = raw / np.linalg.norm(raw, axis=1, keepdims=True)
    assert weights[:3] == pytest.approx(want)
    assert not weights[3].any()


def test_pairs_of_like_meaning_are_those_of_an_exhaustive_search() -> None:
    rng = np.random.default_rng(7)
    found = vectors.unit(rng.normal(size=(3000, 8)))
    found[::7] = vectors.unit(found[1::7][: len(found[::7])] + rng.normal(scale=0.02, size=(len(found[1::7]), 8)))
    alike = meaning.alike(found, 0.97)
    cluster = meaning.clustered(found, round(len(found) / meaning.CLUSTER_RECORDS))
    left, right = np.nonzero(np.triu(found @ found.T >= 0.97, 1))
    together = cluster[left] == cluster[right]
    assert set(zip(alike.left, alike.right, strict=True)) == set(zip(left[together], right[together], strict=True))
    assert together.mean() > 0.8
